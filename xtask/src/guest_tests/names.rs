//! Devices that get their name after `device_initialize`: who they are is known while they live.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::{Recording, number, text};
use super::{Session, Test, never};

pub(super) static SESSION: Session = Session {
    name: "names",
    script: r"
        load_test_module
        export scenarios
        # Nothing happens to the card between the loading and the unloading of its driver.
        trace_script drm 'modprobe vgem; sleep 2; rmmod vgem'
        trace_script late 'echo class-late-name >$scenarios/run'
        trace_script chosen 'echo class-late-name >$scenarios/run' --device devres-test-late-name
        trace_script others 'echo class-late-name >$scenarios/run' --device nobody-at-all
    ",
    tests: &[
        Test {
            name: "drm_card_has_its_name_while_it_lives",
            skipped: never,
            check: card_is_named,
        },
        Test {
            name: "late_name_is_known_before_the_next_event_of_the_device",
            skipped: never,
            check: late_name_is_known,
        },
        Test {
            name: "filter_by_name_keeps_what_came_before_the_name",
            skipped: never,
            check: filter_keeps_all,
        },
        Test {
            name: "filter_by_name_leaves_out_who_has_another",
            skipped: never,
            check: filter_leaves_out,
        },
    ],
};

/// How long before a device's next event its name must be known, in nanoseconds.
const BEFORE: u64 = 100_000_000;

/// The first identity with a name that `fits`, and when it was reported.
fn named(recording: &Recording, fits: impl Fn(&str) -> bool) -> Result<(&Value, u64)> {
    let event = recording
        .events
        .iter()
        .filter(|event| text(event, "/event") == "device")
        .find(|event| fits(text(event, "/detail/name")))
        .context("no device has such a name")?;
    Ok((event, number(event, "/time")?))
}

/// When something other than an identity was first reported about a device, after a time.
fn next(recording: &Recording, address: &str, after: u64) -> Result<u64> {
    let times = recording
        .events
        .iter()
        .filter(|event| text(event, "/event") != "device" && text(event, "/address") == address)
        .map(|event| number(event, "/time"))
        .collect::<Result<Vec<u64>>>()?;
    times
        .into_iter()
        .find(|time| *time > after)
        .context("nothing happens to the device after it has a name")
}

fn ensure_named_early(recording: &Recording, fits: impl Fn(&str) -> bool) -> Result<()> {
    let (event, time) = named(recording, fits)?;
    let next = next(recording, text(event, "/address"), time)?;
    ensure!(
        time + BEFORE < next,
        "the name is told at {time}, with the event at {next}: {event}"
    );
    Ok(())
}

fn card_is_named(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("drm")?;
    recording.ensure_whole()?;
    ensure_named_early(&recording, |name| name.starts_with("card"))
}

fn late_name_is_known(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("late")?;
    recording.ensure_whole()?;
    ensure_named_early(&recording, |name| name == "devres-test-late-name")
}

fn filter_keeps_all(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("chosen")?;
    // What is released was added before the device had a name: nothing may be missing.
    recording.ensure_whole()?;
    recording.ensure_nothing_wrong()?;
    recording.ensure_exited(0)?;
    ensure_named_early(&recording, |name| name == "devres-test-late-name")
}

fn filter_leaves_out(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("others")?;
    recording.ensure_exited(3)?;
    ensure!(
        recording.events.is_empty(),
        "a device that is not wanted is shown: {}",
        Value::Array(recording.events)
    );
    Ok(())
}
