//! `cargo xtask rules-document`: the tables in docs/rules.md, from what the guest tests expect.
//!
//! So what is written there is what is tested; a test here fails where the two differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::guest_tests::scenarios::{self, KERNELS};
use crate::soak::KNOWN;
use crate::workspace;

/// Where the tables lie in the document: behind the first line, in front of the second.
const MARKERS: [&str; 2] = [
    "<!-- from here on written by `cargo xtask rules-document` -->",
    "<!-- up to here -->",
];

/// Rewrites the tables.
pub(crate) fn run() -> Result<()> {
    let (before, _, after) = parts(&read()?)?;
    fs::write(path(), format!("{before}{}{after}", tables()?)).context("cannot write docs/rules.md")
}

fn path() -> PathBuf {
    workspace::root().join("docs/rules.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).context("cannot read docs/rules.md")
}

/// The document up to the tables, the tables, and what follows.
fn parts(document: &str) -> Result<(String, String, String)> {
    let [begin, end] = MARKERS;
    let (before, rest) = document
        .split_once(begin)
        .context("docs/rules.md lacks the line where the tables begin")?;
    let (tables, after) = rest
        .split_once(end)
        .context("docs/rules.md lacks the line where the tables end")?;
    Ok((
        format!("{before}{begin}"),
        tables.to_owned(),
        format!("{end}{after}"),
    ))
}

/// What stands between the markers.
fn tables() -> Result<String> {
    let mut text = String::from("\n");
    by_rule(&mut text)?;
    by_scenario(&mut text)?;
    known(&mut text)?;
    Ok(text)
}

/// Each rule's name, by its id.
fn names() -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for file in fs::read_dir(workspace::root().join("tracer-user/src/rules"))? {
        let path = file?.path();
        if path.extension().is_some_and(|kind| kind == "md") {
            let page = fs::read_to_string(&path)?;
            let title = page.lines().next().and_then(|line| line.strip_prefix("# "));
            let (id, name) = title
                .and_then(|title| title.split_once(' '))
                .with_context(|| format!("{} has no title", path.display()))?;
            names.insert(id.to_owned(), name.to_owned());
        }
    }
    ensure!(!names.is_empty(), "there are no rules");
    Ok(names)
}

fn by_rule(text: &mut String) -> Result<()> {
    let rows = scenarios::rows()?;
    writeln!(text, "## By rule\n")?;
    writeln!(text, "| rule | {} | scenarios |", KERNELS.join(" | "))?;
    writeln!(text, "|---|{}---|", "---|".repeat(KERNELS.len()))?;
    for (id, name) in names()? {
        let mut cells = Vec::new();
        let mut of_rule = BTreeSet::new();
        for column in 0..KERNELS.len() {
            let mut severities = BTreeSet::new();
            for row in &rows {
                for (rule, severity) in row.findings(column) {
                    if rule == id {
                        severities.insert(severity);
                        of_rule.insert(row.scenario);
                    }
                }
            }
            let worst_first: Vec<&str> = ["error", "warn", "info"]
                .into_iter()
                .filter(|severity| severities.contains(severity))
                .collect();
            cells.push(if worst_first.is_empty() {
                "-".to_owned()
            } else {
                worst_first.join(", ")
            });
        }
        let of_rule: Vec<String> = of_rule.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            text,
            "| {id} {name} | {} | {} |",
            cells.join(" | "),
            of_rule.join(", ")
        )?;
    }
    Ok(())
}

fn by_scenario(text: &mut String) -> Result<()> {
    writeln!(text, "\n## By scenario\n")?;
    writeln!(
        text,
        "Scenarios not listed give no finding: the correct twins, and those that are correct themselves.\n"
    )?;
    writeln!(text, "| scenario | {} |", KERNELS.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(KERNELS.len()))?;
    for row in scenarios::rows()? {
        let cells: Vec<String> = (0..KERNELS.len())
            .map(|column| {
                let findings = row.findings(column);
                let findings: Vec<String> = findings
                    .iter()
                    .map(|(rule, severity)| format!("{rule} {severity}"))
                    .collect();
                if findings.is_empty() {
                    "-".to_owned()
                } else {
                    findings.join(", ")
                }
            })
            .collect();
        if cells.iter().any(|cell| cell != "-") {
            writeln!(text, "| `{}` | {} |", row.scenario, cells.join(" | "))?;
        }
    }
    Ok(())
}

fn known(text: &mut String) -> Result<()> {
    writeln!(text, "\n## Wrong in stock kernels\n")?;
    writeln!(
        text,
        "| rule | bus | kernels | why it is true |\n|---|---|---|---|"
    )?;
    for known in KNOWN {
        let bus = if known.bus.is_empty() {
            "any"
        } else {
            known.bus
        };
        let ((from_major, from_minor), (to_major, to_minor)) = known.kernels;
        let kernels = match (from_major, to_major) {
            (0, u32::MAX) => "all".to_owned(),
            (0, _) => format!("before {to_major}.{to_minor}"),
            (_, u32::MAX) => format!("from {from_major}.{from_minor}"),
            _ => format!("from {from_major}.{from_minor}, before {to_major}.{to_minor}"),
        };
        writeln!(
            text,
            "| {} | {bus} | {kernels} | {} |",
            known.rule, known.reason
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_tables_that_are_tested() -> Result<()> {
        let (_, written, _) = parts(&read()?)?;
        assert!(
            written == tables()?,
            "docs/rules.md says something else: run `cargo xtask rules-document`"
        );
        Ok(())
    }

    /// What the kernel reports in its log no scenario makes it report: fixtures of such logs are tested on the host.
    const OF_LOGS: [&str; 2] = ["DR022", "DR023"];

    #[test]
    fn every_rule_is_found_in_some_scenario() -> Result<()> {
        let rows = scenarios::rows()?;
        for id in names()?.keys().filter(|id| !OF_LOGS.contains(&id.as_str())) {
            let found = rows.iter().any(|row| {
                (0..KERNELS.len())
                    .any(|column| row.findings(column).iter().any(|(rule, _)| rule == id))
            });
            assert!(found, "{id} is in no scenario");
        }
        Ok(())
    }
}
