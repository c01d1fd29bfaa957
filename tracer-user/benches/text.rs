//! How fast pasted text is read, and in how much room.

use std::{fmt::Write as _, io::Cursor};

use devres_tracer::source::text;
use divan::{Bencher, counter::BytesCount};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Bytes of each text.
const SIZE: usize = 200_000_000;
/// Devices in it.
const DEVICES: u64 = 2000;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn kernel_log(bencher: Bencher<'_, '_>) {
    rate(bencher, |text, time, device, node| {
        for operation in ["ADD", "REL"] {
            let line = format_args!(
                "[{:5}.{:06}] drv{} 0000:{device:04x}.0: DEVRES {operation} {node:016x} devm_clk_release (16 bytes)\n",
                time / 1_000_000,
                time % 1_000_000,
                device % 50,
            );
            assert!(text.write_fmt(line).is_ok());
        }
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn kernel_log_of_other_things(bencher: Bencher<'_, '_>) {
    rate(bencher, |text, time, device, node| {
        let line =
            format_args!("[{time:12}.0] usb 1-{device}: New USB device found (id: ({node:x}))\n");
        assert!(text.write_fmt(line).is_ok());
        if time % 64 == 0 {
            text.push_str("[ 1.0] x y: DEVRES REL 0000000000000001 a (8 bytes)\n");
        }
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn functions_and_tracepoint(bencher: Bencher<'_, '_>) {
    rate(bencher, |text, time, device, node| {
        let line = format_args!(
            "init-1 [000] d..1. {time}.5: add_dr: (add_dr+0x0/0xc0 <ffffffff81928390>) dev=0xff11{device:012x} node=0xff11{node:012x} rel=x+0x0/0x10\n\
             init-1 [000] d..1. {time}.5: devres_log: 0000:{device:04x}.0 ADD {node:016x} x (8 bytes)\n\
             init-1 [000] d..1. {time}.5: devres_log: 0000:{device:04x}.0 REL {node:016x} x (8 bytes)\n"
        );
        assert!(text.write_fmt(line).is_ok());
    });
}

/// Times reading the lines that `write` makes of a time, a device and a node.
fn rate(bencher: Bencher<'_, '_>, write: fn(&mut String, u64, u64, u64)) {
    let mut input = String::with_capacity(SIZE + 1000);
    let mut time = 0_u64;
    while input.len() < SIZE {
        time += 1;
        let node = time.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        write(&mut input, time, node % DEVICES, node);
    }
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
