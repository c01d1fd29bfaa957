//! What an addition costs the traced kernel, in a burst, as the kernel itself accounts for it.
//!
//! Needs the right to load eBPF programs, like the tool itself. Nothing is attached: the probe is run with a device
//! and a resource of this machine. `-- 10000000` runs it that often without stacks, for a profiler to look at.

use devres_tracer::source::live::{Live, Options};

/// Runs whose mean is taken.
const RUNS: u32 = 100_000;

fn main() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        eprintln!("the runtime can't be started");
        return;
    };
    let _entered = runtime.enter();
    let wanted = std::env::args().find_map(|argument| argument.parse().ok());
    for (what, stacks) in [("with its stack", true), ("without its stack", false)] {
        if stacks && wanted.is_some() {
            continue;
        }
        let options = Options {
            attach: false,
            stacks,
            ..Options::default()
        };
        let cost = Live::start(&options)
            .map_err(anyhow::Error::from)
            .and_then(|mut live| Ok(live.addition_cost(wanted.unwrap_or(RUNS))?));
        match cost {
            Ok(cost) => println!("an addition {what}: {} ns", cost.as_nanos()),
            Err(error) => eprintln!("nothing to measure here: {error}"),
        }
    }
}
