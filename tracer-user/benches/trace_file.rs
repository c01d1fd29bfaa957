//! How fast trace files are written, read and judged, how large they are, and how much memory that takes.

mod cycle;
mod recording;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use devres_tracer::{
    engine::Engine,
    event::Event,
    rules::RuleSet,
    trace_file::{Events, TraceFile},
};
use nix::time::{ClockId, clock_gettime};
use peak_alloc::PeakAlloc;
use support::whole;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Events that are written and read.
const EVENTS: usize = 10_000_000;

fn main() {
    let path = std::env::temp_dir().join(format!("bench-{}.dvrt", std::process::id()));
    let cycle = cycle::cycle();
    measured("written", || {
        println!("{:?}", recording::write(&path, &cycle, EVENTS));
    });
    let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    #[expect(clippy::cast_precision_loss, reason = "a length is shown")]
    let each = bytes as f64 / EVENTS as f64;
    println!("{bytes} bytes, {each:.1} an event");
    measured("read", || read(&path, |_| ()));
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::checked());
    measured("read and judged by the checked rules", || {
        read(&path, |event| {
            engine.apply(event);
        });
    });
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
    measured("read and judged by all rules", || {
        read(&path, |event| {
            engine.apply(event);
        });
    });
    let begun = Instant::now();
    let file = TraceFile::open(&path).expect("it was just written");
    let middle = file.blocks()[file.blocks().len() / 2];
    let mut events = file.events_from(&middle).expect("it was just written");
    assert!(matches!(events.next_event(), Ok(Some(_))));
    println!(
        "opened, and the first event read in the middle of {} blocks: {:?}",
        file.blocks().len(),
        begun.elapsed()
    );
    fs::remove_file(&path).expect("it was just written");
}

fn measured(what: &str, run: impl FnOnce()) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let begun = processor_time();
    run();
    let seconds = processor_time().saturating_sub(begun).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown")]
    let rate = EVENTS as f64 / seconds / 1e6;
    println!(
        "{EVENTS} events {what}: {seconds:.2} s of computing, {rate:.1} million a second, {} KiB of memory at most",
        ALLOCATED.peak_usage().saturating_sub(before) / 1024
    );
}

/// What the process has computed, all its threads together: other work on the machine doesn't count.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .expect("every kernel has this clock")
        .into()
}

fn read(path: &Path, mut each: impl FnMut(&Event)) {
    let file = BufReader::new(File::open(path).expect("it was just written"));
    let (_, mut events) = Events::new(file).expect("it was just written");
    while let Some(event) = events.next_event().expect("it was just written") {
        each(&event);
    }
    assert!(events.ending().end.is_some());
}
