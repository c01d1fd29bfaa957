//! The policy that `policy init` writes.

/// A policy with every key, commented out where it changes anything.
pub const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    use crate::check::Policy;

    use super::TEMPLATE;

    #[test]
    fn the_template_is_the_default_policy() {
        let policy = Policy::read("template.toml", TEMPLATE).unwrap();
        assert_eq!(policy.describe(), Policy::default().describe());
    }

    #[test]
    fn what_it_shows_in_comments_is_valid_too() {
        let uncommented: String = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let policy = Policy::read("template.toml", &uncommented).unwrap();
        assert_ne!(policy.describe(), Policy::default().describe());
    }
}
