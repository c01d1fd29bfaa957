//! A tracer that is stopped for a while, and one that is killed.

use anyhow::{Result, ensure};

use super::{
    DEVICE, Evidence, Session, Test, cycles_are_alike, is_counted, is_harmless, never,
    nothing_is_left, text, with_functions, without_log,
};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "faults-stopped",
    script: with_functions!(
        r#"
        left >untraced.left
        devres-tracer trace --json --ring-size 256K --output stopped.jsonl >stopped.stdout 2>stopped.stderr &
        tracer=$!
        await stopped.jsonl '"event":"snapshot"'
        sleep 0.5
        cycle
        # There is room for what happens meanwhile.
        kill -STOP $tracer
        cycle
        sleep 6
        kill -CONT $tracer
        cycle
        sleep 1
        cp stopped.jsonl with_room.jsonl
        # There is none.
        kill -STOP $tracer
        echo many 5000 >$scenarios/run
        sleep 1
        kill -CONT $tracer
        sleep 1
        cycle
        sleep 1
        kill -INT $tracer
        wait $tracer && echo 0 >stopped.exit || echo $? >stopped.exit
        none_left stopped

        # Killed, with each kind of probe.
        for ways in fentry,tp_btf kprobe,raw_tp; do
            name=killed-${ways%,*}
            devres-tracer record --attach $ways --output $name.dvrt >/dev/null 2>$name.stderr &
            tracer=$!
            while [ ! -s $name.dvrt ]; do sleep 0.1; done
            sleep 1
            cycle
            left >$name-alive.left
            kill -KILL $tracer
            wait $tracer || true
            none_left $name
        done
    "#
    ),
    tests: &[
        Test {
            name: "fault_stopped_tracer_catches_up",
            skipped: without_log,
            check: catches_up,
        },
        Test {
            name: "fault_stopped_tracer_counts_what_it_loses",
            skipped: never,
            check: counts,
        },
        Test {
            name: "fault_killed_tracer_leaves_nothing",
            skipped: never,
            check: leaves_nothing,
        },
    ],
};

/// What had happened until the tracer was stopped for the second time: nothing is missing.
fn catches_up(evidence: &Evidence) -> Result<()> {
    let mut recording = evidence.recording("stopped")?;
    let until = evidence.json_lines("with_room.jsonl")?;
    for line in &until {
        ensure!(text(line, "/type") != "loss", "something was lost: {line}");
    }
    recording.events = until
        .into_iter()
        .filter(|line| text(line, "/type") == "event")
        .collect();
    cycles_are_alike(&recording, 3)
}

/// What finds no room is counted where it is missing, and what comes after it is read.
fn counts(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("stopped")?;
    recording.ensure_exited(3)?;
    is_harmless(&recording)?;
    let lost = is_counted(&recording)?;
    ensure!(lost > 0, "nothing was lost");
    let cycle = recording
        .events
        .iter()
        .rposition(|event| text(event, "/device") == DEVICE);
    let overflow = recording
        .events
        .iter()
        .rposition(|event| text(event, "/device") == "devres-test-many");
    ensure!(
        overflow < cycle,
        "the last cycle is not there: {overflow:?}, {cycle:?}"
    );
    nothing_is_left(evidence, "stopped")
}

fn leaves_nothing(evidence: &Evidence) -> Result<()> {
    let before = evidence.text("untraced.left")?;
    for name in ["killed-fentry", "killed-kprobe"] {
        let alive = evidence.text(&format!("{name}-alive.left"))?;
        ensure!(
            alive.lines().count() > before.lines().count() + 10,
            "{name} had nothing in the kernel:\n{alive}"
        );
        nothing_is_left(evidence, name)?;
    }
    Ok(())
}
