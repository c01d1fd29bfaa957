//! The kernel's own tracing as a source: it finds what the probes find, and leaves nothing behind.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{Recording, text};
use super::scenarios::{self, all_scenarios};
use super::{Session, Test};

pub(super) static SESSION: Session = Session {
    name: "via-tracefs",
    script: all_scenarios!(
        "--via tracefs",
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
            skipped: scenarios::without_expectations,
            check: findings_are_the_same,
        },
        Test {
            name: "tracefs_is_left_as_it_was",
            skipped: scenarios::without_expectations,
            check: nothing_is_left,
        },
    ],
};

/// What is not found is said to be undecided, and nothing else is found.
fn findings_are_the_same(evidence: &Evidence) -> Result<()> {
    scenarios::found_as_the_table_says(evidence, |recording: &Recording, rule| {
        let undecided = recording.summary["undecided"].as_array();
        let mut undecided = undecided.into_iter().flatten();
        undecided.any(|one| text(one, "/rule") == rule)
    })
}

fn nothing_is_left(evidence: &Evidence) -> Result<()> {
    for file in ["left", "left-behind-killed"] {
        let left = evidence.text(file)?;
        ensure!(!left.contains("devres"), "{file}: {left}");
    }
    Ok(())
}
