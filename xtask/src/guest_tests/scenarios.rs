//! The test module's situations, wrong and right: what `tests/kmod/README.md` says of each must be what is found.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{number, text};
use super::{Session, Test, never};

pub(super) static SESSION: Session = Session {
    name: "scenarios",
    script: r"
        load_test_module
        export scenarios
        trace_script wrong '
            for name in detach-platform fail-platform defer-platform detach-spi fail-spi defer-spi detach-bus; do
                echo pm-$name >$scenarios/run
            done
        '
        trace_script right '
            for name in detach-platform fail-platform defer-platform detach-spi fail-spi defer-spi detach-bus; do
                echo pm-$name-ok >$scenarios/run
            done
        '
        trace_script memory 'echo pm-detach-memory >$scenarios/run'
    ",
    tests: &[
        Test {
            name: "scenarios_with_early_detach_are_found",
            skipped: never,
            check: wrong_ones_are_found,
        },
        Test {
            name: "scenarios_in_the_right_order_are_clean",
            skipped: never,
            check: right_ones_are_clean,
        },
        Test {
            name: "scenario_with_only_memory_is_information",
            skipped: never,
            check: memory_is_information,
        },
    ],
};

fn wrong_ones_are_found(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("wrong")?;
    recording.ensure_exited(1)?;
    // At unbind, at a failed probe, and at both a deferred probe and the unbind after it.
    let mut expected = BTreeMap::from([("devres-test-bus", 1)]);
    if evidence.series() < (6, 17) {
        expected.insert("devres-test-pm", 4);
    }
    if evidence.series() < (6, 18) {
        expected.insert("devres-test-spi", 4);
    }
    let mut found = BTreeMap::new();
    for finding in &recording.findings {
        ensure!(
            text(finding, "/rule") == "DR001" && text(finding, "/severity") == "error",
            "another finding: {finding}"
        );
        found.insert(text(finding, "/driver"), number(finding, "/count")?);
    }
    ensure!(found == expected, "found {found:?} instead of {expected:?}");
    Ok(())
}

fn right_ones_are_clean(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("right")?;
    ensure!(
        recording.findings.is_empty(),
        "there are findings: {:?}",
        recording.findings
    );
    recording.ensure_whole()?;
    recording.ensure_exited(0)
}

fn memory_is_information(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("memory")?;
    recording.ensure_nothing_wrong()?;
    let expected = usize::from(evidence.series() < (6, 17));
    ensure!(
        recording.findings.len() == expected,
        "{expected} findings were expected: {:?}",
        recording.findings
    );
    recording.ensure_exited(0)
}
