//! How fast records from the ring buffer become events and go through the model and the rules.

mod records;

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Outcome},
    event::Hook,
    evidence::{Attachment, Coverage, HookCoverage, HookState},
    rules::RuleSet,
    source::live::{Decoder, NoMemory, Stacks, SymbolService, Symbols},
};
use divan::{Bencher, counter::ItemsCount};
use tracer_ebpf::Layout;
use zerocopy::FromZeros as _;

/// Records that one run takes in.
const RECORDS: usize = 10_000_000;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn decode_model_and_all_rules(bencher: Bencher<'_, '_>) {
    let cycle = records::cycle();
    let rounds = RECORDS.div_ceil(cycle.len());
    bencher
        .counter(ItemsCount::new(rounds * cycle.len()))
        .bench_local(|| {
            let outcome = run(&cycle, rounds);
            assert_eq!((outcome.desyncs, outcome.lost), (0, 0));
            // That the interrupt outlives remove is worth knowing, and nothing else is wrong.
            let found: Vec<_> = outcome.findings.iter().map(|found| found.rule).collect();
            assert_eq!(found, ["DR014"]);
            outcome
        });
}

fn run(cycle: &[Vec<u8>], rounds: usize) -> Outcome {
    let symbols = SymbolService::fixed(Symbols::default());
    let mut decoder = Decoder::new(Layout::new_zeroed(), None, true, symbols, Stacks::new(None));
    let mut engine = Engine::new(Arc::new(coverage()), RuleSet::all());
    for _ in 0..rounds {
        for record in cycle {
            decoder.decode(record, &mut NoMemory, &mut |event| {
                engine.apply(&event);
            });
        }
    }
    engine.finish()
}

fn coverage() -> Coverage {
    let hooks = Hook::ALL
        .into_iter()
        .map(|hook| HookCoverage {
            hook,
            state: HookState::Attached(Attachment::Fentry),
        })
        .collect();
    Coverage {
        hooks,
        times: true,
        ..Coverage::default()
    }
}
