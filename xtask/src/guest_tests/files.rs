//! Trace files: they give what the run gave that made them, even if the recorder was killed.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::recording::text;
use super::{Session, Test, never, pvpanic};

pub(super) static SESSION: Session = Session {
    name: "files",
    script: r"
        # As in the session pvpanic.
        directory=/sys/bus/acpi/devices/QEMU0001:00
        [ -e $directory/driver ] || directory=$(readlink -f $directory/physical_node)
        export device=${directory##*/}
        export driver=$(readlink -f $directory/driver)

        trace_script live 'echo $device >$driver/unbind; echo $device >$driver/bind' --record live.dvrt
        run replay devres-tracer trace --json --from live.dvrt --output replay.jsonl
        run piped sh -c 'devres-tracer trace --json --from - <live.dvrt | cmp - live.jsonl'

        run recorded devres-tracer record --output recorded.dvrt -- \
            sh -euc 'echo $device >$driver/unbind; echo $device >$driver/bind'
        run judged devres-tracer trace --json --from recorded.dvrt --output judged.jsonl

        devres-tracer record --output killed.dvrt >/dev/null 2>recorder.log &
        recorder=$!
        while [ ! -s killed.dvrt ]; do sleep 0.1; done
        echo $device >$driver/unbind
        echo $device >$driver/bind
        sleep 2
        kill -9 $recorder
        wait $recorder || true
        run killed devres-tracer trace --json --from killed.dvrt --output killed.jsonl

        run rotated devres-tracer record --output rotated.dvrt --max-size 48k -- \
            sh -euc 'for i in $(seq 600); do echo $device >$driver/unbind; echo $device >$driver/bind; done'
        wc -c rotated.*.dvrt >rotated.sizes
        run part devres-tracer trace --json --from rotated.0002.dvrt --output part.jsonl
    ",
    tests: &[
        Test {
            name: "file_gives_the_json_of_its_run",
            skipped: never,
            check: same,
        },
        Test {
            name: "recording_is_judged_like_a_run",
            skipped: never,
            check: judged,
        },
        Test {
            name: "killed_recorder_leaves_the_findings",
            skipped: never,
            check: killed,
        },
        Test {
            name: "second_file_of_a_run_is_read_alone",
            skipped: never,
            check: rotated,
        },
    ],
};

fn same(evidence: &Evidence) -> Result<()> {
    ensure!(
        evidence.exit_code("replay")? == evidence.exit_code("live")?,
        "the replay ended otherwise than the run"
    );
    let read =
        |name: &str| fs::read(evidence.path(name)).with_context(|| format!("{name} can't be read"));
    ensure!(
        read("live.jsonl")? == read("replay.jsonl")?,
        "live.jsonl and replay.jsonl differ"
    );
    evidence.succeeded("piped")
}

fn judged(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("recorded")?;
    pvpanic::check(evidence, &evidence.recording("judged")?).map(drop)
}

fn killed(evidence: &Evidence) -> Result<()> {
    let recording = evidence.recording("killed")?;
    let problem = text(&recording.summary, "/problems/0");
    ensure!(
        problem.starts_with("not cleanly finished"),
        "the summary doesn't say how the file ended: {}",
        recording.summary_without_coverage()
    );
    let wrong = (5, 15) <= evidence.series() && evidence.series() < (6, 17);
    recording.ensure_exited(if wrong { 1 } else { 3 })?;
    let rules: Vec<&str> = recording
        .wrong()
        .map(|finding| text(finding, "/rule"))
        .collect();
    ensure!(
        rules == if wrong { vec!["DR001"] } else { Vec::new() },
        "the findings are {rules:?}"
    );
    Ok(())
}

fn rotated(evidence: &Evidence) -> Result<()> {
    evidence.succeeded("rotated")?;
    let sizes = evidence.text("rotated.sizes")?;
    for line in sizes.lines().filter(|line| line.contains("dvrt")) {
        let size: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        ensure!(size <= 48 << 10, "a file is larger than 48k:\n{sizes}");
    }
    let recording = evidence.recording("part")?;
    ensure!(
        text(&recording.source, "/coverage/before") == "snapshot",
        "the file doesn't begin with a snapshot: {}",
        recording.source
    );
    ensure!(
        recording.summary["desyncs"] == 0 && recording.summary["problems"].is_null(),
        "the file can't be read alone: {}",
        recording.summary_without_coverage()
    );
    Ok(())
}
