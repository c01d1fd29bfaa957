//! A device's states, instances and additions.

use std::sync::Arc;

use devres_tracer::{
    event::{EventKind, Hook, StackId},
    evidence::Addresses,
    model::{Change, Kind, Model, Origin, State},
};

use super::{
    DEVICE, NOBODY, OTHER, Telling, began, enters, leaves, quiet, state,
    support::{Story, desyncs, recorded, whole, without},
};

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
    // Without devm_krealloc's return the release gives the new address.
    let blind: Vec<_> = story
        .events
        .iter()
        .filter(|event| !matches!(event.kind, EventKind::Leave(ref left) if left.hook == Hook::Krealloc))
        .cloned()
        .collect();
    story.events = blind;
    quiet(&story, without(whole(), &[Hook::Krealloc]));
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
        .bound(DEVICE)
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
