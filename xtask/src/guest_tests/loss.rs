//! More events than the ring buffer takes: never a clean verdict; and none lost where there is room.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::{for_each_line, number, operation, text};
use super::{Session, Test, never, without_log};

pub(super) static SESSION: Session = Session {
    name: "loss",
    script: r"
        load_test_module
        export scenarios
        trace_script small 'echo many 100000 >$scenarios/run' --quiet --ring-size 4096
        trace_script default 'echo many 20000 >$scenarios/run' --device devres-test-many
        trace_script large 'echo many 100000 >$scenarios/run' --device devres-test-many --ring-size 128M
    ",
    tests: &[
        Test {
            name: "loss_makes_a_run_inconclusive",
            skipped: never,
            check: is_inconclusive,
        },
        Test {
            name: "default_ring_buffer_loses_nothing",
            skipped: without_log,
            check: default_loses_nothing,
        },
        Test {
            name: "large_ring_buffer_loses_nothing",
            skipped: without_log,
            check: large_loses_nothing,
        },
    ],
};

fn is_inconclusive(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("small")?;
    recording.ensure_exited(3)?;
    ensure!(text(&recording.summary, "/verdict") == "inconclusive");
    let lost = number(&recording.summary, "/lost")?;
    ensure!(lost > 0, "nothing was lost");
    let mut told = 0;
    for loss in &recording.losses {
        ensure!(text(loss, "/cause") == "ring_full", "another cause: {loss}");
        told += number(loss, "/count")?;
    }
    ensure!(
        told == lost,
        "the stream tells of {told} lost events, the summary of {lost}"
    );
    let mut by_hook = 0;
    for entry in recording.summary["lost_by"]
        .as_array()
        .into_iter()
        .flatten()
    {
        by_hook += number(entry, "/count")?;
    }
    ensure!(
        by_hook == lost,
        "{by_hook} were lost by hook, {lost} in all"
    );
    Ok(())
}

fn default_loses_nothing(evidence: &Evidence) -> Result<()> {
    loses_nothing(evidence, "default", 20_000)
}

fn large_loses_nothing(evidence: &Evidence) -> Result<()> {
    loses_nothing(evidence, "large", 100_000)
}

fn loses_nothing(evidence: &Evidence, name: &str, count: u64) -> Result<()> {
    evidence.succeeded(name)?;
    let (mut added, mut released, mut lost) = (0, 0, None);
    for_each_line(&evidence.path(&format!("{name}.jsonl")), |line| {
        // The driver core itself adds and removes resources for pin control.
        let is_from_driver = ["devm_kzalloc_release", "devm_action_release", "do_nothing"]
            .contains(&text(&line, "/detail/name"));
        match operation(&line) {
            Some("ADD") if is_from_driver => added += 1,
            Some("REL") if is_from_driver => released += 1,
            _ if text(&line, "/type") == "summary" => lost = Some(number(&line, "/lost")?),
            _ => {}
        }
        Ok(())
    })?;
    ensure!(lost == Some(0), "lost: {lost:?}");
    ensure!(
        (added, released) == (count + 1, count),
        "{added} were added and {released} released"
    );
    Ok(())
}
