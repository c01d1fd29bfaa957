//! The test module's situations, wrong and right: each must give the findings that `scenarios.table` says, and no
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::{Recording, number, text};
use super::{Series, Session, Test};

/// The table: a line for each scenario, with the round in which it is traced and what must be found by kernel.
const TABLE: &str = include_str!("scenarios.table");

/// The kernels that the table has columns for, oldest first.
pub(crate) const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// A session's script that traces scenarios with further options of `trace`: those whose line in the table an extended
/// regular expression matches.
macro_rules! trace_scenarios {
    ($options:literal, $wanted:literal) => {
        concat!(
            "options='",
            $options,
            "'\ngrep -v '^#' <<'END_OF_TABLE' | grep -E '",
            $wanted,
            "' >table\n",
            include_str!("scenarios.table"),
            "END_OF_TABLE\n",
            include_str!("scenarios.sh")
        )
    };
}
pub(super) use trace_scenarios;

pub(super) static SESSION: Session = Session {
    name: "scenarios",
    script: trace_scenarios!("", "."),
    tests: &[
        Test {
            name: "scenarios_give_what_they_are_made_for",
            skipped: without_expectations,
            check: as_the_table_says,
        },
        Test {
            name: "scenarios_are_seen_whole",
            skipped: without_expectations,
            check: all_is_seen,
        },
    ],
};

/// In these scenarios the kernel prints a warning during a release, which on a slow console makes that a slow one.
const WARNED_OF_IN_RELEASE: [&str; 2] = ["irq-double-free", "regulator-enabled-at-put"];

/// What must be found in one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The scenarios with the same number are traced together. Those that are right are in 0; findings of the same
    /// rule on the same device would be counted as one, so that such scenarios are in different rounds.
    pub(crate) round: u32,
    /// The scenario's name in the module.
    pub(crate) scenario: &'static str,
    /// Of each of [`KERNELS`]: the findings, such as `DR001=error,DR014=info`, or `-`.
    found: [&'static str; KERNELS.len()],
}

impl Row {
    /// The findings on the kernel of this column: rule and severity.
    pub(crate) fn findings(&self, column: usize) -> BTreeSet<(&'static str, &'static str)> {
        let cell = self.found.get(column).copied().unwrap_or("-");
        cell.split(',')
            .filter_map(|finding| finding.split_once('='))
            .collect()
    }
}

/// The table's rows.
pub(crate) fn rows() -> Result<Vec<Row>> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [round, scenario, found @ ..] = words.as_slice() else {
                anyhow::bail!("the table of scenarios has the line {line:?}");
            };
            Ok(Row {
                round: round.parse()?,
                scenario,
                found: found
                    .try_into()
                    .with_context(|| format!("a column is missing in {line:?}"))?,
            })
        })
        .collect()
}

/// The column of a kernel.
fn column(series: Series) -> Option<usize> {
    match series {
        (5, 10) => Some(0),
        (6, 1) => Some(1),
        (6, 12) => Some(2),
        (7.., _) => Some(3),
        _ => None,
    }
}

fn without_expectations(series: Series) -> Option<&'static str> {
    match column(series) {
        Some(_) => None,
        None => Some("the table of scenarios has no column for this kernel"),
    }
}

/// Findings by rule and severity.
type Found<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Value>>;

/// A round as it was recorded.
struct Round {
    recording: Recording,
    /// When each scenario began, in nanoseconds.
    begun: Vec<(u64, String)>,
}

impl Round {
    fn read(evidence: &Evidence, round: u32) -> Result<Self> {
        let recording = evidence.recording(&format!("round.{round}"))?;
        let marks = evidence.text(&format!("marks.{round}"))?;
        let begun = marks.lines().map(|line| {
            let (uptime, scenario) = line.split_once(' ').context("a mark is cut short")?;
            let (seconds, hundredths) = uptime.split_once('.').context("a mark has no time")?;
            let time = seconds.parse::<u64>()? * 100 + hundredths.parse::<u64>()?;
            Ok((time * 10_000_000, scenario.to_owned()))
        });
        Ok(Self {
            recording,
            begun: begun.collect::<Result<_>>()?,
        })
    }

    /// The findings by scenario. One that was made at the trace's end belongs to where what it says began.
    fn by_scenario(&self) -> Result<BTreeMap<&str, Found<'_>>> {
        // One that becomes worse is written again.
        let findings: BTreeMap<&str, &Value> = self
            .recording
            .findings
            .iter()
            .map(|finding| (text(finding, "/fingerprint"), finding))
            .collect();
        let mut found: BTreeMap<&str, Found<'_>> = BTreeMap::new();
        for finding in findings.into_values() {
            let first = number(finding, "/first")?;
            let time = number(finding, "/order/0/time").map_or(first, |time| time.min(first));
            let later = self.begun.partition_point(|(begun, _)| *begun <= time);
            let scenario = later.checked_sub(1).and_then(|index| self.begun.get(index));
            let (_, scenario) =
                scenario.with_context(|| format!("found before the first scenario: {finding}"))?;
            let key = (text(finding, "/rule"), text(finding, "/severity"));
            let of_scenario = found.entry(scenario).or_default();
            of_scenario.entry(key).or_default().push(finding);
        }
        Ok(found)
    }
}

fn as_the_table_says(evidence: &Evidence) -> Result<()> {
    compare(evidence, &rows()?, |_, _, _| Ok(false))
}

/// Compares what was found in scenarios with what the table says. `lacks` says whether a rule's finding in a scenario,
/// of a round with this recording, can't be found.
pub(super) fn compare(
    evidence: &Evidence,
    rows: &[Row],
    lacks: impl Fn(&Row, &str, &Recording) -> Result<bool>,
) -> Result<()> {
    let column = column(evidence.series()).context("there is no column for this kernel")?;
    let rounds: BTreeSet<u32> = rows.iter().map(|row| row.round).collect();
    let mut wrong = String::new();
    for round in rounds {
        let recorded = Round::read(evidence, round)?;
        let found = recorded.by_scenario()?;
        for row in rows.iter().filter(|row| row.round == round) {
            let nothing = BTreeMap::new();
            let found = found.get(row.scenario).unwrap_or(&nothing);
            let expected = row.findings(column);
            for &(rule, severity) in &expected {
                let lacks = lacks(row, rule, &recorded.recording)?;
                if found.contains_key(&(rule, severity)) == lacks {
                    let what = if lacks { "was found" } else { "is missing" };
                    writeln!(wrong, "{}: {rule}={severity} {what}", row.scenario)?;
                }
            }
            for (key, findings) in found {
                let (rule, severity) = key;
                let slow_console = *rule == "DR019" && WARNED_OF_IN_RELEASE.contains(&row.scenario);
                // What can't be found as it is may be found as less.
                let lesser = expected.iter().any(|(expected, _)| expected == rule)
                    && lacks(row, rule, &recorded.recording)?;
                if !(expected.contains(key) || slow_console || lesser) {
                    let summaries: Vec<&str> = findings
                        .iter()
                        .map(|finding| text(finding, "/summary"))
                        .collect();
                    writeln!(
                        wrong,
                        "{}: {rule}={severity} was not expected: {}",
                        row.scenario,
                        summaries.join(" | ")
                    )?;
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

/// The verdicts rest on everything having been seen, and say so.
fn all_is_seen(evidence: &Evidence) -> Result<()> {
    for round in rows()?.iter().map(|row| row.round).collect::<BTreeSet<_>>() {
        let recorded = Round::read(evidence, round)?;
        recorded
            .recording
            .ensure_whole()
            .with_context(|| format!("round {round}"))?;
        if round == 0 {
            recorded.recording.ensure_nothing_wrong()?;
            recorded.recording.ensure_exited(0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the module's scenarios, from its sources.
    fn of_module() -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for file in std::fs::read_dir(crate::workspace::root().join("tests/kmod"))? {
            let path = file?.path();
            if path.extension().is_some_and(|kind| kind == "c") {
                let source = std::fs::read_to_string(path)?;
                let entries = source.lines().filter_map(|line| {
                    line.strip_prefix("\t{ \"")?
                        .split_once('"')
                        .filter(|(_, rest)| rest.starts_with(", \""))
                        .map(|(name, _)| name.to_owned())
                });
                names.extend(entries);
            }
        }
        Ok(names)
    }

    #[test]
    fn the_table_has_every_scenario_once() -> Result<()> {
        let rows = rows()?;
        let listed: BTreeSet<String> = rows.iter().map(|row| row.scenario.to_owned()).collect();
        assert_eq!(listed.len(), rows.len());
        let mut expected = of_module()?;
        // These undo what others left, or only make a device.
        for name in [
            "unloaded-callback-clean",
            "self-reference-clean",
            "platform-register",
            "platform-unregister",
            "unwind-register",
            "unwind-unregister",
            // These need a device tree: boards have tests of their own.
            "pm-detach-genpd",
            "pm-detach-genpd-ok",
        ] {
            assert!(expected.remove(name), "{name}");
        }
        assert!(expected.insert("unloaded-callback".to_owned()));
        assert_eq!(listed, expected);
        Ok(())
    }

    #[test]
    fn right_scenarios_are_in_the_first_round_and_nothing_above_info_is_expected_there()
    -> Result<()> {
        for row in rows()? {
            if row.scenario.ends_with("-ok") {
                assert_eq!(row.round, 0, "{}", row.scenario);
            }
            for column in 0..KERNELS.len() {
                let wrong = row
                    .findings(column)
                    .iter()
                    .any(|(_, severity)| *severity != "info");
                assert!(!(wrong && row.round == 0), "{}", row.scenario);
            }
        }
        Ok(())
    }
}
