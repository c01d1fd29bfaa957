//! `cargo xtask compare`: the same work under trace-cmd, perf, bpftrace and this tool, in a stock kernel.
//!
//! The test module's scenario `many` adds that many resources in a probe, has them released at the unbind, and says how
//! long that took. Each tool is asked for what its user would ask: every `devres_log` event, once plain and once with the
//! kernel stack. All take their turns, several times over, so that whatever else the machine does meets all of them.

mod offline;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::guest::Guest;
use crate::kernel::Kernel;
use crate::marked::{PERFORMANCE, Place};
use crate::{debian_programs, guest_programs, kmod, tracer, workspace};
use table::Measured;

/// The suite that the others are taken from.
const SUITE: &str = "trixie";

/// The others, and a shell for them.
const PACKAGES: [&str; 4] = ["trace-cmd", "linux-perf", "bpftrace", "busybox-static"];

/// How many resources are held at once where reading is compared.
const HELD: u32 = 1000;

/// What the guest has: half of it holds recordings.
const MEMORY: &str = "6G";

/// Arguments of `cargo xtask compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, as in `cargo xtask vm`.
    #[arg(long, value_name = "NAME", default_value = "6.12")]
    kernel: String,
    /// How many resources are added and released.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    resources: u32,
    /// How often each tool has its turn.
    #[arg(long, value_name = "COUNT", default_value_t = 7)]
    rounds: u32,
    /// Compare reading instead: each tool records the work once, and reads its own recording on this machine.
    #[arg(long, conflicts_with = "rounds")]
    offline: bool,
    /// Write the tables to docs/performance.md as well.
    #[arg(long)]
    write: bool,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Run in the guest, the first before one of the others.
const SETUP: &str = include_str!("setup.sh");
const MEASURE: &str = include_str!("measure.sh");
const RECORD: &str = include_str!("record.sh");

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mirror = args.mirror.as_deref();
    let kernel = Kernel::obtain(&args.kernel, false, mirror)?;
    ensure!(
        kernel.architecture() == Architecture::Amd64,
        "the comparison is made on x86-64 only"
    );
    let directory = workspace::root()
        .join("target/compare")
        .join(&kernel.release);
    workspace::remove_if_present(&directory)?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;

    let peers = peers(mirror)?;
    let tracer = tracer::build_static()?;
    let mut guest = guest(&kernel, &peers, tracer.clone(), mirror)?;
    guest.share = Some(directory.clone());
    // A tool may read its own recording for minutes.
    guest.silence = None;
    guest.timeout = Duration::from_secs(600) * args.rounds.max(1);
    let (resources, rounds) = (args.resources, args.rounds);
    // A recording is read as it comes from drivers: a device holds some resources, and is bound again and again.
    let (script, at_once) = if args.offline {
        (RECORD, resources.min(HELD))
    } else {
        (MEASURE, resources)
    };
    let repeats = resources / at_once.max(1);
    let run = guest.run(&format!(
        "resources={at_once}\nrepeats={repeats}\nrounds={rounds}\n{SETUP}{script}"
    ))?;
    ensure!(
        run.exit_code == 0,
        "the guest's script failed:\n{}{}",
        run.stdout,
        run.stderr
    );
    let (place, tables) = if args.offline {
        (
            Place::OFFLINE,
            offline::read(&directory, &peers, &tracer, &kernel.release)?,
        )
    } else {
        let measured = Measured::new(&directory, resources);
        (Place::COMPARED, measured.document(&kernel.release)?)
    };
    println!("{tables}\nWhat each said: {}", directory.display());
    if args.write {
        let path = workspace::root().join(PERFORMANCE);
        let document =
            fs::read_to_string(&path).with_context(|| format!("cannot read {PERFORMANCE}"))?;
        fs::write(&path, place.replace(&document, &tables)?)
            .with_context(|| format!("cannot write {PERFORMANCE}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A root with the other tools.
fn peers(mirror: Option<&str>) -> Result<PathBuf> {
    let peers = debian_programs::unpacked("peers", Architecture::Amd64, SUITE, &PACKAGES, mirror)?;
    // What an installed system has besides its packages.
    for place in ["proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(peers.join(place)).context("cannot prepare the other tools' root")?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        let path = peers.join(link);
        if path.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(format!("usr/{link}"), &path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
    }
    Ok(peers)
}

/// A guest that has them all.
fn guest(kernel: &Kernel, peers: &Path, tracer: PathBuf, mirror: Option<&str>) -> Result<Guest> {
    let mut guest = Guest::new(kernel.clone());
    guest.files = vec![
        (tracer, tracer::PATH_IN_GUEST.to_owned()),
        (kmod::build(kernel, mirror)?, "/devres_test.ko".to_owned()),
    ];
    guest
        .files
        .extend(guest_programs::files(kernel.architecture(), mirror)?);
    guest.qemu_arguments = [
        "-fsdev".to_owned(),
        format!(
            "local,id=peers,path={},security_model=none,readonly=on",
            peers.display()
        ),
        "-device".to_owned(),
        "virtio-9p-pci,fsdev=peers,mount_tag=peers".to_owned(),
        "-m".to_owned(),
        MEMORY.to_owned(),
    ]
    .to_vec();
    Ok(guest)
}
