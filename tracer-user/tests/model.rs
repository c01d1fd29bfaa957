//! The model on its own: states, groups, doubt, and the sources that see less.

mod support;

use std::sync::Arc;

use devres_tracer::{
    event::{CallDetail, EventKind, Function, Hook, LossCause, NodeReference, StackId},
    evidence::{Addresses, Before, Coverage},
    model::{Change, Changes, Device, Kind, Model, Origin, State, Taint},
};
use support::{Dev, Story, added, desyncs, list, recorded, reduced, reference, whole, without};

const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
const OTHER: Dev = Dev(0xff11_0000_0600_0000);
const NOBODY: Dev = Dev(0);

/// Tells a part of a story.
type Telling<'a> = &'a dyn Fn(&mut Story);

fn state(model: &Model, device: Dev) -> Option<State> {
    model.device(device.address()).map(Device::state)
}

fn taints(model: &Model, device: Dev) -> Vec<Taint> {
    let device = model.device(device.address());
    device.into_iter().flat_map(Device::taints).collect()
}

fn began() -> Story {
    let mut story = Story::new();
    story.enter(DEVICE, Hook::Initialise);
    story
}

fn enters(hook: Hook) -> impl Fn(&mut Story) {
    move |story| {
        story.enter(DEVICE, hook);
    }
}

fn leaves(hook: Hook, value: Option<i64>) -> impl Fn(&mut Story) {
    move |story| {
        story.returned(DEVICE, hook, value);
    }
}

#[track_caller]
fn quiet(story: &Story, coverage: Coverage) -> (Vec<Changes>, Model) {
    let (changes, model) = story.run(coverage);
    assert_eq!(desyncs(&changes), Vec::<String>::new());
    (changes, model)
}

#[test]
fn a_device_goes_through_its_states() {
    let mut model = Model::new(Arc::new(whole()));
    let mut story = Story::new();
    let steps: [(Telling<'_>, State); 12] = [
        (&enters(Hook::Initialise), State::Initialised),
        (&enters(Hook::Probe), State::Probing),
        (&enters(Hook::Cleanup), State::Cleanup),
        (&leaves(Hook::Cleanup, None), State::Probing),
        (&leaves(Hook::Probe, Some(517)), State::Unbound),
        (&enters(Hook::Probe), State::Probing),
        (&enters(Hook::Bound), State::Bound),
        (&leaves(Hook::Probe, Some(0)), State::Bound),
        (&enters(Hook::Delete), State::Bound),
        (&enters(Hook::Remove), State::Removing),
        (&enters(Hook::Cleanup), State::Cleanup),
        (&leaves(Hook::Cleanup, None), State::Deleted),
    ];
    for (number, (step, expected)) in steps.into_iter().enumerate() {
        story.events.clear();
        step(&mut story);
        for event in &story.events {
            model.apply(event);
        }
        assert_eq!(state(&model, DEVICE), Some(expected), "step {number}");
    }
    assert_eq!(model.device(DEVICE.address()).unwrap().binding(), 2);
    story.events.clear();
    story.enter(DEVICE, Hook::FinalPut);
    for event in &story.events {
        model.apply(event);
    }
    assert_eq!(state(&model, DEVICE), Some(State::Dead));
    story.events.clear();
    // A kretprobe doesn't know the device.
    story.leave(NOBODY, Hook::FinalPut);
    for event in &story.events {
        model.apply(event);
    }
    assert_eq!(state(&model, DEVICE), None);
}

#[test]
fn an_address_is_used_again_by_another_instance() {
    let mut story = Story::new();
    story
        .named(DEVICE, "first", "platform", "")
        .enter(DEVICE, Hook::Initialise)
        .add(DEVICE, 0x10, "devm_irq_release", 8)
        .named(DEVICE, "second", "platform", "")
        .enter(DEVICE, Hook::Initialise);
    let (changes, model) = quiet(&story, whole());
    let device = model.device(DEVICE.address()).unwrap();
    assert_eq!(device.key().generation, 2);
    assert_eq!(device.name(), "second");
    assert_eq!(device.node_count(), 0);
    assert!(
        changes
            .last()
            .unwrap()
            .iter()
            .any(|change| matches!(change, Change::DeviceGone { seen: false, .. }))
    );
    assert_eq!(model.tally().devices, 2);
    // The old instance's node can't be mistaken for one of the new.
    story.rem(DEVICE, 0x10, "devm_irq_release", 8);
    let (changes, _) = story.run(whole());
    assert_eq!(desyncs(&changes).len(), 1);
}

#[test]
fn what_has_gone_can_be_looked_at_until_the_next_event() {
    let mut story = began();
    story
        .add(DEVICE, 0x10, "devm_irq_release", 8)
        .rem(DEVICE, 0x10, "devm_irq_release", 8);
    let mut model = Model::new(Arc::new(whole()));
    let mut removed = None;
    for event in &story.events {
        for change in model.apply(event) {
            if let Change::NodeRemoved(node) = change {
                removed = Some(node);
            }
        }
    }
    let node = model.node(removed.unwrap()).unwrap();
    assert_eq!(node.name().map(|name| &**name), Some("devm_irq_release"));
    assert_eq!(model.owner(node).unwrap().address(), DEVICE.address());
}

#[test]
fn an_addition_tells_where_it_came_from() {
    let mut story = began();
    story
        .enter(OTHER, Hook::Initialise)
        .named(OTHER, "prober", "platform", "driver")
        .task("kworker/0:1", 17)
        .enter(OTHER, Hook::Probe)
        .stack(&["devres_add", "driver_probe"])
        .add_action(DEVICE, 0x10, "driver_undo@driver");
    let (_, model) = quiet(&story, whole());
    let device = model.device(DEVICE.address()).unwrap();
    let (_, node) = device.nodes().next().unwrap();
    assert_eq!(node.origin(), Origin::Seen);
    assert_eq!(node.phase(), State::Initialised);
    assert_eq!(
        (node.task().tid, &*node.task().comm.name()),
        (17, "kworker/0:1")
    );
    assert_eq!(node.size(), Some(16));
    assert_eq!(node.stack().unwrap().id, StackId(1));
    assert!(matches!(node.kind(), Kind::Action(_)));
    assert_eq!(node.function().unwrap().to_string(), "driver_undo [driver]");
    let context = node.context().unwrap();
    assert_eq!(context.hook, Hook::Probe);
    assert_eq!(context.device.address, OTHER.address());
    assert_eq!(context.name.as_deref(), Some("prober"));
}

#[test]
fn a_stack_number_that_is_defined_again_does_not_change_the_past() {
    let mut story = began();
    story
        .stack(&["first"])
        .add(DEVICE, 0x10, "devm_irq_release", 8)
        .stack(&["second"]);
    let Some(EventKind::Stack(definition)) = story.events.last_mut().map(|event| &mut event.kind)
    else {
        panic!("the last event defines a stack");
    };
    definition.id = StackId(1);
    let (_, model) = quiet(&story, whole());
    let device = model.device(DEVICE.address()).unwrap();
    let (_, node) = device.nodes().next().unwrap();
    assert_eq!(node.stack().unwrap().frames[0].to_string(), "first+0x2b");
    assert_eq!(
        model.stack(StackId(1)).unwrap().frames[0].to_string(),
        "second+0x2b"
    );
}

#[test]
fn groups_are_selected_and_released_as_measured() {
    // A={2,B<,3} closed while B={3,A>,4} is open: releasing A takes 2 and 3, and B survives with 4.
    let (a, b) = (0xa000, 0xb000);
    let mut story = began();
    story
        .open_group(DEVICE, 0x51, a)
        .add(DEVICE, 2, "act_a", 16)
        .open_group(DEVICE, 0, b)
        .add(DEVICE, 3, "act_b", 16)
        .close_group(DEVICE, 0x51, a)
        .add(DEVICE, 4, "act_c", 16)
        .close_group(DEVICE, 0, b)
        .release_group(DEVICE, 0x51)
        .rel(DEVICE, a, "grp<", 0)
        .rel(DEVICE, 3, "act_b", 16)
        .rel(DEVICE, 2, "act_a", 16)
        .returned(DEVICE, Hook::ReleaseGroup, Some(2));
    let (_, model) = quiet(&story, whole());
    assert_eq!(list(&model, DEVICE), [b, 4, b + 0x28]);
    story
        .release_group(DEVICE, b)
        .rel(DEVICE, b, "grp<", 0)
        .rel(DEVICE, 4, "act_c", 16)
        .returned(DEVICE, Hook::ReleaseGroup, Some(1));
    let (changes, model) = quiet(&story, whole());
    assert!(list(&model, DEVICE).is_empty());
    let selected = changes.iter().flatten().any(|change| {
        matches!(change, Change::Entered(entered)
            if entered.hook == Hook::ReleaseGroup
            && matches!(entered.detail, devres_tracer::model::Detail::Group { selected: Some(_), .. }))
    });
    assert!(selected);
}

#[test]
fn removing_a_group_unlinks_its_end_silently() {
    let mut story = began();
    story
        .open_group(DEVICE, 7, 0xa000)
        .add(DEVICE, 2, "devm_irq_release", 16)
        .close_group(DEVICE, 7, 0xa000)
        .remove_group(DEVICE, 7, 0xa000);
    let (changes, model) = quiet(&story, whole());
    assert_eq!(list(&model, DEVICE), [2]);
    let last = changes.last().unwrap();
    assert!(matches!(
        last[..],
        [.., Change::NodeRemoved(_), Change::NodeVanished(_)]
    ));
}

#[test]
fn a_moved_block_keeps_its_place() {
    let mut story = began();
    story
        .add(DEVICE, 0x1000, "devm_kzalloc_release", 40)
        .add(DEVICE, 0x2000, "devm_irq_release", 16)
        .krealloc(DEVICE, 0x1000, 0x9000)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x2000, "devm_irq_release", 16)
        .rel(DEVICE, 0x9000, "devm_krealloc_release", 4000)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (changes, _) = quiet(&story, whole());
    assert!(
        changes
            .iter()
            .flatten()
            .any(|change| matches!(change, Change::NodeMoved(_)))
    );
    // Without devm_krealloc's return the release tells the new address.
    let blind: Vec<_> = story
        .events
        .iter()
        .filter(|event| !matches!(event.kind, EventKind::Leave(ref left) if left.hook == Hook::Krealloc))
        .cloned()
        .collect();
    story.events = blind;
    quiet(&story, without(whole(), &[Hook::Krealloc]));
}

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

#[test]
fn a_source_without_node_addresses_goes_by_name_and_size() {
    let mut coverage = recorded();
    coverage.node_addresses = Addresses::Absent;
    coverage.before = Before::Nothing;
    let mut story = Story::new();
    story
        .add(DEVICE, 0, "devm_kzalloc_release", 40)
        .add(DEVICE, 0, "devm_kzalloc_release", 32)
        .add(DEVICE, 0, "devm_irq_release", 16)
        .rem(DEVICE, 0, "devm_kzalloc_release", 40)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0, "devm_irq_release", 16)
        .rel(DEVICE, 0, "devm_kzalloc_release", 32)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (_, model) = quiet(&story, coverage.clone());
    assert_eq!(model.device(DEVICE.address()).unwrap().node_count(), 0);
    assert_eq!(taints(&model, DEVICE), []);
    story.rem(DEVICE, 0, "devm_irq_release", 16);
    let (_, model) = quiet(&story, coverage);
    assert_eq!(taints(&model, DEVICE), [Taint::Indistinct]);
}

#[test]
fn a_kernel_log_has_nothing_but_nodes() {
    let mut coverage = recorded();
    coverage = without(coverage, &Hook::ALL[1..]);
    coverage.node_addresses = Addresses::Hashed;
    coverage.device_addresses = Addresses::Absent;
    let mut story = Story::new();
    for _ in 0..2 {
        story
            .add(DEVICE, 1, "devm_kzalloc_release", 40)
            .add(DEVICE, 2, "devm_irq_release", 16)
            .rel(DEVICE, 2, "devm_irq_release", 16)
            .rel(DEVICE, 1, "devm_kzalloc_release", 40)
            // Was there before the log began.
            .rel(DEVICE, 3, "devm_clk_release", 8);
    }
    let (changes, model) = quiet(&story, coverage);
    assert!(list(&model, DEVICE).is_empty());
    let released = changes
        .iter()
        .flatten()
        .filter(|change| matches!(change, Change::NodeReleased { .. }))
        .count();
    assert_eq!(released, 6);
    assert_eq!(taints(&model, DEVICE), [Taint::FirstSeenHalfway]);
}

#[test]
fn removals_on_5_10_are_told_by_function_or_pointer() {
    let mut story = began();
    let mut block = added(0x1000, "devm_kmalloc_release", 0);
    block.size = None;
    block.payload_address = 0x1018;
    let mut pages = added(0x2000, "devm_pages_release", 0);
    pages.payload = [0xff11_0000_7777_0000, 2, 0, 0];
    let mut action = added(0x3000, "devm_action_release", 0);
    action.action_data = 0x42;
    action.function = Some(Arc::new(Function {
        address: 0xffff_ffff_8100_0000,
        name: None,
        module: None,
    }));
    let mut newer = action.clone();
    newer.node.0 = 0x4000;
    for node in [block, pages, action, newer] {
        story.push(DEVICE, EventKind::Add(node));
    }
    let remove = EventKind::RemoveAction {
        function: 0xffff_ffff_8100_0000,
        data: 0x42,
    };
    story.push(DEVICE, remove);
    let (_, model) = quiet(&story, reduced());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);
    story
        .call(DEVICE, Hook::Kfree, CallDetail::Pointer(0x1018))
        .call(
            DEVICE,
            Hook::FreePages,
            CallDetail::Pointer(0xff11_0000_7777_0000),
        );
    let (_, model) = quiet(&story, reduced());
    assert_eq!(list(&model, DEVICE), [0x3000]);
    story
        .enter(DEVICE, Hook::ReleaseAll)
        .returned(DEVICE, Hook::ReleaseAll, Some(2));
    let (changes, _) = story.run(reduced());
    assert_eq!(
        desyncs(&changes),
        ["the kernel counted 2 releases, the model 1"]
    );
}

#[test]
fn an_unnamed_release_is_found_by_its_place() {
    // Before 6.1.175 a moved block has neither name nor size.
    let mut story = began();
    story
        .add(DEVICE, 0x1000, "devm_kzalloc_release", 40)
        .call(DEVICE, Hook::Krealloc, CallDetail::Pointer(0x1028))
        .push(
            DEVICE,
            EventKind::Replace(reference(0x1000, "devm_kzalloc_release", 40)),
        )
        .enter(DEVICE, Hook::ReleaseAll)
        .push(
            DEVICE,
            EventKind::Release(NodeReference {
                node: devres_tracer::event::NodeAddress(0x5000),
                name: None,
                size: Some(0),
            }),
        )
        .returned(DEVICE, Hook::ReleaseAll, Some(1));
    quiet(&story, whole());
}

/// Kernel 5.10, of which additions and releases were recorded and nothing that removes.
fn without_removals() -> Coverage {
    without(reduced(), &[Hook::DevresRemove])
}

#[test]
fn an_address_that_is_added_again_was_removed() {
    let mut story = began();
    story
        .enter(OTHER, Hook::Initialise)
        .add(DEVICE, 0x1000, "devm_kzalloc_release", 40)
        .add(DEVICE, 0x2000, "devm_pinctrl_release", 8)
        .add(DEVICE, 0x3000, "devm_clk_release", 8);
    let mut elsewhere = story.clone();
    elsewhere.add(OTHER, 0x2000, "devm_clk_release", 8);
    let (_, model) = quiet(&elsewhere, without_removals());
    assert_eq!(list(&model, DEVICE), [0x3000]);
    assert_eq!(list(&model, OTHER), [0x2000]);
    assert_eq!(taints(&model, DEVICE), []);
    // Where removals are seen, none was missed that nothing tells of.
    let (_, model) = elsewhere.run(reduced());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);

    story.add(DEVICE, 0x3000, "devm_clk_release", 8);
    let (_, model) = quiet(&story, without_removals());
    assert_eq!(list(&model, DEVICE), [0x1000, 0x2000, 0x3000]);
    assert_eq!(taints(&model, DEVICE), []);
}

#[test]
fn a_group_of_which_nothing_is_known_is_no_disagreement() {
    let mut story = began();
    story
        .release_group(DEVICE, 0)
        .returned(DEVICE, Hook::ReleaseGroup, Some(4));
    for coverage in [recorded(), without(recorded(), &[Hook::DevresLog])] {
        let (_, model) = quiet(&story, coverage);
        assert_eq!(taints(&model, DEVICE), [Taint::Unfitting]);
    }
}

/// Beyond a few groups an index finds them: what it finds is what was found one by one.
#[test]
fn many_groups_are_found_like_few() {
    for count in [3, 40] {
        let mut story = began();
        for group in 0..count {
            story.open_group(DEVICE, 0x100 + group, 0x1_0000 + group * 0x100);
            story.add(DEVICE, 0x90_0000 + group * 0x100, "devm_clk_release", 8);
        }
        // The second overlaps the first and lies within it no more; then all others, the youngest first.
        story.close_group(DEVICE, 0x100, 0x1_0000);
        for group in (1..count).rev() {
            story.close_group(DEVICE, 0x100 + group, 0x1_0000 + group * 0x100);
        }
        let (_, model) = quiet(&story, whole());
        let device = model.device(DEVICE.address()).unwrap();
        let groups: Vec<_> = device.groups().collect();
        assert_eq!(groups.len() as u64, count);
        for (id, open, close) in &groups {
            assert_eq!(device.oldest_group(*id), Some(*open));
            assert_eq!(device.opening(close.unwrap()), Some(*open));
            let first = groups
                .first()
                .map(|(_, open, close)| (*open, close.unwrap()));
            let expected = first.filter(|(first, _)| first != open);
            assert_eq!(device.overlapped(*open), expected, "{id:?} of {count}");
        }
        // Of a closed group goes what lies in it and was not taken before.
        story
            .release_group(DEVICE, 0x100 + count - 1)
            .rel(DEVICE, 0x1_0000 + (count - 1) * 0x100, "grp<", 0)
            .returned(DEVICE, Hook::ReleaseGroup, Some(0));
        let (_, model) = story.run(whole());
        let device = model.device(DEVICE.address()).unwrap();
        assert_eq!(device.groups().count() as u64, count - 1);
    }
}

/// Without addresses a resource is found by what it looks like: the youngest that fits.
#[test]
fn resources_without_addresses_are_found_by_their_looks() {
    let mut coverage = recorded();
    coverage.node_addresses = Addresses::Absent;
    let mut story = began();
    for number in 0..5 {
        story.add(DEVICE, 0, &format!("n{number}_release"), 8);
        story.add(DEVICE, 0, "devm_kzalloc_release", 8 + number % 2);
    }
    story
        .rem(DEVICE, 0, "n0_release", 8)
        .rem(DEVICE, 0, "devm_kzalloc_release", 9);
    let (_, model) = story.run(coverage.clone());
    let device = model.device(DEVICE.address()).unwrap();
    let left: Vec<_> = device
        .nodes()
        .map(|(_, node)| (node.name().unwrap().to_string(), node.size()))
        .collect();
    let block = |size| ("devm_kzalloc_release".to_owned(), Some(size));
    let named = |number| (format!("n{number}_release"), Some(8));
    assert_eq!(
        left,
        [
            block(8),
            named(1),
            block(9),
            named(2),
            block(8),
            named(3),
            named(4),
            block(8)
        ]
    );
}

#[test]
fn a_teardown_is_known_from_its_beginning_to_its_end() {
    let mut model = Model::new(Arc::new(whole()));
    let mut story = Story::new();
    // With which function it began, and whether it is over.
    let steps: [(Telling<'_>, Option<(Hook, bool)>); 14] = [
        (&enters(Hook::Initialise), None),
        (&enters(Hook::Probe), Some((Hook::Probe, false))),
        (&enters(Hook::Cleanup), Some((Hook::Probe, false))),
        (&leaves(Hook::Cleanup, None), Some((Hook::Probe, false))),
        (&leaves(Hook::Probe, Some(517)), Some((Hook::Probe, true))),
        (&enters(Hook::Probe), Some((Hook::Probe, false))),
        (&enters(Hook::Bound), None),
        (&leaves(Hook::Probe, Some(0)), None),
        (&enters(Hook::Unbind), Some((Hook::Unbind, false))),
        (&enters(Hook::Remove), Some((Hook::Unbind, false))),
        (&leaves(Hook::Remove, None), Some((Hook::Unbind, false))),
        (&enters(Hook::Cleanup), Some((Hook::Unbind, false))),
        (&leaves(Hook::Cleanup, None), Some((Hook::Unbind, false))),
        (&leaves(Hook::Unbind, None), Some((Hook::Unbind, true))),
    ];
    for (number, (step, expected)) in steps.into_iter().enumerate() {
        story.events.clear();
        step(&mut story);
        for event in &story.events {
            model.apply(event);
        }
        let device = model.device(DEVICE.address()).unwrap();
        let told = device
            .teardown()
            .map(|teardown| (teardown.root(), teardown.ended().is_some()));
        assert_eq!(told, expected, "step {number}");
    }
}

#[test]
fn a_detach_is_outlived_by_what_came_after_the_attach() {
    let mut story = began();
    story
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, 0x10, "devm_pinctrl_release", 8)
        .attach(DEVICE)
        .add(DEVICE, 0x20, "devm_clk_release", 8)
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0))
        .enter(DEVICE, Hook::Unbind)
        .enter(DEVICE, Hook::Remove)
        .detach(DEVICE);
    let (_, model) = quiet(&story, whole());
    let device = model.device(DEVICE.address()).unwrap();
    let detach = device.teardown().unwrap().detach().unwrap();
    let outlive = device
        .resources()
        .filter(|node| detach.is_outlived_by(node));
    let outlive: Vec<u64> = outlive.map(|node| node.address().0).collect();
    assert_eq!(outlive, [0x20]);
    story.attach(DEVICE);
    let (_, model) = quiet(&story, whole());
    let device = model.device(DEVICE.address()).unwrap();
    assert_eq!(device.teardown().unwrap().detach(), None);
}

#[test]
fn what_lies_there_beyond_what_is_released_was_removed_unseen() {
    for (coverage, count, lost) in [
        (without(reduced(), &[Hook::DevresRemove]), 2, 0),
        (without(reduced(), &[Hook::DevresRemove]), 1, 1),
        (without(reduced(), &[Hook::DevresRemove]), 0, 2),
        (reduced(), 0, 0),
    ] {
        let mut story = began();
        story
            .open_group(DEVICE, 1, 0x10)
            .add(DEVICE, 0x20, "devm_clk_release", 8)
            .add(DEVICE, 0x30, "devm_clk_release", 8)
            .call(DEVICE, Hook::ReleaseAll, CallDetail::Releases(count));
        let (_, model) = story.run(coverage);
        assert_eq!(model.tally().lost, lost, "{count}");
    }
}

#[test]
fn a_marker_that_went_without_its_call_is_a_doubt() {
    let coverage = || without(reduced(), &[Hook::DevresRemove]);
    let mut story = began();
    story
        .open_group(DEVICE, 1, 0x10)
        .remove_group(DEVICE, 1, 0x10)
        .add(DEVICE, 0x10, "devm_clk_release", 8);
    // Where the kernel does not log it, the call alone removes the marker.
    story.events.remove(4);
    let (_, model) = story.run(coverage());
    assert_eq!(taints(&model, DEVICE), []);
    story.events.remove(3);
    let (_, model) = story.run(coverage());
    assert_eq!(taints(&model, DEVICE), [Taint::Unfitting]);
}
