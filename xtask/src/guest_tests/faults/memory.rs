//! No room: the disk is full, and a cgroup limits memory.

use anyhow::{Result, ensure};

use super::{
    Evidence, Session, Test, is_harmless, never, nothing_is_left, number, text, with_functions,
    without_log,
};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "faults-memory",
    script: with_functions!(
        r#"
        # A disk on which there is room for the snapshot, and a few thousand events.
        left >untraced.left
        mkdir -p /small
        mount -t tmpfs -o size=48k none /small
        fill='echo $device >$driver/unbind; echo $device >$driver/bind; sleep 1; echo many 10000 >$scenarios/run; sleep 2'
        run full devres-tracer record --output /small/full.dvrt -- sh -euc "$fill; : >full.outlived"
        cat /small/full.dvrt >full.dvrt
        rm /small/full.dvrt
        run full_read devres-tracer trace --json --from full.dvrt --output full_read.jsonl
        none_left full
        trace_script judged "$fill" --quiet --record /small/judged.dvrt --device 'devres-test-*' --ring-size 32M
        umount /small

        mkdir -p /cgroup
        mount -t cgroup2 none /cgroup
        echo +memory >/cgroup/cgroup.subtree_control
        mkdir /cgroup/limited
        limit=/cgroup/limited
        # within NAME SIZE COMMAND...: runs a command with so much memory, and leaves how often the kernel had to kill in NAME.killed.
        within() {
            within_name=$1
            echo $2 >$limit/memory.max
            shift 2
            run $within_name sh -c 'echo $$ >/cgroup/limited/cgroup.procs; exec "$@"' sh "$@"
            grep oom_kill $limit/memory.events >$within_name.killed
        }
        within recorded 96M devres-tracer record --output recorded.dvrt --device 'devres-test-*' -- sh -euc 'echo many 10000 >$scenarios/run'
        within read 24M devres-tracer trace --json --quiet --device 'devres-test-*' --from recorded.dvrt --output read.jsonl

        within tight 12M devres-tracer record --output tight.dvrt -- true

        # Memory is taken from a recorder that has it already.
        echo max >$limit/memory.max
        sh -c 'echo $$ >/cgroup/limited/cgroup.procs; exec devres-tracer record --output starved.dvrt' >/dev/null 2>starved.stderr &
        tracer=$!
        while [ ! -s starved.dvrt ]; do sleep 0.1; done
        sleep 1
        cycle
        sleep 2
        echo 1M >$limit/memory.max || true
        wait $tracer && echo 0 >starved.exit || echo $? >starved.exit
        none_left starved
        run starved_read devres-tracer trace --json --from starved.dvrt --output starved_read.jsonl
        rmdir $limit 2>/dev/null || true
        umount /cgroup 2>/dev/null || true
    "#
    ),
    tests: &[
        Test {
            name: "fault_full_disk_is_one_error",
            skipped: never,
            check: one_error,
        },
        Test {
            name: "fault_full_disk_keeps_what_was_written",
            skipped: without_log,
            check: keeps_what_was_written,
        },
        Test {
            name: "fault_full_disk_does_not_keep_from_judging",
            skipped: never,
            check: judged_all_the_same,
        },
        Test {
            name: "fault_limited_memory_suffices_to_record_and_judge",
            skipped: without_log,
            check: limited_memory_suffices,
        },
        Test {
            name: "fault_tight_cgroup_is_one_error",
            skipped: never,
            check: tight,
        },
        Test {
            name: "fault_starved_recorder_leaves_what_it_wrote",
            skipped: without_log,
            check: starved,
        },
    ],
};

/// So many resources the script adds and releases.
const MANY: u64 = 10_000;
/// The error that a full disk gives.
const FULL: &str = "No space left on device";

fn one_error(evidence: &Evidence) -> Result<()> {
    evidence.exited("full", 4)?;
    let said = evidence.text("full.stderr")?;
    ensure!(
        said.matches(FULL).count() == 1 && said.contains("full.dvrt"),
        "it says:\n{said}"
    );
    ensure!(
        evidence.text("full.outlived").is_err(),
        "the recording went on without a file"
    );
    nothing_is_left(evidence, "full")
}

fn keeps_what_was_written(evidence: &Evidence) -> Result<()> {
    is_read_to_the_cut(evidence, "full_read")
}

/// The file that has no end is read as far as it goes, and said to be cut off.
fn is_read_to_the_cut(evidence: &Evidence, name: &str) -> Result<()> {
    let recording = evidence.recording(name)?;
    recording.ensure_exited(3)?;
    is_harmless(&recording)?;
    let problem = text(&recording.summary, "/problems/0");
    ensure!(
        problem.starts_with("not cleanly finished"),
        "that it was cut off is not said: {problem:?}"
    );
    ensure!(
        recording
            .events
            .iter()
            .any(|event| text(event, "/device") == super::DEVICE),
        "what was written before is not there"
    );
    Ok(())
}

/// `trace --record`: the file is lost, the verdict isn't.
fn judged_all_the_same(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("judged")?;
    recording.ensure_exited(4)?;
    is_harmless(&recording)?;
    // Without the tracepoint, the many resources are seen as they are added, and go with their group.
    let each = if without_log(evidence.series()).is_none() {
        2
    } else {
        1
    };
    ensure!(
        number(&recording.summary, "/events")? > each * MANY,
        "not everything was judged: {}",
        recording.summary_without_coverage()
    );
    let said = evidence.text("judged.stderr")?;
    ensure!(said.matches(FULL).count() == 1, "it says:\n{said}");
    Ok(())
}

fn limited_memory_suffices(evidence: &Evidence) -> Result<()> {
    for name in ["recorded", "read"] {
        evidence.succeeded(name)?;
        let killed = evidence.text(&format!("{name}.killed"))?;
        ensure!(
            killed.lines().all(|line| line.ends_with(" 0")),
            "{name}: {killed}"
        );
    }
    let recording = evidence.recording("read")?;
    recording.ensure_whole()?;
    is_harmless(&recording)?;
    ensure!(number(&recording.summary, "/events")? > 2 * MANY);
    Ok(())
}

/// What the kernel would kill does not begin.
fn tight(evidence: &Evidence) -> Result<()> {
    evidence.exited("tight", 4)?;
    let said = evidence.text("tight.stderr")?;
    ensure!(
        said.contains("/cgroup/limited/memory.max allows 12 MiB") && said.lines().count() == 1,
        "it says:\n{said}"
    );
    let killed = evidence.text("tight.killed")?;
    ensure!(killed == evidence.text("read.killed")?, "{killed}");
    Ok(())
}

fn starved(evidence: &Evidence) -> Result<()> {
    // The shell's word for SIGKILL.
    ensure!(
        evidence.exit_code("starved")? == 137,
        "it was not killed: {}",
        evidence.text("starved.stderr")?
    );
    is_read_to_the_cut(evidence, "starved_read")?;
    nothing_is_left(evidence, "starved")
}
