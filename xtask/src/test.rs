//! `cargo xtask test`: the workspace's tests, and the tracer's tests in stock kernels.
//!
//! The last line of the output is `N passed, N failed, N skipped` over both.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::architecture::Architecture;
use crate::guest_tests::{self, Extent, Programs, initramfs_boot};
use crate::kernel::Kernel;
use crate::tracer::{self, Purpose};
use crate::{command, kmod, lab_tests, report_tests, toolchain, tools};

/// The kernels that are tested unless others are named: the older of Debian's stable releases, whose driver core releases
/// resources too late in places, and the newest.
const KERNELS: [&str; 2] = ["6.1", "7"];

/// The kernels that are tested as well where all are asked for: the newer of the stable releases; one without the
/// tracepoint `devres_log`; two for 64-bit ARM, the older of them without fentry; one for 64-bit RISC-V; and one for
/// 32-bit ARM, which has no probes.
const OTHER_KERNELS: [&str; 6] = [
    "6.12",
    "5.10",
    "6.1-arm64",
    "7-arm64",
    "7-riscv64",
    "6.1-armhf",
];

/// Tests of the workspace that take long: `--quick` leaves them out.
const SLOW: [&str; 6] = [
    "history_memory",
    "lab_memory",
    "memory",
    "perturbation",
    "text_damaged",
    "trace_file_memory",
];

/// The test of what damage makes of the recordings that guests leave.
const PERTURBED: &str = "recordings_of_guests_accuse_nobody_more";

/// The test of what `debuginfod-find` fetches.
const FETCHED: &str = "debug_info_is_fetched_from_a_server";

/// What `--quick` runs in a guest: that probes load and attach, that a defect is found, and that healthy order is not.
const QUICK_KERNEL: &str = "6.1";
const QUICK_FILTER: &str = "pvpanic_";

/// Guests that run at the same time; each has two processors.
const GUESTS_AT_ONCE: usize = 2;

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct Args {
    /// Run only the tests that need no kernel in QEMU.
    #[arg(long, conflicts_with = "kernel")]
    host_only: bool,
    /// Run only the tests in kernels.
    #[arg(long, conflicts_with = "host_only")]
    guest_only: bool,
    /// Test on this kernel instead of 6.1 and 7.x for x86-64. The name is as in `cargo xtask vm`. Can be repeated.
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    /// Test on 5.10, 6.1, 6.12 and 7.x for x86-64, on 6.1 and 7.x for arm64, on 7.x for riscv64 and on 6.1 for armhf; takes twice as long.
    #[arg(long, conflicts_with_all = ["kernel", "host_only"])]
    all_kernels: bool,
    /// Run what a change needs before it is committed: the workspace's tests without the slow ones, and those of
    /// one device on 6.1.
    #[arg(long, conflicts_with_all = ["kernel", "all_kernels", "guest_only", "filter"])]
    quick: bool,
    /// Run only the tests of the scripts for an initramfs: a Debian is made with each tool and booted. Takes some ten
    /// minutes.
    #[arg(long, conflicts_with_all = ["host_only", "guest_only", "kernel", "all_kernels", "quick"])]
    initramfs: bool,
    /// Run only the tests of the tables of a lab: DuckDB and Spark are installed and queried. Takes some minutes.
    #[arg(long, conflicts_with_all = ["host_only", "guest_only", "kernel", "all_kernels", "quick", "initramfs"])]
    lab: bool,
    /// Run only the tests whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    filter: Option<String>,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that held.
    pub(crate) passed: u64,
    /// Tests that did not, or that could not be run.
    pub(crate) failed: u64,
    /// Tests that do not apply to this kernel, or that the workspace marks as ignored.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Prints how a test ended, and counts it.
    pub(crate) fn of(name: &dyn fmt::Display, result: Result<()>) -> Self {
        match result {
            Ok(()) => {
                println!("ok {name}");
                Self {
                    passed: 1,
                    ..Self::default()
                }
            }
            Err(error) => {
                println!("FAILED {name}: {error:#}");
                Self {
                    failed: 1,
                    ..Self::default()
                }
            }
        }
    }

    /// Prints it. The run fails if a test failed, or if none was run: the filter may be misspelt.
    fn conclude(self) -> ExitCode {
        if self == Self::default() {
            println!("FAILED: no test was run: none for this kernel or machine matches");
        }
        println!("{self}");
        ExitCode::from(u8::from(self.failed > 0 || self == Self::default()))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(
            formatter,
            "{passed} passed, {failed} failed, {skipped} skipped"
        )
    }
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.initramfs {
        let tally = initramfs_boot::run(args.filter.as_deref(), args.mirror.as_deref())?;
        return Ok(tally.conclude());
    }
    if args.lab {
        let tally = lab_tests::run(args.filter.as_deref())?;
        return Ok(tally.conclude());
    }
    let mut tally = if args.guest_only {
        Tally::default()
    } else {
        let mut tally = host_tests(args)?;
        if !args.quick {
            tally += report_tests::run(args.filter.as_deref(), args.mirror.as_deref());
            if args
                .filter
                .as_deref()
                .is_none_or(|filter| FETCHED.contains(filter))
            {
                tools::require(&["debuginfod-find"])?;
                tally += ignored_test("source_lines", FETCHED)?;
            }
        }
        tally
    };
    if !args.host_only {
        tally += match guest_tests(args) {
            Ok(tally) => tally,
            Err(error) => {
                println!("FAILED guest tests: {error:#}");
                Tally {
                    failed: 1,
                    ..Tally::default()
                }
            }
        };
    }
    Ok(tally.conclude())
}

/// The workspace's tests, with their output passed on.
fn host_tests(args: &Args) -> Result<Tally> {
    let mut cargo = toolchain::cargo();
    cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    if args.quick {
        cargo.args(["--lib", "--bins"]);
        for name in test_programs()? {
            if !SLOW.contains(&name.as_str()) {
                cargo.args(["--test", &name]);
            }
        }
    }
    cargo_test(cargo.args(&args.filter))
}

/// One test that `cargo test` leaves out: what it needs is there only now.
fn ignored_test(program: &str, name: &str) -> Result<Tally> {
    let mut cargo = toolchain::cargo();
    cargo.args(["test", "--locked", "-p", "devres-tracer", "--test", program]);
    cargo_test(cargo.args([name, "--", "--ignored", "--nocapture"]))
}

/// Runs `cargo test`, passes its output on, and counts its tests.
fn cargo_test(cargo: &mut Command) -> Result<Tally> {
    cargo.stdout(Stdio::piped());
    let mut running = cargo.spawn().context("cannot run cargo")?;
    let output = running.stdout.take().context("cargo has no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read cargo's output")?;
        println!("{line}");
        tally += parse_result(&line).unwrap_or_default();
    }
    let status = running.wait().context("cannot wait for cargo")?;
    if !status.success() && tally.failed == 0 {
        println!("FAILED `cargo test` ({status})");
        tally.failed = 1;
    }
    Ok(tally)
}

/// The programs of tests in the workspace, by name.
fn test_programs() -> Result<Vec<String>> {
    let metadata = command::output(toolchain::cargo().args([
        "metadata",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let names = list(&metadata, "packages")
        .iter()
        .flat_map(|package| list(package, "targets"))
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    Ok(names)
}

/// The numbers in the line with which libtest ends a program's tests.
fn parse_result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        counts
            .split(';')
            .find_map(|count| count.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    })
}

/// The guest tests on all wanted kernels.
fn guest_tests(args: &Args) -> Result<Tally> {
    let filter = if args.quick {
        Some(QUICK_FILTER)
    } else {
        args.filter.as_deref()
    };
    let names: Vec<&str> = if args.quick {
        vec![QUICK_KERNEL]
    } else if args.all_kernels {
        [&KERNELS[..], &OTHER_KERNELS].concat()
    } else if args.kernel.is_empty() {
        KERNELS.to_vec()
    } else {
        args.kernel.iter().map(String::as_str).collect()
    };
    // What takes long is tested where it is asked for.
    let extent = if args.all_kernels || !args.kernel.is_empty() || args.filter.is_some() {
        Extent::Full
    } else {
        Extent::Essential
    };
    let purpose = if args.quick {
        Purpose::QuickGuest
    } else {
        Purpose::Guest
    };
    let mirror = args.mirror.as_deref();
    let mut prepared = VecDeque::new();
    let mut tally = Tally::default();
    for name in names {
        let (architecture, _) = Architecture::of_kernel(name);
        if !guest_tests::any_named(architecture, extent, filter) {
            continue;
        }
        match architecture.target().prepare() {
            Ok(()) => prepared.push_back(prepare(name, architecture, purpose, mirror)?),
            Err(reason) => tally += guest_tests::skip(architecture, extent, name, filter, &reason),
        }
    }
    tally += on_guests(prepared, |kernel, programs| {
        guest_tests::run(kernel, programs, extent, filter, mirror)
    })?;
    let perturbed =
        extent == Extent::Full && filter.is_none_or(|filter| PERTURBED.contains(filter));
    if perturbed && guest_tests::have_recorded()? {
        tally += ignored_test("perturbation", PERTURBED)?;
    }
    Ok(tally)
}

/// A kernel, and what is run on it.
fn prepare(
    name: &str,
    architecture: Architecture,
    purpose: Purpose,
    mirror: Option<&str>,
) -> Result<(Kernel, Programs)> {
    let kernel = Kernel::obtain(name, false, mirror)?;
    let programs = Programs {
        tracer: tracer::build_static_for(architecture.target(), purpose)?,
        module: match architecture {
            Architecture::Amd64 | Architecture::Arm64 | Architecture::Armhf => {
                Some(kmod::build(&kernel, mirror)?)
            }
            // Debian 12's assembler is too old for the headers of its newer kernels.
            Architecture::Riscv64 => None,
        },
        fail_module: kmod::build_fail(&kernel, mirror)?,
    };
    Ok((kernel, programs))
}

/// Runs tests on each kernel, so many guests at once.
fn on_guests(
    prepared: VecDeque<(Kernel, Programs)>,
    run: impl Fn(&Kernel, &Programs) -> Result<Tally> + Sync,
) -> Result<Tally> {
    let waiting = Mutex::new(prepared);
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    };
    let worker = || -> Result<Tally> {
        let mut tally = Tally::default();
        while let Some((kernel, programs)) = next() {
            tally += run(&kernel, &programs)?;
        }
        Ok(tally)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..GUESTS_AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let mut tally = Tally::default();
        for worker in workers {
            tally += worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread of the guest tests panicked"))??;
        }
        Ok(tally)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_test_programs_are_counted() {
        let counts = |passed, failed, skipped| {
            Some(Tally {
                passed,
                failed,
                skipped,
            })
        };
        assert_eq!(
            parse_result(
                "test result: ok. 46 passed; 0 failed; 4 ignored; 0 measured; 2 filtered out; finished in 0.01s"
            ),
            counts(46, 0, 4)
        );
        assert_eq!(
            parse_result(
                "test result: FAILED. 1 passed; 12 failed; 0 ignored; 0 measured; 0 filtered out"
            ),
            counts(1, 12, 0)
        );
        assert_eq!(parse_result("test model::ends ... ok"), None);
    }

    #[test]
    fn what_quick_leaves_out_is_there() -> Result<()> {
        let programs = test_programs()?;
        for name in SLOW {
            assert!(programs.iter().any(|program| program == name), "{name}");
        }
        Ok(())
    }

    #[test]
    fn the_summary_is_one_plain_line() {
        let mut tally = Tally {
            passed: 1,
            failed: 2,
            skipped: 3,
        };
        tally += tally;
        assert_eq!(tally.to_string(), "2 passed, 4 failed, 6 skipped");
    }
}
