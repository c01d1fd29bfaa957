//! How fast pasted text is read, and in how much room.

mod lines;

use std::io::Cursor;

use devres_tracer::source::text;
use divan::{Bencher, counter::BytesCount};
use lines::WriteLines;
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Bytes of each text.
const SIZE: usize = 200_000_000;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn kernel_log(bencher: Bencher<'_, '_>) {
    rate(bencher, lines::kernel_log);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn kernel_log_of_other_things(bencher: Bencher<'_, '_>) {
    rate(bencher, lines::kernel_log_of_other_things);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn kernel_log_like_functions(bencher: Bencher<'_, '_>) {
    rate(bencher, lines::kernel_log_like_functions);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn functions_and_tracepoint(bencher: Bencher<'_, '_>) {
    rate(bencher, lines::functions_and_tracepoint);
}

/// Times reading a text.
fn rate(bencher: Bencher<'_, '_>, write: WriteLines) {
    let input = lines::text(SIZE, write);
    PEAK.reset_peak_usage();
    let before = PEAK.current_usage();
    bencher
        .counter(BytesCount::new(input.len()))
        .bench_local(|| text::read(Cursor::new(&input)).map(|import| import.events().count()));
    println!(
        "{} MB of text took {} MB",
        input.len() / 1_000_000,
        PEAK.peak_usage().saturating_sub(before) / 1_000_000
    );
}
