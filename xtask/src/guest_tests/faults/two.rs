//! Two tracers at once: both see the same.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::{
    Evidence, NodeEvent, Recording, Session, Test, never, number, text, with_functions, without_log,
};

pub(in crate::guest_tests) static SESSION: Session = Session {
    name: "faults-two",
    script: with_functions!(
        r#"
        cat >both <<'END'
devres-tracer trace --json --output inner.jsonl -- sh -euc '
    echo pm-detach-platform >$scenarios/run
    echo group-overlap >$scenarios/run
    echo $device >$driver/unbind
    echo $device >$driver/bind
    : >both.done' >inner.stdout 2>inner.stderr && echo 0 >inner.exit || echo $? >inner.exit
END
        # As in the session of scenarios: once more where a probe was preempted.
        for attempt in 1 2 3; do
            rm -f both.done
            trace outer -- sh ./both
            [ -e both.done ]
            if cat outer.jsonl inner.jsonl | grep '"type":"summary"' | grep -c '"lost":0,' | grep -q 2; then
                break
            fi
        done
    "#
    ),
    tests: &[
        Test {
            name: "fault_two_tracers_see_the_same",
            skipped: without_log,
            check: same_events,
        },
        Test {
            name: "fault_two_tracers_find_the_same",
            skipped: never,
            check: same_findings,
        },
    ],
};

/// What happened to the devices of the test module, in order. Each tracer has its own time of it.
fn happened(recording: &Recording) -> Result<Vec<NodeEvent>> {
    let mut events = recording.node_events()?;
    events.retain(|event| event.device.starts_with("devres-test"));
    for event in &mut events {
        event.time = 0;
    }
    Ok(events)
}

fn same_events(evidence: &Evidence) -> Result<()> {
    let (outer, inner) = (evidence.recording("outer")?, evidence.recording("inner")?);
    outer.ensure_whole()?;
    inner.ensure_whole()?;
    let (outer, inner) = (happened(&outer)?, happened(&inner)?);
    ensure!(inner.len() > 40, "only {} events", inner.len());
    ensure!(
        outer == inner,
        "the outer tracer saw {} events and the inner one {}:\n{outer:?}\n{inner:?}",
        outer.len(),
        inner.len()
    );
    Ok(())
}

fn same_findings(evidence: &Evidence) -> Result<()> {
    let (outer, inner) = (evidence.recording("outer")?, evidence.recording("inner")?);
    let found = |recording: &Recording| -> BTreeSet<(String, String)> {
        let of = |finding, field| text(finding, field).to_owned();
        recording
            .findings
            .iter()
            .map(|finding| (of(finding, "/fingerprint"), of(finding, "/severity")))
            .collect()
    };
    ensure!(!inner.findings.is_empty(), "nothing was found");
    ensure!(
        found(&outer) == found(&inner),
        "the outer tracer found {:?} and the inner one {:?}",
        found(&outer),
        found(&inner)
    );
    ensure!(
        outer.exit_code == inner.exit_code,
        "they ended with {} and {}",
        outer.exit_code,
        inner.exit_code
    );
    for recording in [&outer, &inner] {
        ensure!(number(&recording.summary, "/desyncs")? == 0);
    }
    Ok(())
}
