//! Exercises: cycles, a held file, every device, what is restored.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    super::{Series, evidence::Evidence, recording::text},
    detaches_early, ensure_status, results, test,
};

/// Fails unless all tests of an exercise have passed.
pub(super) fn ensure_exercised(results: &Value) -> Result<()> {
    for name in ["cycles", "same stack", "nothing left", "restored"] {
        ensure_status(results, "exercise", name, "passed")?;
    }
    Ok(())
}

pub(super) fn exercises_pvpanic(evidence: &Evidence) -> Result<()> {
    let early = detaches_early(evidence);
    let exercised = results(evidence, "pvpanic", i32::from(early))?;
    ensure_exercised(&exercised)?;
    let (_, message) = test(&exercised, "exercise", "cycles")?;
    ensure!(message.starts_with("50 cycles"), "{message}");
    let (_, message) = test(&exercised, "exercise", "nothing left")?;
    ensure!(message == "after 50 unbinds", "{message}");
    Ok(())
}

pub(super) fn exercises_lm75(evidence: &Evidence) -> Result<()> {
    let exercised = results(evidence, "lm75", 0)?;
    ensure_exercised(&exercised)?;
    let (_, message) = test(&exercised, "exercise", "cycles")?;
    ensure!(message.starts_with("200 cycles"), "{message}");
    ensure_exercised(&results(evidence, "sensor", 0)?)?;
    ensure_exercised(&results(evidence, "module", 0)?)
}

pub(super) fn holds_a_file(evidence: &Evidence) -> Result<()> {
    let held = results(evidence, "held", 0)?;
    ensure_exercised(&held)?;
    let (status, message) = test(&held, "exercise", "held files")?;
    ensure!(
        status == "passed" && message.contains("temp1_input: read fails with ENODEV"),
        "{status}: {message}"
    );
    Ok(())
}

/// The sensor is exercised, and what the results are written to is not; a run that resumes does neither again.
pub(super) fn exercises_every_device(evidence: &Evidence) -> Result<()> {
    let every = results(evidence, "every", 0)?;
    let resumed = results(evidence, "resumed", 0)?;
    for found in [&every, &resumed] {
        ensure_exercise(found, "i2c/", "passed", "2 cycles")?;
        ensure_exercise(found, "virtio/", "skipped", "from the host")?;
    }
    let (status, message) = test(&resumed, "evidence", "something to judge")?;
    ensure!(
        status == "passed" && message.contains("an earlier run"),
        "{status}: {message}"
    );
    Ok(())
}

/// An unbind that does not end fails its device, by the name of what it waits for; the others are exercised, and a run that
/// resumes says the same.
pub(super) fn gives_up_what_hangs(evidence: &Evidence) -> Result<()> {
    for name in ["hanging", "hung"] {
        let found = results(evidence, name, 1)?;
        let waits = "unbinding platform/devres-test-unwind has not ended within 5 s: it waits in ";
        ensure_exercise(&found, "platform/devres-test-unwind", "failed", waits)?;
        ensure_exercise(
            &found,
            "platform/devres-test-unwind",
            "failed",
            "wait_while_hanging [devres_test]",
        )?;
        ensure_exercise(
            &found,
            "platform/devres-test-unwind-ok",
            "passed",
            "1 cycle",
        )?;
    }
    Ok(())
}

/// Fails unless the exercise of a device whose name begins so ended like this, and says so.
fn ensure_exercise(results: &Value, name: &str, status: &str, words: &str) -> Result<()> {
    let groups = results["groups"].as_array().into_iter().flatten();
    let tests: Vec<&Value> = groups
        .filter(|group| text(group, "/kind") == "exercise")
        .flat_map(|group| group["tests"].as_array().into_iter().flatten())
        .collect();
    let ended = tests.iter().any(|test| {
        text(test, "/name").starts_with(name)
            && text(test, "/status") == status
            && text(test, "/message").contains(words)
    });
    ensure!(ended, "{name} is not {status} with {words:?}: {tests:?}");
    Ok(())
}

/// For tests of what needs a module of Debian's that has a device on the faux bus.
pub(super) fn without_faux_devices(series: Series) -> Option<&'static str> {
    (series < (7, 0)).then_some("no module of this kernel has a device on the faux bus")
}

pub(super) fn exercises_faux(evidence: &Evidence) -> Result<()> {
    let devices = evidence.text("faux.devices")?;
    ensure!(devices.contains("vgem"), "it is not on that bus: {devices}");
    let exercised = results(evidence, "faux", 0)?;
    ensure_exercised(&exercised)?;
    let (_, message) = test(&exercised, "exercise", "same stack")?;
    ensure!(message.contains("vgem"), "{message}");
    Ok(())
}

pub(super) fn stops_and_restores(evidence: &Evidence) -> Result<()> {
    evidence.exited("stopped", 3)?;
    let json = evidence.json_lines("stopped.json")?;
    let stopped = json.first().context("there are no results")?;
    let (status, message) = test(stopped, "exercise", "cycles")?;
    ensure!(
        status == "inconclusive" && message.starts_with("interrupted after "),
        "{status}: {message}"
    );
    ensure!(
        !message.contains("after 0 of"),
        "no cycle was done: {message}"
    );
    ensure_status(stopped, "exercise", "restored", "passed")?;
    let bound = evidence.text("stopped.bound")?;
    ensure!(bound.contains("-0048"), "the sensor is not bound: {bound}");
    Ok(())
}

pub(super) fn catches_growth(evidence: &Evidence) -> Result<()> {
    let growth = results(evidence, "growth", 1)?;
    let assertion = "devres-test-growth-rebind: same-stack-on-rebind";
    let (status, message) = test(&growth, "assertions", assertion)?;
    ensure!(
        status == "failed" && message.contains("binding 2 is not as the first one"),
        "{status}: {message}"
    );
    let growing: Vec<&Value> = growth["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|group| text(group, "/driver") == "devres-test-growth-rebind")
        .collect();
    ensure!(growing.len() == 1, "other devices: {growing:?}");
    let device = text(growing[0], "/name");
    let (status, message) = test(&growth, device, "growth-per-rebind")?;
    ensure!(
        status == "failed" && message.starts_with("binding 2 "),
        "{status}: {message}"
    );
    let steady = results(evidence, "steady", 0)?;
    ensure_status(&steady, "assertions", assertion, "passed")?;

    ensure_exercised(&results(evidence, "platform", 0)?)?;
    let growing = results(evidence, "growing", 1)?;
    let (status, message) = test(&growing, "exercise", "same stack")?;
    // The parameter takes effect with the binding after the next.
    ensure!(
        status == "failed" && message.starts_with("cycle 2: devres-test.0 "),
        "{status}: {message}"
    );
    Ok(())
}
