//! Devices that come and go in numbers, and under the hands of several tasks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::{Evidence, Session, Test, is_harmless, never, text, with_functions, without_log};
use crate::guest_tests::recording::{for_each_line, operation};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "faults-removal",
    script: with_functions!(
        r#"
        # As in the session of scenarios: once more where a probe was preempted.
        for attempt in 1 2 3; do
            trace_script removed '
                echo fleeting-devices 1000 >$scenarios/run
                echo racing-removals 100 >$scenarios/run' --device 'devres-test-*' --ring-size 32M
            if tail -n 1 removed.jsonl | grep -q '"lost":0,'; then
                break
            fi
        done
    "#
    ),
    tests: &[
        Test {
            name: "fault_devices_that_come_and_go_are_told_apart",
            skipped: without_log,
            check: told_apart,
        },
        Test {
            name: "fault_removals_that_race_accuse_nobody",
            skipped: never,
            check: accuse_nobody,
        },
    ],
};

/// The same, with more of them.
pub(in crate::guest_tests) static MANY: Session = Session {
    name: "faults-removal-many",
    script: with_functions!(
        r#"
        for attempt in 1 2 3; do
            trace_script removed '
                echo fleeting-devices 10000 >$scenarios/run' --device 'devres-test-*' --ring-size 64M
            if tail -n 1 removed.jsonl | grep -q '"lost":0,'; then
                break
            fi
        done
    "#
    ),
    tests: &[Test {
        name: "fault_ten_thousand_devices_are_told_apart",
        skipped: without_log,
        check: ten_thousand,
    }],
};

fn told_apart(evidence: &Evidence) -> Result<()> {
    every_life(evidence, 1000)
}

fn ten_thousand(evidence: &Evidence) -> Result<()> {
    every_life(evidence, 10_000)
}

fn accuse_nobody(evidence: &Evidence) -> Result<()> {
    is_harmless(&evidence.recording("removed")?)
}

/// Each of so many devices has its additions and releases, and addresses were used again.
fn every_life(evidence: &Evidence, devices: u64) -> Result<()> {
    // The driver core itself adds and removes a block for pin control.
    const OWN: [&str; 3] = ["devm_kzalloc_release", "devm_action_release", "do_nothing"];
    let recording = evidence.recording("removed")?;
    recording.ensure_whole()?;
    recording.ensure_exited(0)?;
    drop(recording);
    let mut addresses = BTreeSet::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for_each_line(&evidence.path("removed.jsonl"), |line| {
        if !text(&line, "/device").starts_with("devres-test-fleeting") {
            return Ok(());
        }
        addresses.insert(text(&line, "/address").to_owned());
        if let Some(operation) = operation(&line)
            && OWN.contains(&text(&line, "/detail/name"))
        {
            *counts.entry(operation).or_default() += 1;
        }
        if text(&line, "/detail/function") == "driver_bound" {
            *counts.entry("bound").or_default() += 1;
        }
        Ok(())
    })?;
    let expected = BTreeMap::from([
        ("ADD", 3 * devices),
        ("REM", devices),
        ("REL", 2 * devices),
        ("bound", devices),
    ]);
    ensure!(counts == expected, "{counts:?} instead of {expected:?}");
    ensure!(
        (addresses.len() as u64) < devices / 4,
        "{} addresses of {devices} devices: none was used again",
        addresses.len()
    );
    Ok(())
}
