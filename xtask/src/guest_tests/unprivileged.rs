//! Privileges: the tracer with as few as it needs, and what a traced command has of them.

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::recording::{Recording, text};
use super::{Session, Test, never, without_log};

pub(super) static SESSION: Session = Session {
    name: "unprivileged",
    script: r#"
        mkdir -p /etc
        printf '%s\n' root:x:0:0:root:/:/bin/sh nobody:x:65534:65534:nobody:/:/bin/sh >/etc/passwd
        printf '%s\n' root:x:0: nogroup:x:65534: devices:x:100:nobody >/etc/group

        # with CAPABILITIES COMMAND...: becomes a user that has these and no others, and runs a command.
        with() {
            capabilities=-all,$1
            shift
            exec /usr/local/bin/setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set $capabilities \
                --inh-caps $capabilities --ambient-caps $capabilities "$@"
        }
        # as NAME CAPABILITIES COMMAND...: the same, and leaves what `run` leaves.
        as() {
            name=$1
            shift
            (with "$@") >$name.stdout 2>$name.stderr && echo 0 >$name.exit || echo $? >$name.exit
        }
        all=+bpf,+perfmon,+syslog

        as doctor $all devres-tracer doctor
        as without_bpf +perfmon,+syslog devres-tracer doctor
        as without_perfmon +bpf,+syslog devres-tracer doctor

        # The tracer can't unbind a device now, so this does when it is ready.
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        device=${directory##*/}
        driver=$(readlink -f $directory/driver)
        unbind_under() {
            (with $2 devres-tracer trace --json) >$1.jsonl 2>$1.stderr &
            tracer=$!
            tries=0
            until grep -q '"event":"snapshot"' $1.jsonl; do
                tries=$((tries + 1))
                [ $tries -lt 600 ] || return 1
                sleep 0.1
            done
            echo $device >$driver/unbind
            echo $device >$driver/bind
            echo $device >$driver/unbind
            echo $device >$driver/bind
            kill -INT $tracer
            wait $tracer && echo 0 >$1.exit || echo $? >$1.exit
        }
        unbind_under traced $all
        unbind_under nameless +bpf,+perfmon

        show='ls /proc/self/fd; grep -E "^(Cap|NoNewPrivs|Groups|Uid|Gid)" /proc/self/status'
        run of_root sh -c "$show"
        trace under_root -- sh -c "$show"
        as of_user $all sh -c "$show"
        as under_user $all devres-tracer trace --json --output /dev/null -- sh -c "$show"
        trace kept -- sh -c 'sleep 1; grep CapEff /proc/$PPID/status'
        trace of_another --user nobody -- sh -c "$show"
    "#,
    tests: &[
        Test {
            name: "privileges_three_capabilities_are_enough_without_root",
            skipped: without_log,
            check: enough,
        },
        Test {
            name: "privileges_that_are_missing_are_named",
            skipped: never,
            check: named,
        },
        Test {
            name: "privileges_without_syslog_functions_have_no_names",
            skipped: without_log,
            check: nameless,
        },
        Test {
            name: "privileges_of_a_command_are_the_callers",
            skipped: never,
            check: inherits,
        },
        Test {
            name: "privileges_that_tracing_does_not_take_are_given_up",
            skipped: never,
            check: given_up,
        },
        Test {
            name: "privileges_of_a_command_of_another_user_are_none",
            skipped: never,
            check: keeps_nothing,
        },
    ],
};

fn enough(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("doctor")?;
    let doctor = evidence.text("doctor.stdout")?;
    for expected in ["Everything can be traced.", "capabilities   sufficient"] {
        ensure!(doctor.contains(expected), "no `{expected}`: {doctor}");
    }
    let recording = judged(evidence, "traced")?;
    let names = names(&recording);
    ensure!(
        names.iter().any(|name| name.contains("probe")),
        "no stack has the probe: {names:?}"
    );
    Ok(())
}

fn named(evidence: &Evidence) -> Result<()> {
    for (run, capability) in [
        ("without_bpf", "CAP_BPF"),
        ("without_perfmon", "CAP_PERFMON"),
    ] {
        evidence.exited(run, 4)?;
        let doctor = evidence.text(&format!("{run}.stdout"))?;
        let expected = format!("capabilities   missing: {capability} (");
        ensure!(doctor.contains(&expected), "no `{expected}`: {doctor}");
    }
    Ok(())
}

fn nameless(evidence: &Evidence) -> Result<()> {
    let names = names(&judged(evidence, "nameless")?);
    ensure!(names.is_empty(), "names of functions: {names:?}");
    let said = evidence.text("nameless.stderr")?;
    ensure!(said.contains("CAP_SYSLOG"), "it says only: {said}");
    Ok(())
}

/// A recording of pvpanic, twice unbound: up to 6.16 that is wrong.
fn judged(evidence: &Evidence, name: &str) -> Result<Recording> {
    let recording = evidence.recording(name)?;
    recording.ensure_whole()?;
    let is_wrong = evidence.series() < (6, 17);
    recording.ensure_exited(i32::from(is_wrong))?;
    let rules: Vec<&str> = recording
        .findings
        .iter()
        .map(|finding| text(finding, "/rule"))
        .collect();
    ensure!(rules.contains(&"DR001") == is_wrong, "found: {rules:?}");
    Ok(recording)
}

/// The names of functions in all stacks.
fn names(recording: &Recording) -> Vec<String> {
    let frames = recording
        .events
        .iter()
        .filter_map(|event| event.pointer("/detail/frames")?.as_array())
        .flatten();
    frames
        .filter_map(|frame| frame.pointer("/function/name")?.as_str())
        .map(str::to_owned)
        .collect()
}

fn inherits(evidence: &Evidence) -> Result<()> {
    for (of, under) in [("of_root", "under_root"), ("of_user", "under_user")] {
        let expected = evidence.text(&format!("{of}.stdout"))?;
        ensure!(expected.contains("CapAmb"), "{of}: {expected}");
        let has = evidence.text(&format!("{under}.stdout"))?;
        ensure!(has == expected, "{under}: {has}\ninstead of {expected}");
    }
    Ok(())
}

/// The tracer's, under which the command runs as root with all that there are.
fn given_up(evidence: &Evidence) -> Result<()> {
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, KILL, SYSLOG, PERFMON, BPF.
    let kept = 0b10_1111_u64 | 1 << 34 | 1 << 38 | 1 << 39;
    let has = evidence.text("kept.stdout")?;
    ensure!(
        has.trim() == format!("CapEff:\t{kept:016x}"),
        "it has {has}"
    );
    Ok(())
}

fn keeps_nothing(evidence: &Evidence) -> Result<()> {
    let status = evidence.text("of_another.stdout")?;
    let field = |name: &str| -> Result<Vec<&str>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.with_context(|| format!("no {name} in {status}"))?;
        Ok(line.split_whitespace().collect())
    };
    for (name, expected) in [
        ("Uid:", &["65534"; 4][..]),
        ("Gid:", &["65534"; 4]),
        ("Groups:", &["100", "65534"]),
        ("CapPrm:", &["0000000000000000"]),
        ("CapEff:", &["0000000000000000"]),
        ("CapAmb:", &["0000000000000000"]),
        ("NoNewPrivs:", &["1"]),
    ] {
        let has = field(name)?;
        ensure!(has == expected, "{name} {has:?}");
    }
    Ok(())
}
