//! From what failed in a run to a file that expects it.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    expectation::{Excuse, Expectation},
    policy::Policy,
    results::{Group, Results, Status, Test},
    selection::Place,
};
use crate::escape::{commands, escape, steers};

/// The expectations under which a run like this one passes: what failed, and what is expected already and
/// was found. What is not about a finding, assertion, limit or exercise can't be expected.
#[must_use]
pub fn write_expectations(results: &Results, policy: &Policy) -> String {
    let kernel = escape(results.kernel.as_deref().unwrap_or("an unnamed kernel"));
    let mut text = format!(
        "# Known findings, made by `devres-tracer check --write-expectations` on {kernel}, {}.\n\
         # Give each a reason, and better still a last day: until = 2027-12-31\n",
        results.date
    );
    let mut written = BTreeSet::new();
    for (group, test) in results.tests() {
        for (fingerprint, rule, status, place) in items(group, test) {
            if matches!(status, Status::Failed | Status::Excused)
                && written.insert(fingerprint.to_owned())
            {
                let known = policy.expectations.iter().find(|known| {
                    known.fits(fingerprint, rule, &place)
                        && matches!(known.excuse(results.date), Excuse::Excused { .. })
                });
                entry(&mut text, fingerprint, known, &kernel, results);
            }
        }
    }
    text
}

/// What of a test can be expected: fingerprint, rule, status and place.
fn items<'a>(
    group: &'a Group,
    test: &'a Test,
) -> Vec<(&'a str, Option<&'static str>, Status, Place)> {
    let place = |driver: Option<&str>| Place {
        bus: group.bus.clone().unwrap_or_default(),
        device: group.device.clone().unwrap_or_default(),
        driver: driver.unwrap_or_default().to_owned(),
    };
    if test.findings.is_empty() {
        let fingerprint = test.fingerprint.as_deref();
        return fingerprint
            .map(|fingerprint| (fingerprint, None, test.status, place(None)))
            .into_iter()
            .collect();
    }
    test.findings
        .iter()
        .map(|judged| {
            (
                judged.finding.fingerprint.as_str(),
                Some(judged.finding.rule),
                judged.status,
                place(judged.finding.driver.as_deref()),
            )
        })
        .collect()
}

/// A text as a basic string of TOML, in one line and inert.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            hidden if steers(hidden) || commands(text, at) => {
                // Writing to a string doesn't fail.
                let _ = write!(quoted, "\\U{:08x}", u32::from(hidden));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

fn entry(
    text: &mut String,
    fingerprint: &str,
    known: Option<&Expectation>,
    kernel: &str,
    results: &Results,
) {
    let reason = known.map_or_else(
        || {
            format!(
                "seen on {kernel} on {}: write down why this is expected",
                results.date
            )
        },
        |known| known.reason.clone(),
    );
    let outcome = known.map_or("fail", |known| known.outcome.name());
    // Writing to a string doesn't fail.
    let _ = write!(
        text,
        "\n[[expect]]\nfingerprint = {}\noutcome = {}\nreason = {}\n",
        quoted(fingerprint),
        quoted(outcome),
        quoted(&reason),
    );
    if let Some(until) = known.and_then(|known| known.until) {
        let _ = writeln!(text, "until = {until}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_inert_and_read_back_as_they_were() {
        for text in [
            "",
            "DR001/platform/lm75",
            "a\"b\\c\"\"\"",
            "\u{1b}[31m\u{9b}2J\u{202e}\u{2028}\u{7f}\n\r\t\0\u{e0001}",
            "##[error] ::error:: <LAVA_SIGNAL_X>",
            "Gerät",
        ] {
            let line = format!("key = {}", quoted(text));
            assert!(!line.contains(steers), "{line:?}");
            assert!(!line.contains("##[") && !line.contains("<LAVA"), "{line}");
            let table: toml::Table = line.parse().unwrap();
            assert_eq!(table["key"].as_str(), Some(text), "{line}");
        }
    }
}
