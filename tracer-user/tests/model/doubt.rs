//! What the model takes back when events are missing, and how it bounds what it keeps.

use devres_tracer::{
    event::{EventKind, Hook, LossCause},
    evidence::{Addresses, Before},
    model::{Change, Origin, State, Taint},
};

use super::{
    DEVICE, OTHER, Telling, began, quiet, state,
    support::{Story, added, desyncs, list, whole},
    taints,
};

#[test]
fn disagreements_are_told() {
    let two = |story: &mut Story| {
        story
            .add(DEVICE, 1, "devm_irq_release", 16)
            .add(DEVICE, 2, "devm_clk_release", 16)
            .enter(DEVICE, Hook::ReleaseAll);
    };
    let cases: [(Telling<'_>, &str); 5] = [
        (
            &|story| {
                two(story);
                story.rel(DEVICE, 1, "devm_irq_release", 16);
            },
            "0x1 was released where 0x2 was expected",
        ),
        (
            &|story| {
                two(story);
                story.rel(DEVICE, 3, "devm_irq_release", 16);
            },
            "0x3 was released or removed, and its addition was not seen",
        ),
        (
            &|story| {
                two(story);
                story.rel(DEVICE, 2, "devm_clk_release", 16).returned(
                    DEVICE,
                    Hook::ReleaseAll,
                    Some(1),
                );
            },
            "1 resources should have been released and were not",
        ),
        (
            &|story| {
                two(story);
                story
                    .rel(DEVICE, 2, "devm_clk_release", 16)
                    .rel(DEVICE, 1, "devm_irq_release", 16)
                    .returned(DEVICE, Hook::ReleaseAll, Some(3));
            },
            "the kernel counted 3 releases, the model 2",
        ),
        (
            &|story| {
                story
                    .add(DEVICE, 1, "devm_irq_release", 16)
                    .add(DEVICE, 1, "devm_irq_release", 16);
            },
            "0x1 was added twice",
        ),
    ];
    for (tell, expected) in cases {
        let mut story = began();
        tell(&mut story);
        let (changes, model) = story.run(whole());
        assert_eq!(desyncs(&changes), [expected]);
        assert_eq!(taints(&model, DEVICE), [Taint::Desync]);
        // The same from a source that was not exact is no fault of the model.
        let mut coverage = whole();
        coverage.node_addresses = Addresses::Hashed;
        let (_, model) = quiet(&story, coverage);
        assert_eq!(taints(&model, DEVICE), [Taint::Indistinct]);
    }
}

#[test]
fn doubt_ends_when_a_release_accounts_for_everything() {
    let mut story = began();
    story
        .add(DEVICE, 1, "devm_irq_release", 16)
        .lose(3)
        .add(DEVICE, 2, "devm_irq_release", 16);
    let (_, model) = quiet(&story, whole());
    assert_eq!(taints(&model, DEVICE), [Taint::Loss(LossCause::RingFull)]);

    // A count that doesn't agree proves nothing.
    let mut short = story.clone();
    short
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 2, "devm_irq_release", 16)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (_, model) = quiet(&short, whole());
    assert_eq!(taints(&model, DEVICE), [Taint::Loss(LossCause::RingFull)]);

    // One that does says that the others had gone before.
    story
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 2, "devm_irq_release", 16)
        .rel(DEVICE, 7, "devm_irq_release", 16)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (changes, model) = quiet(&story, whole());
    assert_eq!(taints(&model, DEVICE), []);
    assert!(list(&model, DEVICE).is_empty());
    assert!(
        changes
            .last()
            .unwrap()
            .iter()
            .any(|change| matches!(change, Change::Cleared(_)))
    );
    // A device that began after the loss was never in doubt.
    story
        .lose(1)
        .enter(OTHER, Hook::Initialise)
        .add(OTHER, 9, "devm_irq_release", 16);
    let (_, model) = quiet(&story, whole());
    assert_eq!(taints(&model, OTHER), []);
    assert_eq!(taints(&model, DEVICE), [Taint::Loss(LossCause::RingFull)]);
}

#[test]
fn a_missing_return_does_not_poison_the_task() {
    let mut story = began();
    story
        .enter(OTHER, Hook::Initialise)
        .enter(DEVICE, Hook::Probe)
        .enter(OTHER, Hook::Probe)
        .enter(OTHER, Hook::Bound)
        // The return of the inner probe is missing.
        .returned(DEVICE, Hook::Probe, Some(517));
    let (changes, model) = quiet(&story, whole());
    assert_eq!(model.frames(model.current_task()).len(), 0);
    assert_eq!(state(&model, DEVICE), Some(State::Unbound));
    assert_eq!(state(&model, OTHER), Some(State::Bound));
    assert_eq!(taints(&model, OTHER), [Taint::MissedReturn]);
    assert_eq!(taints(&model, DEVICE), []);
    assert!(matches!(&changes.last().unwrap()[0], Change::Left(left) if left.inferred));
}

#[test]
fn a_thread_number_that_is_used_again_starts_afresh() {
    let mut story = began();
    story.task("old", 50).enter(DEVICE, Hook::Probe);
    let mut reused = story.clone();
    reused.enter(OTHER, Hook::Initialise);
    for event in &mut reused.events[2..] {
        event.task.tgid = 49;
    }
    let again = story.events.pop().map(|mut event| {
        event.time.0 += 1_000_000;
        event
    });
    reused.events.extend(again);
    let (_, model) = quiet(&reused, whole());
    assert_eq!(model.frames(model.current_task()).len(), 1);
}

#[test]
fn tasks_and_depth_are_bounded() {
    let mut story = Story::new();
    for task in 0..6_000 {
        story.task("many", 100 + task).enter(DEVICE, Hook::Delete);
    }
    for _ in 0..1_000 {
        story.task("deep", 50).enter(OTHER, Hook::Delete);
    }
    let (_, model) = quiet(&story, whole());
    assert!(model.frames(model.current_task()).len() <= 128);
    assert!(taints(&model, DEVICE).contains(&Taint::MissedReturn));
}

#[test]
fn a_snapshot_replaces_what_was_known() {
    let mut coverage = whole();
    coverage.before = Before::Snapshot;
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, 3, "devm_irq_release", 16);
    let (_, model) = quiet(&story, coverage.clone());
    assert_eq!(taints(&model, DEVICE), [Taint::FirstSeenHalfway]);

    story.snapshot(
        DEVICE,
        "driver",
        &[
            added(0xa000, "grp<", 0),
            added(2, "devm_clk_release", 8),
            added(0xa028, "grp>", 0),
            added(3, "devm_irq_release", 16),
        ],
    );
    let (_, model) = quiet(&story, coverage.clone());
    assert_eq!(taints(&model, DEVICE), []);
    assert_eq!(list(&model, DEVICE), [0xa000, 2, 0xa028, 3]);
    let device = model.device(DEVICE.address()).unwrap();
    let origins: Vec<_> = device.nodes().map(|(_, node)| node.origin()).collect();
    assert_eq!(origins[0], Origin::Snapshot);
    assert_eq!(origins[3], Origin::Seen);
    assert_eq!(state(&model, DEVICE), Some(State::Probing));

    story
        .release_group(DEVICE, 0xa000)
        .rel(DEVICE, 0xa000, "grp<", 0)
        .rel(DEVICE, 2, "devm_clk_release", 8)
        .returned(DEVICE, Hook::ReleaseGroup, Some(1));
    let (_, model) = quiet(&story, coverage.clone());
    assert_eq!(list(&model, DEVICE), [3]);

    // A torn one only adds, and leaves doubt.
    story.snapshot(DEVICE, "driver", &[added(1, "devm_clk_release", 8)]);
    let Some(EventKind::Snapshot(snapshot)) = story.events.last_mut().map(|event| &mut event.kind)
    else {
        panic!("the last event is a snapshot");
    };
    snapshot.consistent = false;
    let (_, model) = quiet(&story, coverage);
    assert_eq!(list(&model, DEVICE), [1, 3]);
    assert_eq!(taints(&model, DEVICE), [Taint::TornSnapshot]);
}
