//! The kernel's own tracing as a source: it finds what the probes find, or says that it can't, and leaves nothing behind.

use std::cell::RefCell;
use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{Recording, text};
use super::scenarios::{self, trace_scenarios};
use super::{Session, Test, never};

/// What can't be found this way, and why.
const LACKING: &str = include_str!("via_tracefs.table");

/// What can't be found besides where the kernel has no BTF.
const LACKING_WITHOUT_BTF: &str = include_str!("via_tracefs_without_btf.table");

/// Some scenarios, and what is left behind.
pub(super) static SESSION: Session = Session {
    name: "via-tracefs",
    script: concat!(
        trace_scenarios!(
            "--via tracefs",
            "(pm-detach-platform|group-overlap |kfree-below-irq |krealloc-grow |add-in-release )"
        ),
        r"
        ls /sys/kernel/tracing/instances >left
        devres-tracer trace --via tracefs --quiet --for 60s >killed.stdout 2>killed.stderr &
        until ls /sys/kernel/tracing/instances | grep -q devres-tracer-; do sleep 0.1; done
        kill -KILL $!
        wait $! || true
        run next devres-tracer trace --via tracefs --quiet --for 1s
        ls /sys/kernel/tracing/instances >left-behind-killed
        grep devres_ /sys/kernel/tracing/kprobe_events >>left-behind-killed || true
    "
    ),
    tests: &[
        Test {
            name: "tracefs_finds_what_the_probes_find",
            skipped: never,
            check: all_is_found,
        },
        Test {
            name: "tracefs_is_left_as_it_was",
            skipped: never,
            check: nothing_is_left,
        },
    ],
};

/// Every scenario.
pub(super) static ALL: Session = Session {
    name: "via-tracefs-all",
    script: trace_scenarios!("--via tracefs", "."),
    tests: &[Test {
        name: "tracefs_finds_every_scenario",
        skipped: never,
        check: all_is_found,
    }],
};

/// Everything is found but what the table of reasons names; and that is said to be undecided.
fn all_is_found(evidence: &Evidence) -> Result<()> {
    let without_btf = lacking(LACKING_WITHOUT_BTF)?;
    let always = lacking(LACKING)?;
    let traced = evidence.text("table")?;
    let traced: Vec<&str> = traced
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let mut rows = scenarios::rows()?;
    rows.retain(|row| traced.contains(&row.scenario));
    ensure!(rows.len() == traced.len(), "not what was traced: {rows:?}");
    let otherwise = RefCell::new(String::new());
    let compared = scenarios::compare(evidence, &rows, |row, rule, recording| {
        let further = if has_types(recording) {
            &[]
        } else {
            without_btf.as_slice()
        };
        let listed = further
            .iter()
            .chain(&always)
            .find(|lacking| (lacking.scenario, lacking.rule) == (row.scenario, rule));
        let Some(listed) = listed else {
            return Ok(false);
        };
        let undecided = recording.is_undecided(rule);
        if undecided != (listed.said == Said::Undecided) {
            writeln!(
                otherwise.borrow_mut(),
                "{}: what is said of {rule} is not what the table of reasons says",
                row.scenario
            )?;
        }
        Ok(true)
    });
    let otherwise = otherwise.into_inner();
    ensure!(otherwise.is_empty(), "{otherwise}{compared:?}");
    compared
}

/// Whether the kernel has BTF: without, nothing says where a device has its PM domain.
fn has_types(recording: &Recording) -> bool {
    let untold = recording.source["coverage"]["untold"].as_array();
    !untold.into_iter().flatten().any(|one| {
        text(one, "/hook") == "dev_pm_domain_detach" && text(one, "/role") == "pm_domain"
    })
}

/// What a run says of a rule that does not find what it should.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// That it is undecided.
    Undecided,
    /// Nothing.
    Silent,
}

/// A row of the table of reasons.
struct Lacking {
    scenario: &'static str,
    rule: &'static str,
    said: Said,
}

fn lacking(table: &'static str) -> Result<Vec<Lacking>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [scenario, said, rule, _reason, ..] = words.as_slice() else {
                anyhow::bail!("the table of reasons has the line {line:?}");
            };
            let said = match *said {
                "undecided" => Said::Undecided,
                "silent" => Said::Silent,
                _ => anyhow::bail!("what the run says is unknown: {line:?}"),
            };
            Ok(Lacking {
                scenario,
                rule,
                said,
            })
        })
        .collect()
}

fn nothing_is_left(evidence: &Evidence) -> Result<()> {
    for file in ["left", "left-behind-killed"] {
        let left = evidence.text(file)?;
        ensure!(!left.contains("devres"), "{file}: {left}");
    }
    Ok(())
}
