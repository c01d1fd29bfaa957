//! `devres-tracer explain`.

use std::io::{self, Write as _};

use clap::Args;

use super::{Exit, rules::RuleLine, usage::UsageError};
use crate::{
    rules::RuleSet,
    sink::{json::First, json_text},
};

/// Explains a rule: what it means, how a finding looks, a real case, the fix, and when it is a false alarm
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Write one JSON object
    #[arg(long)]
    json: bool,
    /// The rule's id or name, such as DR003 or foreign-open-group-release
    rule: String,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let rules = RuleSet::all();
        let Some(info) = rules.find(&self.rule) else {
            let problem = format!(
                "no rule is called {:?}; did you mean {}? `devres-tracer rules` lists them",
                self.rule,
                nearest(&self.rule, &rules)
            );
            return Err(UsageError::new(problem).into());
        };
        let mut writer = io::stdout().lock();
        let written = if self.json {
            let mut line = RuleLine::of(info, None);
            line.page = Some(info.page);
            json_text::write(&mut writer, &First::of(&line)).and_then(|()| writeln!(writer))
        } else {
            writer.write_all(info.page.as_bytes())
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Clean),
        }
    }
}

/// The id or name that is most like what was given.
fn nearest(given: &str, rules: &RuleSet) -> &'static str {
    let given = given.to_lowercase();
    rules
        .infos()
        .flat_map(|info| [info.id, info.name])
        .min_by_key(|name| strsim::damerau_levenshtein(&given, &name.to_lowercase()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::rules::RuleSet;

    #[test]
    fn what_is_misspelt_is_guessed() {
        for (given, name) in [
            ("dr03", "DR003"),
            ("slow-relase", "slow-release"),
            ("outlives creator", "outlives-creator"),
        ] {
            assert_eq!(nearest(given, &RuleSet::all()), name, "{given}");
        }
    }
}
