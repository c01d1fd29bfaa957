//! Every device of the machine, unbound and bound again: against the kernel's own record, and as a healthy system.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, never, truth, without_log};

pub(super) static SESSION: Session = Session {
    name: "devices",
    script: concat!(
        "cat >functions <<'END_OF_FUNCTIONS'\n",
        include_str!("cycle.sh"),
        "END_OF_FUNCTIONS\n",
        include_str!("devices.sh")
    ),
    tests: &[
        Test {
            name: "every_event_is_one_of_the_kernel",
            skipped: without_log,
            check: events_are_the_kernels,
        },
        Test {
            name: "all_devices_are_judged_by_what_they_did",
            skipped: never,
            check: verdict_is_true,
        },
    ],
};

fn events_are_the_kernels(evidence: &Evidence) -> Result<()> {
    for line in evidence.text("truth.stats")?.lines() {
        let is_loss = ["overrun:", "commit overrun:", "dropped events:"]
            .iter()
            .any(|what| line.starts_with(what));
        ensure!(
            !is_loss || line.ends_with(": 0"),
            "ftrace lost events: {line}"
        );
    }
    let recording = evidence.recording("all")?;
    recording.ensure_whole()?;
    let truth = truth::parse(&evidence.text("truth")?)?;
    truth.ensure_same(&recording.node_events()?)
}

fn verdict_is_true(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("all")?;
    let cycled = evidence.text("all.stdout")?.lines().count();
    ensure!(cycled >= 25, "only {cycled} devices were unbound and bound");
    for finding in recording.wrong() {
        // The busses whose devices the driver core of the time detaches too early.
        let busses: &[&str] = match evidence.series() {
            series if series < (6, 17) => &["platform", "i2c", "spi"],
            series if series < (6, 18) => &["i2c", "spi"],
            _ => &[],
        };
        ensure!(
            text(finding, "/rule") == "DR001" && busses.contains(&text(finding, "/bus")),
            "nothing is wrong there: {finding}"
        );
    }
    recording.ensure_whole()?;
    let has_error = recording
        .findings
        .iter()
        .any(|finding| text(finding, "/severity") == "error");
    recording.ensure_exited(i32::from(has_error))?;
    let found = recording
        .findings
        .iter()
        .any(|finding| text(finding, "/device") == "QEMU0001:00");
    ensure!(
        found == ((5, 15)..(6, 17)).contains(&evidence.series()),
        "pvpanic was judged wrongly: {:?}",
        recording.findings
    );
    Ok(())
}
