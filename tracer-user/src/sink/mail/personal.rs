//! What shows who made a recording, left out: home directories, users, hosts.

use std::borrow::Cow;

/// Directories that are the same on every machine. A path anywhere else is cut to its last name.
const SYSTEM: [&str; 10] = [
    "/bin/",
    "/boot/",
    "/dev/",
    "/lib/",
    "/lib64/",
    "/proc/",
    "/sbin/",
    "/sys/",
    "/usr/bin/",
    "/usr/sbin/",
];

/// A command line: its paths by their last names, and nobody's account on any machine.
pub(super) fn words(command: &[String]) -> String {
    let words: Vec<Cow<'_, str>> = command.iter().map(|word| without_account(word)).collect();
    without_paths(&words.join(" "))
}

/// The last name of a path.
pub(super) fn file_name(path: &str) -> String {
    let name = path.trim_end_matches('/').rsplit('/').next();
    name.unwrap_or_default().to_owned()
}

/// A text with the paths in it cut to their last names, but for those that are the same on every machine.
pub(super) fn without_paths(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = beginning(rest, &out) {
        let (before, path) = rest.split_at(at);
        out.push_str(before);
        let end = path.find(ends_path).unwrap_or(path.len());
        let (path, behind) = path.split_at(end);
        let is_system = SYSTEM.iter().any(|system| path.starts_with(system));
        let climbs = path.split('/').any(|name| name == "..");
        if is_system && !climbs {
            out.push_str(path);
        } else {
            out.push_str(&file_name(path));
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Where the first path in `text` begins, which stands behind `before`: `/` or `~` or `./` or `../` that no name goes on
/// with.
fn beginning(text: &str, before: &str) -> Option<usize> {
    let mut last = before.chars().next_back();
    for (at, character) in text.char_indices() {
        let rest = &text[at..];
        let in_name = last.is_some_and(|last| last.is_alphanumeric() || "._-~/".contains(last));
        let begins = rest.starts_with('/')
            || rest.starts_with("./")
            || rest.starts_with("../")
            || (rest.starts_with('~') && rest.contains('/'));
        // A lone slash, as in `and/or`, or a division, is none.
        let goes_on = rest.chars().nth(1).is_some_and(|next| !ends_path(next));
        if begins && goes_on && !in_name {
            return Some(at);
        }
        last = Some(character);
    }
    None
}

fn ends_path(character: char) -> bool {
    character.is_whitespace() || "'\"`;:,|&<>()=".contains(character)
}

/// `user@host` is nobody's business. A device's unit address, as in `serial@fe201000`, stays.
fn without_account(word: &str) -> Cow<'_, str> {
    let Some((user, host)) = word.split_once('@') else {
        return Cow::Borrowed(word);
    };
    let host = host.split([':', '/', ' ']).next().unwrap_or_default();
    let is_address = host
        .chars()
        .all(|digit| digit.is_ascii_hexdigit() || digit == ',');
    if user.is_empty() || is_address {
        return Cow::Borrowed(word);
    }
    let names = |character: char| character.is_alphanumeric() || "._-".contains(character);
    let begin = user.rfind(|one| !names(one)).map_or(0, |at| {
        at + user[at..].chars().next().map_or(1, char::len_utf8)
    });
    let (before, rest) = (&word[..begin], &word[user.len() + 1 + host.len()..]);
    Cow::Owned(format!("{before}USER@HOST{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_by_their_last_names() {
        for (text, told) in [
            ("/home/ada/run.dvrt", "run.dvrt"),
            (
                "the input: /home/ada/run.dvrt: cut off",
                "the input: run.dvrt: cut off",
            ),
            ("--policy=/root/p.toml", "--policy=p.toml"),
            (
                "echo x >/sys/bus/platform/drivers/a/unbind",
                "echo x >/sys/bus/platform/drivers/a/unbind",
            ),
            ("/sys/../home/ada/x", "x"),
            ("~/x ~ada/y ../ada/z ./w", "x y z w"),
            ("/usr/share/ada/x /usr/bin/sh", "x /usr/bin/sh"),
            (
                "platform/pvpanic-mmio and/or a / b",
                "platform/pvpanic-mmio and/or a / b",
            ),
            ("drivers/base/devres.c:12", "drivers/base/devres.c:12"),
            ("file:///home/ada/x", "file:x"),
            ("'/tmp/ada/x y'", "'x y'"),
        ] {
            assert_eq!(without_paths(text), told, "{text}");
        }
        assert_eq!(file_name("/home/ada/"), "ada");
        assert_eq!(file_name("-"), "-");
    }

    #[test]
    fn accounts_are_left_out_of_a_command() {
        let told = |words_: &[&str]| {
            let words_: Vec<String> = words_.iter().map(|&word| word.to_owned()).collect();
            words(&words_)
        };
        assert_eq!(told(&["ssh", "ada@lab7", "reboot"]), "ssh USER@HOST reboot");
        assert_eq!(
            told(&["scp", "x", "ada@lab7.example:/home/ada"]),
            "scp x USER@HOST:ada"
        );
        assert_eq!(told(&["--to=ada@lab7"]), "--to=USER@HOST");
        assert_eq!(
            told(&["--device", "serial@fe201000"]),
            "--device serial@fe201000"
        );
        assert_eq!(
            told(&["sh", "-c", "ssh ada@lab7 true"]),
            "sh -c ssh USER@HOST true"
        );
    }
}
