//! How long it takes from the start until every hook is attached and the snapshot taken.
//!
//! Needs the right to load eBPF programs, like the tool itself. The kernel's verifier has its part in the
//! result, so it is an upper bound of the tool's own time.

use devres_tracer::source::live::{Live, Options};
use divan::Bencher;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        eprintln!("the runtime can't be started");
        return;
    };
    let _entered = runtime.enter();
    if let Err(error) = Live::start(&Options::default()) {
        eprintln!("nothing to measure here: {error}");
        return;
    }
    divan::main();
}

/// The first start after a boot, which root's later ones learn from.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn first_after_a_boot(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| std::fs::remove_file("/run/devres-tracer/kernel-types.json"))
        .bench_local_values(|_| Live::start(&Options::default()));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn attached_and_snapshot_taken(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Live::start(&Options::default()));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn snapshot_alone(bencher: Bencher<'_, '_>) {
    let options = Options {
        attach: false,
        ..Options::default()
    };
    bencher.bench_local(|| Live::start(&options));
}
