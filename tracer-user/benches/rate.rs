//! How fast events go through the model and the rules.

mod cycle;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    event::Event,
    judge::{Judge, Outcome},
    lives::{LifeObserver, Limits, Window},
    rules::RuleSet,
};
use divan::{Bencher, counter::ItemsCount};
use support::whole;

/// Events that one run takes in.
const EVENTS: usize = 10_000_000;

fn main() {
    divan::main();
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
            let mut judge = Judge::new(Arc::new(whole()), RuleSet::none());
            let mut observer = LifeObserver::new(Limits::default(), Window::default(), false);
            for event in std::iter::repeat_n(&cycle, rounds).flatten() {
                judge.apply_with(event, |change, model| observer.observe(change, model));
            }
            let lives = observer.finish(judge.model());
            assert_eq!(lives.lives.len(), Limits::default().lives);
            lives
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
    let mut judge = Judge::new(Arc::new(whole()), rules);
    for _ in 0..rounds {
        for event in cycle {
            judge.apply(event);
        }
    }
    judge.finish()
}
