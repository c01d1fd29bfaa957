//! `devres-tracer rules`.

use std::io::{self, Write};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Exit, usage::UsageError};
use crate::{
    event::Hook,
    evidence::Coverage,
    finding::{RuleInfo, Severity},
    rules::RuleSet,
    sink::{json::First, json_text},
    source::live::{Live, Options},
};

/// Lists the rules: what each finds, its severities, and the hooks it needs
///
/// --live tests which of them can decide on this kernel; that needs the same privileges as tracing.
/// `devres-tracer explain RULE` explains one.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// Show which rules can decide on this kernel
    #[arg(long)]
    live: bool,
    /// Write JSON lines, one object per rule
    #[arg(long)]
    json: bool,
}

/// A rule, as JSON shows it.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "rule")]
pub(super) struct RuleLine {
    rule: &'static str,
    name: &'static str,
    severities: Vec<&'static str>,
    description: &'static str,
    /// Of each list one.
    needs: Vec<Vec<&'static str>>,
    sharpened_by: Vec<&'static str>,
    optional: bool,
    /// What it can do on this kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<String>,
    /// What `explain` says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<&'static str>,
}

impl RuleLine {
    pub(super) fn of(info: &RuleInfo, coverage: Option<&Coverage>) -> Self {
        let symbols = |hooks: &[Hook]| hooks.iter().map(|hook| hook.symbol()).collect();
        Self {
            rule: info.id,
            name: info.name,
            severities: info
                .severities
                .iter()
                .map(|severity| severity.name())
                .collect(),
            description: info.description,
            needs: info.needs.iter().map(|any| symbols(any)).collect(),
            sharpened_by: symbols(info.sharpened_by),
            optional: info.optional,
            here: coverage.map(|coverage| ability(info, coverage)),
            page: None,
        }
    }
}

impl Rules {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let coverage = if self.live {
            let options = Options {
                optional: optional_hooks(),
                ..Options::default()
            };
            Some(Live::start(&options)?.coverage().clone())
        } else {
            None
        };
        let mut writer = io::stdout().lock();
        let written = if self.json {
            RuleSet::all().infos().try_for_each(|info| {
                json_text::write(
                    &mut writer,
                    &First::of(RuleLine::of(info, coverage.as_ref())),
                )?;
                writeln!(writer)
            })
        } else {
            write(&mut writer, coverage.as_ref())
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Clean),
        }
    }
}

fn write(writer: &mut impl Write, coverage: Option<&Coverage>) -> io::Result<()> {
    for info in RuleSet::all().infos() {
        let severities = info.severities.iter().copied().map(Severity::name);
        let severities: Vec<_> = severities.collect();
        writeln!(
            writer,
            "{}  {:<30} {}",
            info.id,
            info.name,
            severities.join(", ")
        )?;
        writeln!(writer, "       {}", info.description)?;
        writeln!(writer, "       needs {}", needs(info))?;
        if let Some(with) = with(info) {
            let effect = if info.optional {
                "off without"
            } else {
                "more precise with"
            };
            writeln!(
                writer,
                "       {effect} --with {with} or --rule {}",
                info.id
            )?;
        }
        if let Some(coverage) = coverage {
            writeln!(writer, "       here: {}", ability(info, coverage))?;
        }
    }
    Ok(())
}

/// The optional hooks that a rule wants, as `--with` takes them.
fn with(info: &RuleInfo) -> Option<String> {
    let wanted = info.needs.iter().copied().flatten();
    let symbols: Vec<&str> = wanted
        .chain(info.sharpened_by)
        .filter(|hook| hook.is_optional())
        .map(|hook| hook.symbol())
        .collect();
    (!symbols.is_empty()).then(|| symbols.join(","))
}

/// What a rule needs, in words.
fn needs(info: &RuleInfo) -> String {
    let groups: Vec<Vec<&str>> = info
        .needs
        .iter()
        .map(|any| any.iter().map(|hook| hook.symbol()).collect())
        .collect();
    one_of_each(&groups)
}

/// One of each group, in words: `a and (b or c)`.
pub(super) fn one_of_each<S: AsRef<str>>(groups: &[Vec<S>]) -> String {
    let groups_in_words: Vec<String> = groups
        .iter()
        .map(|any| {
            let any: Vec<&str> = any.iter().map(AsRef::as_ref).collect();
            match any.as_slice() {
                [_, _, ..] if groups.len() > 1 => format!("({})", any.join(" or ")),
                any => any.join(" or "),
            }
        })
        .collect();
    groups_in_words.join(" and ")
}

/// What a rule can do with this coverage.
fn ability(info: &RuleInfo, coverage: &Coverage) -> String {
    let missing: Vec<_> = info
        .missing(coverage)
        .filter_map(|gap| gap.any.first())
        .map(|hook| hook.symbol())
        .collect();
    let blunt: Vec<_> = info
        .sharpened_by
        .iter()
        .filter(|hook| !coverage.sees(**hook))
        .map(|hook| hook.symbol())
        .collect();
    match (missing.as_slice(), blunt.as_slice()) {
        ([], []) => "decides".to_owned(),
        ([], blunt) => format!("decides; more precise with {}", blunt.join(", ")),
        (missing, _) if info.optional => format!("off without {}", missing.join(", ")),
        (missing, _) => format!("can't decide without {}", missing.join(", ")),
    }
}

/// Every hook that is attached only where it is wanted.
pub(super) fn optional_hooks() -> Vec<Hook> {
    Hook::ALL
        .into_iter()
        .filter(|hook| hook.is_optional())
        .collect()
}

/// Which rules are applied.
#[derive(Debug, Args)]
pub(super) struct RuleOptions {
    /// Apply only this rule (id or name) and enable its optional probe; comma-separated or repeated
    #[arg(
        long,
        value_name = "RULE",
        value_delimiter = ',',
        conflicts_with = "all_rules"
    )]
    rule: Vec<String>,
    /// Apply all rules and enable their optional probes
    #[arg(long)]
    all_rules: bool,
    /// Don't apply this rule (id or name); comma-separated or repeated
    #[arg(
        long,
        value_name = "RULE",
        value_delimiter = ',',
        conflicts_with = "rule"
    )]
    no_rule: Vec<String>,
}

impl RuleOptions {
    /// The rules.
    pub(super) fn rules(&self) -> Result<RuleSet, UsageError> {
        let rules = if self.rule.is_empty() {
            RuleSet::checked().without(&self.no_rule)
        } else {
            RuleSet::all().only(&self.rule)
        };
        rules.map_err(UsageError::new)
    }

    /// Whether rules were chosen.
    pub(super) fn is_given(&self) -> bool {
        !self.rule.is_empty() || !self.no_rule.is_empty() || self.all_rules
    }

    /// The optional hooks that the rules asked for want.
    pub(super) fn optional_hooks(&self, rules: &RuleSet) -> Vec<Hook> {
        if self.all_rules {
            optional_hooks()
        } else {
            rules.optional_hooks().collect()
        }
    }
}
