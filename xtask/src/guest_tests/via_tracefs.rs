//! The kernel's own tracing as a source: it finds what the probes find, and leaves nothing behind.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{Recording, text};
use super::{Session, Test, without_log};

/// Scenarios that tell with what was recorded of them; what existed before plays no part in any.
const SCENARIOS: [&str; 6] = [
    "pm-detach-platform",
    "pm-detach-platform-ok",
    "group-overlap",
    "kfree-below-irq",
    "krealloc-grow",
    "add-in-release",
];

pub(super) static SESSION: Session = Session {
    name: "via-tracefs",
    script: r"
        load_test_module
        for scenario in pm-detach-platform pm-detach-platform-ok group-overlap kfree-below-irq krealloc-grow add-in-release; do
            trace_script tracefs-$scenario 'echo '$scenario' >/sys/kernel/debug/devres_test/run' --via tracefs
            trace_script probes-$scenario 'echo '$scenario' >/sys/kernel/debug/devres_test/run'
        done
        ls /sys/kernel/tracing/instances >left
        devres-tracer trace --via tracefs --quiet --for 60s >killed.stdout 2>killed.stderr &
        until ls /sys/kernel/tracing/instances | grep -q devres-tracer-; do sleep 0.1; done
        kill -KILL $!
        wait $! || true
        run next devres-tracer trace --via tracefs --quiet --for 1s
        ls /sys/kernel/tracing/instances >left-behind-killed
        grep devres_ /sys/kernel/tracing/kprobe_events >>left-behind-killed || true
    ",
    tests: &[
        Test {
            name: "tracefs_finds_what_the_probes_find",
            skipped: without_log,
            check: findings_are_the_same,
        },
        Test {
            name: "tracefs_is_left_as_it_was",
            skipped: without_log,
            check: nothing_is_left,
        },
    ],
};

fn fingerprints(recording: &Recording) -> BTreeSet<(String, String)> {
    recording
        .findings
        .iter()
        .map(|finding| {
            (
                text(finding, "/rule").to_owned(),
                text(finding, "/device").to_owned(),
            )
        })
        .collect()
}

fn findings_are_the_same(evidence: &Evidence) -> Result<()> {
    for scenario in SCENARIOS {
        let tracefs = evidence.recording(&format!("tracefs-{scenario}"))?;
        let probes = evidence.recording(&format!("probes-{scenario}"))?;
        let (found, expected) = (fingerprints(&tracefs), fingerprints(&probes));
        ensure!(
            found.is_subset(&expected),
            "{scenario}: {found:?} instead of {expected:?}"
        );
        // What it does not find it says it could not decide.
        let undecided = tracefs.summary["undecided"].as_array();
        let says_so = |rule: &str| {
            let mut undecided = undecided.into_iter().flatten();
            undecided.any(|one| text(one, "/rule") == rule)
        };
        for (rule, device) in expected.difference(&found) {
            ensure!(
                says_so(rule),
                "{scenario}: {rule} on {device} is missing, and nothing says why"
            );
        }
        ensure!(!tracefs.events.is_empty(), "{scenario}: no events");
    }
    Ok(())
}

fn nothing_is_left(evidence: &Evidence) -> Result<()> {
    for file in ["left", "left-behind-killed"] {
        let left = evidence.text(file)?;
        ensure!(!left.contains("devres"), "{file}: {left}");
    }
    Ok(())
}
