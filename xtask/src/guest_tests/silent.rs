//! Probes that are attached and don't fire: never a clean verdict, and the reason named.

use anyhow::{Result, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, never, without_log};

pub(super) static SESSION: Session = Session {
    name: "silent",
    script: r#"
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        export device=${directory##*/}
        export driver=$(readlink -f $directory/driver)
        export kprobes=/sys/kernel/debug/kprobes/enabled
        export ftrace=/proc/sys/kernel/ftrace_enabled
        cycle='echo $device >$driver/unbind; echo $device >$driver/bind;'
        # Some kernels report an error where they have disarmed all but one.
        off='{ echo 0 >$kprobes; } 2>/dev/null || :;'
        ways='--attach kprobe,raw_tp,tp_btf'

        trace_script kprobes_during "$off $cycle" $ways
        run kprobes_doctor devres-tracer doctor
        trace_script kprobes_before "$cycle" $ways
        echo 1 >$kprobes
        # Newer kernels don't let it be switched off any more.
        if { echo 0 >$ftrace; } 2>/dev/null; then
            echo 1 >$ftrace
            trace_script ftrace_during "echo 0 >$ftrace; $cycle"
            run ftrace_doctor devres-tracer doctor
            trace_script ftrace_before "$cycle"
            echo 1 >$ftrace
        else
            echo kept >ftrace_kept
        fi

        # Where debugfs is not mounted, only the events themselves tell.
        mkdir -p /elsewhere
        mount -t debugfs none /elsewhere
        umount -l /sys/kernel/debug
        export kprobes=/elsewhere/kprobes/enabled
        trace_script unread_during "$off $cycle" $ways
        trace_script unread_before "$cycle" $ways
        echo 1 >$kprobes
        trace_script unread_idle ':' $ways
        mount -t debugfs none /sys/kernel/debug
        umount /elsewhere
        trace_script idle ':' $ways
        trace_script switched_on "$cycle" $ways
    "#,
    tests: &[
        Test {
            name: "silent_kprobes_are_named",
            skipped: without_log,
            check: kprobes,
        },
        Test {
            name: "silent_ftrace_is_named",
            skipped: without_log,
            check: ftrace,
        },
        Test {
            name: "silent_probes_show_in_the_events_alone",
            skipped: without_log,
            check: events_alone,
        },
        Test {
            name: "nothing_at_all_is_not_clean_where_a_switch_can_not_be_read",
            skipped: never,
            check: idle,
        },
        Test {
            name: "silent_probes_that_fire_again_are_not_called_so",
            skipped: without_log,
            check: switched_on,
        },
    ],
};

fn kprobes(evidence: &Evidence) -> Result<()> {
    during(evidence, "kprobes_during", "kprobes are switched off")?;
    before(evidence, "kprobes_before", "kprobes are switched off")
}

fn ftrace(evidence: &Evidence) -> Result<()> {
    if evidence.text("ftrace_kept").is_ok() {
        return Ok(());
    }
    during(evidence, "ftrace_during", "ftrace is switched off")?;
    before(evidence, "ftrace_before", "ftrace is switched off")?;
    let doctor = evidence.text("ftrace_doctor.stdout")?;
    ensure!(
        doctor.contains("MISSING: fentry: ftrace is switched off"),
        "doctor does not say so:\n{doctor}"
    );
    ensure!(evidence.text("ftrace_doctor.exit")?.trim() == "3");
    Ok(())
}

fn events_alone(evidence: &Evidence) -> Result<()> {
    for name in ["unread_during", "unread_before"] {
        during(evidence, name, "resources were released outside of both")?;
        let recording = evidence.recording(name)?;
        let named = silent(&recording.summary)
            .iter()
            .flat_map(|one| one["hooks"].as_array().into_iter().flatten())
            .any(|hook| hook == "devres_release_all");
        ensure!(
            named,
            "{name}: the hook is not named: {}",
            recording.summary
        );
    }
    Ok(())
}

fn idle(evidence: &Evidence) -> Result<()> {
    during(evidence, "unread_idle", "/sys/kernel/debug/kprobes/enabled")?;
    let recording = evidence.recording("idle")?;
    let silent = silent(&recording.summary);
    ensure!(silent.is_empty(), "a hook is called silent: {silent:?}");
    Ok(())
}

fn switched_on(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("switched_on")?;
    let silent = silent(&recording.summary);
    ensure!(silent.is_empty(), "a hook is called silent: {silent:?}");
    ensure!(text(&recording.summary, "/verdict") != "inconclusive");
    Ok(())
}

fn silent(summary: &serde_json::Value) -> Vec<serde_json::Value> {
    let silent = summary["silent_hooks"].as_array();
    silent.cloned().unwrap_or_default()
}

/// The probes fell silent while attached.
fn during(evidence: &Evidence, name: &str, why: &str) -> Result<()> {
    let recording = evidence.recording(name)?;
    recording.ensure_exited(3)?;
    let silent = silent(&recording.summary);
    ensure!(
        silent.iter().any(|one| text(one, "/why").contains(why)),
        "{name} does not say that {why}: {silent:?}"
    );
    let desyncs = &recording.summary["desyncs"];
    ensure!(
        desyncs == 0,
        "{name}: called a fault of the tracer: {desyncs}"
    );
    Ok(())
}

/// The probes could not have fired to begin with.
fn before(evidence: &Evidence, name: &str, why: &str) -> Result<()> {
    let recording = evidence.recording(name)?;
    recording.ensure_exited(3)?;
    let hooks = recording.source["coverage"]["hooks"].as_array();
    let missing = hooks.into_iter().flatten().any(|hook| {
        text(hook, "/hook") == "devres_release_all" && text(hook, "/state/missing").contains(why)
    });
    ensure!(
        missing,
        "{name} does not say that {why}: {}",
        recording.source
    );
    Ok(())
}
