//! The kernel's own tracing as a source: it finds what the probes find, or says that it can't, and leaves nothing behind.

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::recording::{Recording, text};
use super::scenarios::{self, trace_scenarios};
use super::{Series, Session, Test, without_log};

/// What can't be found this way: kernels, scenario, rule, and why.
const LACKING: &str = include_str!("via_tracefs.table");

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
            skipped: without_log,
            check: all_is_found,
        },
        Test {
            name: "tracefs_is_left_as_it_was",
            skipped: without_log,
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
        skipped: scenarios::without_expectations,
        check: all_is_found,
    }],
};

/// Everything is found but what the table of reasons names; and that is said to be undecided.
fn all_is_found(evidence: &Evidence) -> Result<()> {
    let lacking = lacking(evidence.series())?;
    let traced = evidence.text("table")?;
    let traced: Vec<&str> = traced
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let mut rows = scenarios::rows()?;
    rows.retain(|row| traced.contains(&row.scenario));
    ensure!(rows.len() == traced.len(), "not what was traced: {rows:?}");
    scenarios::compare(evidence, &rows, |row, rule, recording| {
        let listed = lacking.contains(&(row.scenario, rule));
        ensure!(
            !listed || is_undecided(recording, rule),
            "{}: nothing says that {rule} can't be decided",
            row.scenario
        );
        Ok(listed)
    })
}

fn is_undecided(recording: &Recording, rule: &str) -> bool {
    let undecided = recording.summary["undecided"].as_array();
    undecided
        .into_iter()
        .flatten()
        .any(|one| text(one, "/rule") == rule)
}

/// Scenarios and rules of the table of reasons.
fn lacking(series: Series) -> Result<Vec<(&'static str, &'static str)>> {
    let mut lacking = Vec::new();
    for line in LACKING.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (kernels, scenario, rule) = words
            .next()
            .zip(words.next())
            .zip(words.next())
            .map(|((kernels, scenario), rule)| (kernels, scenario, rule))
            .with_context(|| format!("too few columns: {line}"))?;
        ensure!(words.next().is_some(), "no reason: {line}");
        let (major, minor) = series;
        let series = format!("{major}.{minor}");
        let named = |kernel: &str| kernel == series || kernel == major.to_string();
        if kernels == "all" || kernels.split(',').any(named) {
            lacking.push((scenario, rule));
        }
    }
    Ok(lacking)
}

fn nothing_is_left(evidence: &Evidence) -> Result<()> {
    for file in ["left", "left-behind-killed"] {
        let left = evidence.text(file)?;
        ensure!(!left.contains("devres"), "{file}: {left}");
    }
    Ok(())
}
