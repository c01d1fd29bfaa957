//! The driver pvpanic on a stock kernel: up to 6.16 its device is detached from the PM domain too early.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::recording::{Recording, address, operation, text};
use super::{Session, Test, never, without_log};

const DEVICE: &str = "QEMU0001:00";

pub(super) static SESSION: Session = Session {
    name: "pvpanic",
    script: r"
        # 5.10 has an ACPI driver for it, later kernels have a platform driver.
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        export device=${directory##*/}
        export driver=$(readlink -f $directory/driver)
        trace_script unbind 'echo $device >$driver/unbind'
        trace_script rebind 'echo $device >$driver/bind; echo $device >$driver/unbind'
        echo $device >$driver/bind
        trace one_step --rebind ${driver##*/}
        [ -e $driver/$device ]
    ",
    tests: &[
        Test {
            name: "pvpanic_unbind_is_judged",
            skipped: never,
            check: unbind_is_judged,
        },
        Test {
            name: "pvpanic_rebind_is_judged",
            skipped: never,
            check: rebind_is_judged,
        },
        Test {
            name: "pvpanic_rebind_in_one_step",
            skipped: without_log,
            check: rebind_in_one_step,
        },
        Test {
            name: "pvpanic_additions_have_stacks",
            skipped: without_log,
            check: additions_have_stacks,
        },
    ],
};

fn unbind_is_judged(evidence: &Evidence) -> Result<()> {
    check(evidence, &evidence.recording("unbind")?).map(drop)
}

fn rebind_is_judged(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("rebind")?;
    let Some(finding) = check(evidence, &recording)? else {
        return Ok(());
    };
    for resource in finding["resources"].as_array().into_iter().flatten() {
        let stack = resource["added"]["stack"].to_string();
        ensure!(is_probe(&stack), "not added by the probe: {resource}");
    }
    Ok(())
}

/// `trace --rebind`: the unbind that is judged knows who added what, and who detached the PM domain.
fn rebind_in_one_step(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("one_step")?;
    recording.ensure_whole()?;
    let is_wrong = evidence.series() >= (5, 15) && evidence.series() < (6, 17);
    recording.ensure_exited(i32::from(is_wrong))?;
    // Both unbinds are wrong, and the second, of which more is known, is reported again.
    let finding = recording.findings.last();
    ensure!(finding.is_some() == is_wrong, "found: {finding:?}");
    let Some(finding) = finding else {
        return Ok(());
    };
    let fingerprint = text(finding, "/fingerprint");
    ensure!(
        fingerprint.starts_with("DR001/"),
        "another finding: {finding}"
    );
    for resource in finding["resources"].as_array().into_iter().flatten() {
        let stack = resource["added"]["stack"].to_string();
        ensure!(is_probe(&stack), "not added by the probe: {resource}");
    }
    let fix = text(finding, "/known/fixes/0/commit");
    ensure!(fix == "f99508074e78", "the fix is not told: {finding}");
    Ok(())
}

/// Checks a recording of one unbind, and returns the finding where there must be one.
pub(super) fn check<'a>(
    evidence: &Evidence,
    recording: &'a Recording,
) -> Result<Option<&'a Value>> {
    recording.ensure_whole()?;
    // The ACPI driver of 5.10 has no PM domain.
    if evidence.series() < (5, 15) || evidence.series() >= (6, 17) {
        recording.ensure_exited(0)?;
        ensure!(recording.findings.is_empty(), "there are findings");
        return Ok(None);
    }
    recording.ensure_exited(1)?;
    ensure!(
        recording.findings.len() == 1,
        "there must be one finding: {:?}",
        recording.findings
    );
    let finding = recording.findings.first().context("there is no finding")?;
    for (field, expected) in [
        ("/rule", "DR001"),
        ("/severity", "error"),
        ("/certainty", "confirmed"),
        ("/device", DEVICE),
        ("/bus", "platform"),
    ] {
        ensure!(
            text(finding, field) == expected,
            "{field} is not {expected}: {finding}"
        );
    }
    let resources: Vec<&str> = finding["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|resource| match text(resource, "/name") {
            // Up to 6.3 all actions have the same name.
            "devm_action_release" => text(resource, "/function"),
            name => name,
        })
        .map(|name| name.split(' ').next().unwrap_or_default())
        .collect();
    ensure!(
        resources
            == [
                "pvpanic_remove",
                "devm_kzalloc_release",
                "devm_ioport_map_release"
            ],
        "other resources: {resources:?}"
    );
    Ok(Some(finding))
}

/// Whether a stack leads from the driver core through the driver's probe, or the function that it tail-calls.
fn is_probe(frames: &str) -> bool {
    ["pvpanic_mmio_probe", "devm_pvpanic_probe"]
        .iter()
        .any(|probe| frames.contains(probe))
        && frames.contains("really_probe")
}

fn additions_have_stacks(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("rebind")?;
    let ours: Vec<&Value> = recording
        .events
        .iter()
        .filter(|event| text(event, "/device") == DEVICE)
        .collect();
    let mut released = 0;
    for (index, release) in ours.iter().enumerate() {
        if operation(release) != Some("REL") {
            continue;
        }
        let node = address(release, "/detail/node")?;
        let before = ours.get(..index).unwrap_or_default();
        let addition = before
            .iter()
            .rfind(|event| {
                operation(event) == Some("ADD") && address(event, "/detail/node").ok() == Some(node)
            })
            .with_context(|| format!("its addition was not seen: {release}"))?;
        let stack = &addition["stack"];
        let frames = before
            .iter()
            .rfind(|event| text(event, "/event") == "stack" && &event["detail"]["id"] == stack)
            .with_context(|| format!("its stack is not defined: {addition}"))?;
        ensure!(
            is_probe(&frames["detail"]["frames"].to_string()),
            "not the probe's stack: {frames}"
        );
        released += 1;
    }
    ensure!(released == 3, "{released} resources were released");
    Ok(())
}
