//! How much a live resource takes.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::sync::Arc;

use devres_tracer::{
    event::{AddedNode, Event, EventKind, Hook},
    model::Model,
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
        story
            .enter(subject, Hook::Bound)
            .returned(subject, Hook::Probe, Some(0));
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
