//! How much a live resource takes.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use devres_tracer::{
    engine::Engine,
    event::{AddedNode, Event, EventKind, Hook, Time},
    model::Model,
    rules::RuleSet,
};
use peak_alloc::PeakAlloc;
use support::{Dev, Story, added, whole};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes that the model may take for a live resource, with everything that comes with it.
const MOST_BYTES: usize = 150;

// One test, because both parts read what the whole process has allocated.
#[test]
fn memory_follows_what_lives() {
    a_live_resource_takes_little();
    what_has_gone_leaves_nothing_behind();
    rules_keep_nothing_of_what_has_gone();
}

/// Everything that a rule keeps something for, again and again on the same addresses: what grows then was not
/// dropped with its device or task.
fn rules_keep_nothing_of_what_has_gone() {
    let (parent, child) = (Dev(0xff11_0000_0500_0000), Dev(0xff11_0000_0600_0000));
    let mut story = Story::new();
    for (device, name) in [(parent, "parent"), (child, "child")] {
        story
            .enter(device, Hook::Initialise)
            .named(device, name, "platform", name);
    }
    let mut block = added(0x10_0000, "devm_kzalloc_release", 64);
    block.payload_address = 0x10_0028;
    let mut irq = added(0x20_0000, "devm_irq_release", 16);
    irq.payload = [17, 0x10_0028, 0, 0];
    let mut action = added(0x30_0000, "stop", 64);
    action.action_data = 0x10_0030;
    story
        .add(parent, 0x1000, "devm_kzalloc_release", 8)
        .enter(parent, Hook::Probe)
        .returned(parent, Hook::Probe, Some(-16))
        .rem(parent, 0x1000, "devm_kzalloc_release", 8)
        .enter(parent, Hook::Probe)
        .attach(parent)
        .push(parent, EventKind::Add(block))
        .push(parent, EventKind::Add(irq))
        .bound(parent);
    for _ in 0..3 {
        story
            .enter(child, Hook::Probe)
            .returned(child, Hook::Probe, Some(517));
    }
    story
        .enter(child, Hook::Probe)
        .stack(&["devm_add_action", "child_probe@child", "really_probe"])
        .push(parent, EventKind::Add(action))
        .returned(child, Hook::Probe, Some(5))
        .add(child, 0x40_0000, "stop", 64);
    for number in 0..48 {
        story.add(parent, 0x50_0000 + number * 0x100, "undo", 64);
    }
    for device in [child, parent] {
        // Their releases are missing, as if the last put were the end of all.
        story
            .task("rmmod", 77)
            .enter(device, Hook::Delete)
            .enter(device, Hook::Unbind)
            .enter(device, Hook::Remove)
            .detach(device)
            .leave(device, Hook::Remove)
            .leave(device, Hook::Unbind)
            .leave(device, Hook::Delete)
            .last_put(device);
    }
    // A source defines a stack once.
    let (stacks, events): (Vec<_>, Vec<_>) = story
        .events
        .iter()
        .partition(|event| matches!(event.kind, EventKind::Stack(_)));
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
    for stack in stacks {
        engine.apply(stack);
    }
    let length = events.last().map_or(0, |event| event.time.0) + 1;
    let mut begin = 0;
    let mut round = || {
        for event in &events {
            let time = Time(begin + event.time.0);
            engine.apply(&Event {
                time,
                ..Event::clone(event)
            });
        }
        begin += length;
        ALLOCATED.current_usage()
    };
    // Each round has new lives of which something is missing. The first ten thousand on which a rule has to stay
    // silent are kept, so that `check` can say so of each.
    let early = (0..10_100).map(|_| round()).max().unwrap();
    let late = (0..500).map(|_| round()).max().unwrap();
    let outcome = engine.finish();
    let found: BTreeSet<_> = outcome
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert!(found.len() >= 5, "{found:?}");
    assert!(late < early + 4096, "{} bytes more", late - early);
}

fn a_live_resource_takes_little() {
    let (resources, bytes) = live(1_000, 100);
    assert_eq!(resources, 100_000);
    println!("{} bytes for a live resource", bytes / resources);
    assert!(bytes / resources <= MOST_BYTES, "{}", bytes / resources);
}

fn what_has_gone_leaves_nothing_behind() {
    let before = ALLOCATED.current_usage();
    let mut model = Model::new(Arc::new(whole()));
    let mut after_first = 0;
    for round in 0..200_u64 {
        let mut story = Story::new();
        for number in 0..50 {
            // Other addresses, names and tasks in every round.
            let device = Dev(0xff11_0000_0000_0000 + (round * 50 + number) * 0x1000);
            story
                .task(
                    &format!("task{round}"),
                    u32::try_from(1000 + round).unwrap(),
                )
                .enter(device, Hook::Initialise)
                .enter(device, Hook::Probe)
                .add(
                    device,
                    device.0 + 0x100,
                    &format!("release_{round}_{number}"),
                    8,
                )
                .enter(device, Hook::FinalPut)
                .enter(device, Hook::ReleaseAll)
                .rel(
                    device,
                    device.0 + 0x100,
                    &format!("release_{round}_{number}"),
                    8,
                )
                .returned(device, Hook::ReleaseAll, Some(1))
                .leave(device, Hook::FinalPut)
                .leave(device, Hook::Probe);
        }
        for event in &story.events {
            model.apply(event);
        }
        drop(story);
        if round == 40 {
            after_first = ALLOCATED.current_usage() - before;
        }
    }
    assert_eq!(model.devices().count(), 0);
    let grown = (ALLOCATED.current_usage() - before).saturating_sub(after_first);
    // What stays is a number for each address that was ever used, to tell its next use apart.
    assert!(grown < 160 * 50 * 40, "{grown}");
}

/// How many bytes the model takes for as many live resources: a third memory, a third with a payload,
/// a third actions; added by 300 call sites, with a stack each.
fn live(devices: usize, each: usize) -> (usize, usize) {
    let mut story = Story::new();
    for site in 0..300 {
        story.stack(&[&format!("driver_function_{site}"), "really_probe"]);
    }
    let nodes: Vec<(Event, AddedNode)> = (0..300)
        .map(|site| {
            let (name, size) = [
                ("devm_kzalloc_release", 320),
                ("devm_irq_release", 16),
                ("clk_disable_unprepare", 64),
            ][site % 3];
            let mut node = added(0, name, size);
            if site % 3 == 1 {
                node.payload = [42, 0xff11_0000_0000_1000, 0, 0];
            }
            if site % 3 == 2 {
                node.action_data = 0xff11_0000_0000_2000;
            }
            story.stack(&["driver_function"]).add(Dev(1), 1, name, size);
            (story.events.last().unwrap().clone(), node)
        })
        .collect();
    let stacks: Vec<Event> = story
        .events
        .into_iter()
        .filter(|event| matches!(event.kind, EventKind::Stack(_)))
        .collect();
    let before = ALLOCATED.current_usage();
    let mut model = Model::new(Arc::new(whole()));
    for event in &stacks {
        model.apply(event);
    }
    let mut address = 0xff11_2000_0000_0000;
    for device in 0..devices {
        let subject = Dev(0xff11_0000_0500_0000 + device as u64 * 0x800);
        let mut story = Story::new();
        story
            .enter(subject, Hook::Initialise)
            .enter(subject, Hook::Probe);
        for event in &story.events {
            model.apply(event);
        }
        for (event, node) in nodes.iter().cycle().skip(3 * device).take(each) {
            let mut event = event.clone();
            event.device = subject.address();
            address += 0x80;
            let mut node = node.clone();
            node.node.0 = address;
            event.kind = EventKind::Add(node);
            model.apply(&event);
        }
        let mut story = Story::new();
        story.bound(subject);
        for event in &story.events {
            model.apply(event);
        }
    }
    let bytes = ALLOCATED.current_usage() - before;
    let resources: usize = model
        .devices()
        .map(devres_tracer::model::Device::node_count)
        .sum();
    (resources, bytes)
}
