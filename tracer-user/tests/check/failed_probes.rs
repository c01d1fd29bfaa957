//! Probes that were made to fail in an exercise.

use devres_tracer::{
    check::{
        CycleClock, Place, Results, RunEnd, Status, Wanted,
        exercise::{Attempt, Exercised, FailWay, FailedProbes, Outcome},
    },
    engine::Verdict,
    event::{EventKind, Hook, Time},
};

use super::{
    DEVICE, NODES, TODAY, Unbind, begin, bind, story,
    support::{Story, whole},
    test,
};

/// A probe that fails after its first resource, and what it leaves.
fn fail_probe(story: &mut Story, leaving: bool) {
    let (node, name, size) = NODES[0];
    story
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, node, name, size)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, node, name, size)
        .returned(DEVICE, Hook::ReleaseAll, Some(1));
    if leaving {
        story.add(DEVICE, 0x90_0000, "late", 4);
    }
    story
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(12));
}

fn attempt(number: u32, failed: Option<&[&str]>, returned: i64) -> Attempt {
    let functions = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Attempt {
        device: "QEMU0001:00".to_owned(),
        number,
        outcome: Outcome {
            seen: 2,
            failed: failed.map(functions),
            returned,
        },
        bound: returned == 0,
    }
}

/// A cycle as ever, and one whose probe fails at its second acquisition, has no third one, and may differ then.
fn with_a_failed_probe(leaving: bool, last: &[(u64, &str, u64)], done: u64) -> Results {
    let failed = FailedProbes {
        way: Ok(FailWay::Module),
        probes: vec![
            attempt(2, Some(&["devm_kmalloc", "pvpanic_mmio_probe"]), 12),
            attempt(3, None, 0),
        ],
    };
    with_failed_probes(failed, leaving, last, done)
}

/// The same, with these attempts: the last but one is seen to fail, and the last to bind; of what is before them, nothing
/// is seen.
fn with_failed_probes(
    failed: FailedProbes,
    leaving: bool,
    last: &[(u64, &str, u64)],
    done: u64,
) -> Results {
    let mut story = story(&[Unbind::Right]);
    fail_probe(&mut story, leaving);
    bind(&mut story, last);
    let unseen = failed.probes.len() - 2;
    let exercised = Exercised {
        failed_probes: Some(failed),
        wanted: 2,
        done,
        ..Exercised::default()
    };
    let (mut examination, _) = begin("", whole());
    let clock = CycleClock::default();
    let wanted = Wanted::Devices(vec![Place {
        bus: "platform".to_owned(),
        device: "QEMU0001:00".to_owned(),
        driver: "pvpanic-mmio".to_owned(),
    }]);
    examination.watch_cycles(wanted, clock.clone());
    let mut probes = 0;
    for event in &story.events {
        if let EventKind::Enter(call) = &event.kind
            && call.hook == Hook::Probe
        {
            probes += 1;
            let now = Time(event.time.0 - 1);
            if probes < 3 {
                clock.begin(now);
            }
            if probes == 2 {
                (0..unseen).for_each(|_| clock.begin_attempt(now));
            }
            if probes > 1 {
                clock.begin_attempt(now);
            }
        }
        examination.event(event);
    }
    examination.finish(RunEnd {
        exercised: Some(exercised),
        ..RunEnd::on(TODAY)
    })
}

#[test]
fn a_probe_that_was_made_to_fail_must_leave_nothing() {
    let results = with_a_failed_probe(false, &NODES, 2);
    assert_eq!(results.verdict, Verdict::Clean, "{results:?}");
    let (status, message) = test(&results, "exercise", "failed probes");
    assert_eq!(status, Status::Noted, "{message}");
    let lines = &results
        .tests()
        .find(|(_, test)| test.name == "failed probes")
        .unwrap()
        .1
        .lines;
    assert_eq!(
        lines.as_slice(),
        [
            "QEMU0001:00: acquisition 2, devm_kmalloc in pvpanic_mmio_probe: the probe failed with -ENOMEM, 1 resource was released"
        ]
    );
    let left = with_a_failed_probe(true, &NODES, 2);
    let (status, message) = test(&left, "exercise", "failed probes");
    assert_eq!(status, Status::Failed);
    assert!(
        message.contains("left on QEMU0001:00 after the failed probe: late"),
        "{message}"
    );
}

#[test]
fn after_failed_probes_the_device_is_bound_as_before() {
    let results = with_a_failed_probe(false, &NODES[..2], 2);
    let (status, message) = test(&results, "exercise", "same stack");
    assert_eq!(status, Status::Failed);
    assert!(
        message.starts_with("cycle 2: QEMU0001:00 is not as in cycle 1"),
        "{message}"
    );
    let stopped = with_a_failed_probe(false, &NODES, 1);
    let (status, message) = test(&stopped, "exercise", "failed probes");
    assert_eq!(status, Status::Inconclusive, "{message}");
}

/// By fail-nth, which counts the allocations of the whole order to bind.
fn by_fail_nth(first: Attempt) -> Results {
    let stack = [
        "__kernfs_new_node",
        "devm_device_add_groups",
        "pvpanic_mmio_probe",
        "really_probe",
        "vfs_write",
    ];
    let failed = FailedProbes {
        way: Ok(FailWay::FailNth),
        probes: vec![first, attempt(2, Some(&stack), -12), attempt(3, None, 0)],
    };
    with_failed_probes(failed, false, &NODES, 2)
}

#[test]
fn an_allocation_that_fails_before_the_probe_leaves_nothing_open() {
    let results = by_fail_nth(attempt(
        1,
        Some(&["kernfs_fop_write_iter", "vfs_write"]),
        -12,
    ));
    assert_eq!(results.verdict, Verdict::Clean, "{results:?}");
    let (status, message) = test(&results, "exercise", "failed probes");
    assert_eq!(status, Status::Noted, "{message}");
    assert_eq!(
        message,
        "allocations made to fail one by one, by fail-nth (failslab): 2; probes that failed: 1; probes that did without: 0; \
         before the probe: 1"
    );
    let (_, test) = results
        .tests()
        .find(|(_, test)| test.name == "failed probes")
        .unwrap();
    assert_eq!(
        test.lines.as_slice(),
        [
            "QEMU0001:00: allocation 1, kernfs_fop_write_iter in vfs_write: the probe did not begin",
            "QEMU0001:00: allocation 2, __kernfs_new_node for devm_device_add_groups in pvpanic_mmio_probe: binding failed \
             with -ENOMEM, 1 resource was released",
        ]
    );
}

#[test]
fn an_allocation_that_fails_somewhere_without_a_probe_seen_leaves_it_open() {
    // Neither the kernel's log nor an event shows what became of it.
    let results = by_fail_nth(attempt(1, Some(&[]), -12));
    let (status, message) = test(&results, "exercise", "failed probes");
    assert_eq!(status, Status::Inconclusive, "{message}");
    assert!(
        message.contains("how this ended was not seen: allocation 1"),
        "{message}"
    );
    // One that the driver did without is bound, and that is all there is to see.
    let results = by_fail_nth(attempt(1, Some(&[]), 0));
    let (status, message) = test(&results, "exercise", "failed probes");
    assert_eq!(status, Status::Noted, "{message}");
    assert!(message.contains("did without: 1"), "{message}");
}
