//! The test module on boards: a PM domain from the device tree, as chips have it. Up to 6.16 a platform device is detached
//! from it before its resources are released.

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, never};

/// The overlay with the power controller and the device behind it, below the workspace's root.
pub(super) const OVERLAY: &str = "tests/kmod/genpd.dtso";

pub(super) static SESSION: Session = Session {
    name: "genpd",
    script: r"
        insmod /devres_test.ko
        export scenarios
        for scenario in pm-detach-genpd pm-detach-genpd-ok pm-detach-bus pm-detach-bus-ok; do
            trace_script $scenario 'echo '$scenario' >$scenarios/run'
        done
    ",
    tests: &[
        Test {
            name: "genpd_order_is_judged",
            skipped: never,
            check: genpd_order_is_judged,
        },
        Test {
            name: "genpd_module_is_judged_on_boards",
            skipped: never,
            check: bus_order_is_judged,
        },
    ],
};

fn genpd_order_is_judged(evidence: &Evidence) -> Result<()> {
    let is_wrong = evidence.series() < (6, 17);
    check(
        evidence,
        "pm-detach-genpd",
        is_wrong,
        "devres-test-consumer",
    )?;
    check(evidence, "pm-detach-genpd-ok", false, "")
}

/// This bus of the module detaches too early on every kernel.
fn bus_order_is_judged(evidence: &Evidence) -> Result<()> {
    check(evidence, "pm-detach-bus", true, "devres-test-bus")?;
    check(evidence, "pm-detach-bus-ok", false, "")
}

/// Checks that a scenario gives one error of DR001 about `device`, or nothing.
fn check(evidence: &Evidence, scenario: &str, is_wrong: bool, device: &str) -> Result<()> {
    let recording = evidence.recording(scenario)?;
    recording.ensure_whole()?;
    recording.ensure_exited(i32::from(is_wrong))?;
    if !is_wrong {
        return recording.ensure_nothing_wrong();
    }
    let finding = recording.wrong().next().context("there is no finding")?;
    for (field, expected) in [
        ("/rule", "DR001"),
        ("/severity", "error"),
        ("/device", device),
    ] {
        ensure!(
            text(finding, field) == expected,
            "{field} is not {expected}: {finding}"
        );
    }
    ensure!(
        recording.wrong().count() == 1,
        "there are more findings: {:?}",
        recording.findings
    );
    Ok(())
}
