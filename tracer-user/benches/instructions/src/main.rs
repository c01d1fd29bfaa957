//! Does one kind of work so many times over. `cargo xtask instructions` counts what another round of it takes.

#[path = "../../cycle/mod.rs"]
mod cycle;
#[path = "../../lines/mod.rs"]
mod lines;
#[path = "../../recording/mod.rs"]
mod recording;
#[path = "../../records/mod.rs"]
mod records;
#[path = "../../../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, Cursor};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use devres_tracer::{
    engine::Engine,
    rules::RuleSet,
    source::{
        live::{Decoder, NoMemory, Stacks, SymbolService, Symbols},
        text,
    },
    trace_file::Events,
};
use lines::WriteLines;
use support::whole;
use tracer_ebpf::Layout;
use zerocopy::FromZeros as _;

/// Bytes of text in a round.
const TEXT: usize = 200_000;

/// A kind of work: its name, and what does it so many times. It returns how many events or bytes a round has.
type Work = (&'static str, fn(usize) -> usize);

const WORKS: [Work; 9] = [
    ("decode", decode),
    ("model", |rounds| judge(rounds, RuleSet::none())),
    ("rules", |rounds| judge(rounds, RuleSet::all())),
    ("encode", |rounds| encode(rounds).1),
    ("encode-and-read", read),
    ("text", |rounds| import(rounds, lines::kernel_log)),
    ("other-text", |rounds| {
        import(rounds, lines::kernel_log_of_other_things)
    }),
    ("text-like-functions", |rounds| {
        import(rounds, lines::kernel_log_like_functions)
    }),
    ("functions", |rounds| {
        import(rounds, lines::functions_and_tracepoint)
    }),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok());
    let work = WORKS.iter().find(|(known, _)| *known == name);
    if let (Some((_, work)), Some(rounds)) = (work, rounds) {
        println!("{}", work(rounds));
        return ExitCode::SUCCESS;
    }
    for (name, _) in WORKS {
        println!("{name}");
    }
    ExitCode::from(u8::from(!name.is_empty()))
}

/// From the ring buffer's records to events.
fn decode(rounds: usize) -> usize {
    let cycle = records::cycle();
    let symbols = SymbolService::fixed(Symbols::default());
    let mut decoder = Decoder::new(Layout::new_zeroed(), None, true, symbols, Stacks::new(None));
    let mut events = 0;
    for record in std::iter::repeat_n(&cycle, rounds).flatten() {
        decoder.decode(record, &mut NoMemory, &mut |event| {
            black_box(event);
            events += 1;
        });
    }
    events / rounds.max(1)
}

/// Events into the model, with these rules.
fn judge(rounds: usize, rules: RuleSet) -> usize {
    let cycle = cycle::cycle();
    let mut engine = Engine::new(Arc::new(whole()), rules);
    for event in std::iter::repeat_n(&cycle, rounds).flatten() {
        engine.apply(event);
    }
    black_box(engine.finish());
    cycle.len()
}

/// Events into a trace file.
fn encode(rounds: usize) -> (PathBuf, usize) {
    let cycle = cycle::cycle();
    let path = std::env::temp_dir().join(format!("instructions-{}.dvrt", std::process::id()));
    recording::write(&path, &cycle, rounds * cycle.len());
    (path, cycle.len())
}

/// Events into a trace file, and out of it again.
fn read(rounds: usize) -> usize {
    let (path, length) = encode(rounds);
    let file = BufReader::new(File::open(&path).expect("it was just written"));
    let (_, mut events) = Events::new(file).expect("it was just written");
    while let Some(event) = events.next_event().expect("it was just written") {
        black_box(event);
    }
    fs::remove_file(path).expect("it was just written");
    length
}

/// Text into events.
fn import(rounds: usize, write: WriteLines) -> usize {
    let input = lines::text(TEXT * rounds, write);
    let events = text::read(Cursor::new(&input)).map(|import| import.events().count());
    assert!(events.is_ok_and(|events| events > 0 || rounds == 0));
    TEXT
}
