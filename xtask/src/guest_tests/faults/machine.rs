//! What happens to the machine: its clock is set, a processor goes and comes, it freezes its tasks as for a suspend.

use anyhow::{Context, Result, ensure};

use super::{
    Evidence, Session, Test, cycles_are_alike, is_harmless, never, with_functions, without_log,
};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "faults-machine",
    script: with_functions!(
        r#"
        cat >disturb <<'END'
cycle() {
    echo $device >$driver/unbind
    echo $device >$driver/bind
}
cycle
now=$(date +%s)
date -s @$((now + 40000000)) >/dev/null
cycle
date -s @$((now - 40000000)) >/dev/null
cycle
date -s @$now >/dev/null

processor=/sys/devices/system/cpu/cpu1/online
echo 0 >$processor
cat $processor >processor
cycle
echo 1 >$processor
cat $processor >>processor
cycle

echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo freezer >/sys/power/pm_test
cat /sys/power/suspend_stats/success >frozen
echo freeze >/sys/power/state
cat /sys/power/suspend_stats/success >>frozen
echo none >/sys/power/pm_test
cycle
END
        # As in the session of scenarios: once more where a probe was preempted.
        for attempt in 1 2 3; do
            trace_script disturbed '. ./disturb'
            if tail -n 1 disturbed.jsonl | grep -q '"lost":0,'; then
                break
            fi
        done
    "#
    ),
    tests: &[
        Test {
            name: "fault_clock_processor_and_freezer_lose_nothing",
            skipped: without_log,
            check: nothing_is_lost,
        },
        Test {
            name: "fault_clock_processor_and_freezer_accuse_nobody",
            skipped: never,
            check: nobody_is_accused,
        },
    ],
};

/// How often the script unbinds and binds.
const CYCLES: usize = 6;

/// The script did what it is to do.
fn has_happened(evidence: &Evidence) -> Result<()> {
    let processor = evidence.text("processor")?;
    ensure!(
        processor == "0\n1\n",
        "the processor was online: {processor}"
    );
    let frozen = evidence.text("frozen")?;
    let counts: Vec<u32> = frozen
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("not how often it was suspended")?;
    ensure!(
        matches!(counts[..], [before, after] if after == before + 1),
        "nothing was frozen: {frozen}"
    );
    Ok(())
}

fn nothing_is_lost(evidence: &Evidence) -> Result<()> {
    has_happened(evidence)?;
    let recording = evidence.recording("disturbed")?;
    recording.ensure_whole()?;
    recording.ensure_exited(0)?;
    cycles_are_alike(&recording, CYCLES)
}

fn nobody_is_accused(evidence: &Evidence) -> Result<()> {
    has_happened(evidence)?;
    is_harmless(&evidence.recording("disturbed")?)
}
