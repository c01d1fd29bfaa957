//! `cargo xtask goals`: measures on this machine what the goals of docs/performance.md ask for, and says which are met.
//!
//! What is compared with other tools is not measured here but taken from the tables that `cargo xtask compare` has written:
//! that takes a guest.

mod earlier_probe;
mod figures;
mod table;

use std::fs;
use std::io::ErrorKind;
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

use anyhow::{Context, Result};

use crate::marked::{PERFORMANCE, Place};
use crate::{command, toolchain, workspace};
use figures::Figures;

/// How often what takes little time is measured.
const ROUNDS: usize = 5;

/// What root's later starts know of the kernel's types.
const KEPT_TYPES: &str = "/run/devres-tracer/kernel-types.json";

/// Arguments of `cargo xtask goals`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the tables to docs/performance.md as well.
    #[arg(long)]
    write: bool,
    /// Read recordings of this many events, too, as well as of up to ten million.
    #[arg(long, value_name = "COUNT")]
    events: Option<u64>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let path = workspace::root().join(PERFORMANCE);
    let document =
        fs::read_to_string(&path).with_context(|| format!("cannot read {PERFORMANCE}"))?;
    let mut figures = Figures::default();
    figures.take_compared(Place::COMPARED.read(&document)?);
    figures.take_compared(Place::OFFLINE.read(&document)?);
    // First, while nothing has warmed the machine up for one of the two.
    earlier_probe::measure(&mut figures)?;
    starts(&mut figures)?;
    figures.take_rates(&benchmark("text", &[])?);
    figures.take_lines("", &benchmark("tui", &[])?);
    let more: Vec<String> = args.events.iter().map(u64::to_string).collect();
    let sizes = benchmark("sizes", &more)?;
    figures.take_sizes(&sizes);

    let goals = format!("Measured on {}.\n\n{}", machine(), table::write(&figures)?);
    println!("{goals}\n{sizes}");
    if args.write {
        let document = Place::GOALS.replace(&document, &goals)?;
        let document = Place::SIZES.replace(&document, &sizes)?;
        fs::write(&path, document).with_context(|| format!("cannot write {PERFORMANCE}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The processors, and the kernel that runs on them.
fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")
        .map_or("an unknown processor", |(_, model)| model.trim());
    let count = available_parallelism().map_or(1, NonZero::get);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = if count == 1 {
        "processor"
    } else {
        "processors"
    };
    format!("{model}, {count} {processors}, Linux {}", release.trim())
}

/// What a benchmark of this tree prints.
fn benchmark(name: &str, arguments: &[String]) -> Result<String> {
    eprintln!("measuring: {name}");
    command::output(
        toolchain::cargo()
            .current_dir(workspace::root())
            .args(["bench", "--locked", "--quiet", "--package", "devres-tracer"])
            .args(["--bench", name, "--"])
            .args(arguments),
    )
}

/// Starts of a trace: as the first after a boot, and as a later one.
fn starts(figures: &mut Figures) -> Result<()> {
    eprintln!("measuring: starts");
    command::show(toolchain::cargo().current_dir(workspace::root()).args([
        "build",
        "--locked",
        "--quiet",
        "--release",
    ]))?;
    let tracer = workspace::root().join("target/release/devres-tracer");
    for _ in 0..ROUNDS {
        forget_kept_types()?;
        for when in ["first", "later"] {
            // Its exit code says whether the kernel offers everything, which is no matter here.
            let printed = command::run(Command::new(&tracer).args(["doctor", "--timing"]))?;
            figures.take_start(when, &String::from_utf8_lossy(&printed.stdout));
        }
    }
    Ok(())
}

fn forget_kept_types() -> Result<()> {
    match fs::remove_file(KEPT_TYPES) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {KEPT_TYPES}"))
        }
        _ => Ok(()),
    }
}
