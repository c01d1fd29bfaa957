//! Other ways to attach than those that are tried first.

use anyhow::{Result, bail, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, pvpanic, without_log};

pub(super) static SESSION: Session = Session {
    name: "fallback",
    script: r"
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        export device=${directory##*/}
        export driver=$(readlink -f $directory/driver)
        trace_script unbind 'echo $device >$driver/unbind' --attach kprobe --attach raw_tp
        echo $device >$driver/bind
    ",
    tests: &[Test {
        name: "kprobes_and_raw_tracepoints_are_enough",
        skipped: without_log,
        check: kprobes_are_enough,
    }],
};

fn kprobes_are_enough(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("unbind")?;
    let mut ways = Vec::new();
    for hook in recording.source["coverage"]["hooks"]
        .as_array()
        .into_iter()
        .flatten()
    {
        // How modules come and go is only reported by typed tracepoints; it serves for names, not for verdicts.
        match hook["state"].get("missing") {
            Some(reason) if text(hook, "/hook").starts_with("module_") => {
                ensure!(reason != "", "a hook is missing without a reason: {hook}");
            }
            Some(_) => bail!("a hook is missing: {hook}"),
            None => {}
        }
        ways.push(text(hook, "/state/attached"));
    }
    ensure!(
        ways.contains(&"kprobe") && ways.contains(&"raw_tracepoint"),
        "other ways: {ways:?}"
    );
    ensure!(
        !ways.contains(&"fentry") && !ways.contains(&"tp_btf"),
        "other ways: {ways:?}"
    );
    pvpanic::check(evidence, &recording).map(drop)
}
