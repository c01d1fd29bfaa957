//! How fast events go through the model and the rules.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    event::{AddedNode, Event, EventKind, Hook},
    judge::{Judge, Outcome},
    rules::RuleSet,
};
use divan::{Bencher, counter::ItemsCount};
use support::{Dev, Story, added, whole};

/// Events that one run takes in.
const EVENTS: usize = 10_000_000;
/// Devices that live at the same time.
const DEVICES: u64 = 256;

fn main() {
    divan::main();
    memory();
}

/// Prints how much memory the process has resident while one judge with all rules takes in all events: it grows with what
/// lives and what was found, not with what has happened.
fn memory() {
    let cycle = cycle();
    let rounds = EVENTS.div_ceil(cycle.len());
    let mut judge = Judge::new(Arc::new(whole()), RuleSet::all());
    println!("{:>12} {:>14}", "events", "resident");
    for round in 1..=rounds {
        for event in &cycle {
            judge.apply(event);
        }
        if round == 1 || round.is_multiple_of(rounds.div_ceil(10)) || round == rounds {
            println!(
                "{:>12} {:>11} kB",
                round * cycle.len(),
                resident_kilobytes()
            );
        }
    }
    println!("{} findings", judge.finish().findings.len());
}

/// `VmRSS` of this process.
fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn model_and_all_rules(bencher: Bencher<'_, '_>) {
    rate(bencher, RuleSet::all);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn model_alone(bencher: Bencher<'_, '_>) {
    rate(bencher, RuleSet::none);
}

fn rate(bencher: Bencher<'_, '_>, rules: fn() -> RuleSet) {
    let cycle = cycle();
    let rounds = EVENTS.div_ceil(cycle.len());
    bencher
        .counter(ItemsCount::new(rounds * cycle.len()))
        .bench_local(|| {
            let outcome = run(&cycle, rounds, rules());
            assert_eq!((outcome.desyncs, outcome.lost), (0, 0));
            outcome
        });
}

fn run(cycle: &[Event], rounds: usize, rules: RuleSet) -> Outcome {
    let mut judge = Judge::new(Arc::new(whole()), rules);
    for _ in 0..rounds {
        for event in cycle {
            judge.apply(event);
        }
    }
    judge.finish()
}

/// Devices begin, are probed with 24 resources in a group or without, unbound in the wrong or the right
/// order, and go. It can follow itself.
fn cycle() -> Vec<Event> {
    let mut story = Story::new();
    let devices: Vec<Dev> = (0..DEVICES)
        .map(|number| Dev(0xff11_0000_0500_0000 + number * 0x800))
        .collect();
    for (device, number) in devices.iter().zip(0..) {
        story
            .task("kworker/0:1", 40 + number % 4)
            .enter(*device, Hook::Initialise)
            .named(*device, &format!("dev{number}"), "platform", "driver")
            .enter(*device, Hook::Probe)
            .pinctrl(*device)
            .attach(*device);
        for resource in resources(*device) {
            story.push(*device, EventKind::Add(resource));
        }
        story
            .enter(*device, Hook::Bound)
            .returned(*device, Hook::Probe, Some(0));
        // While the driver is bound it takes and gives back, as for an open or a resume.
        for _ in 0..8 {
            let extra = device.0 + 0x700;
            story.add(*device, extra, "devm_kzalloc_release", 64).rem(
                *device,
                extra,
                "devm_kzalloc_release",
                64,
            );
        }
    }
    for (device, number) in devices.iter().zip(0..) {
        let wrong = number % 8 == 0;
        story
            .task("init", 1)
            .enter(*device, Hook::Delete)
            .enter(*device, Hook::Unbind)
            .enter(*device, Hook::Remove);
        if wrong {
            story.detach(*device);
        }
        story
            .leave(*device, Hook::Remove)
            .enter(*device, Hook::Cleanup)
            .enter(*device, Hook::ReleaseAll);
        let resources = resources(*device);
        for resource in resources.iter().rev() {
            let name = resource.name.as_deref().unwrap_or_default();
            let size = resource.size.unwrap_or_default();
            story.rel(*device, resource.node.0, name, size);
        }
        story.returned(
            *device,
            Hook::ReleaseAll,
            i64::try_from(resources.len()).ok(),
        );
        if !wrong {
            story.detach(*device);
        }
        story
            .leave(*device, Hook::Cleanup)
            .leave(*device, Hook::Unbind)
            .release_nothing(*device)
            .leave(*device, Hook::Delete)
            .enter(*device, Hook::FinalPut)
            .release_nothing(*device)
            .leave(*device, Hook::FinalPut);
    }
    story.events
}

/// A driver's resources: memory with those that point to it, as rules look for.
fn resources(device: Dev) -> Vec<AddedNode> {
    const NAMES: [(&str, u64); 6] = [
        ("devm_kzalloc_release", 320),
        ("devm_ioremap_release", 8),
        ("devm_irq_release", 16),
        ("devm_clk_release", 24),
        ("pm_runtime_disable_action", 64),
        ("devm_gpiod_release", 8),
    ];
    let first = 0xff11_1000_0000_0000 + device.0 * 0x2000;
    NAMES
        .iter()
        .cycle()
        .take(24)
        .zip(0..)
        .map(|((name, size), number)| {
            let mut node = added(first + number * 0x200, name, *size);
            let block = first + number / 6 * 6 * 0x200 + 40;
            match number % 6 {
                0 => node.payload_address = block,
                2 => node.payload = [number + 30, block, 0, 0],
                4 => node.action_data = block + 8,
                _ => {}
            }
            node
        })
        .collect()
}
