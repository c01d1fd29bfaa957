//! How fast events go through the model and the rules.

mod cycle;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Outcome},
    event::Event,
    history::{HistoryObserver, Limits, Window},
    rules::RuleSet,
};
use divan::{Bencher, counter::ItemsCount};
use support::whole;

/// Events that one run takes in.
const EVENTS: usize = 10_000_000;

fn main() {
    divan::main();
    memory();
}

/// Prints how much memory the process has resident while one judge with all rules takes in all events: it grows with what
/// histories and what was found, not with what has happened.
fn memory() {
    let cycle = cycle::cycle();
    let rounds = EVENTS.div_ceil(cycle.len());
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
    println!("{:>12} {:>14}", "events", "resident");
    for round in 1..=rounds {
        for event in &cycle {
            engine.apply(event);
        }
        if round == 1 || round.is_multiple_of(rounds.div_ceil(10)) || round == rounds {
            println!(
                "{:>12} {:>11} kB",
                round * cycle.len(),
                resident_kilobytes()
            );
        }
    }
    println!("{} findings", engine.finish().findings.len());
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

#[divan::bench(sample_count = 3, sample_size = 1)]
fn model_and_lives(bencher: Bencher<'_, '_>) {
    let cycle = cycle::cycle();
    let rounds = EVENTS.div_ceil(cycle.len());
    bencher
        .counter(ItemsCount::new(rounds * cycle.len()))
        .bench_local(|| {
            let mut engine = Engine::new(Arc::new(whole()), RuleSet::none());
            let mut observer = HistoryObserver::new(Limits::default(), Window::default(), false);
            for event in std::iter::repeat_n(&cycle, rounds).flatten() {
                engine.apply_with(event, |change, model| observer.observe(change, model));
            }
            let histories = observer.finish(engine.model());
            assert_eq!(histories.devices.len(), Limits::default().histories);
            histories
        });
}

fn rate(bencher: Bencher<'_, '_>, rules: fn() -> RuleSet) {
    let cycle = cycle::cycle();
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
    let mut engine = Engine::new(Arc::new(whole()), rules);
    for _ in 0..rounds {
        for event in cycle {
            engine.apply(event);
        }
    }
    engine.finish()
}
