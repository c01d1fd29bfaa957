//! Whether KVM runs a guest instead of QEMU's emulator.
//!
//! A `/dev/kvm` that can be opened proves little: under some hypervisors a guest starts and never gets anywhere. So a kernel
//! is booted once, until it says its first words.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::kernel::Kernel;
use crate::{tools, workspace};

/// When KVM is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kvm {
    /// Where it works.
    Auto,
    /// Always.
    On,
    /// Never.
    #[default]
    Off,
}

/// How long a kernel may take to say its first words. With KVM that is well under a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the log is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What is written into the cache where it works.
const WORKS: &str = "works";

impl Kvm {
    /// Whether it is used for guests with `kernel`; where that had to be found out, says so.
    pub(crate) fn is_used_for(self, kernel: &Kernel) -> Result<bool> {
        match self {
            Self::On => Ok(true),
            Self::Off => Ok(false),
            Self::Auto => {
                let trouble = trouble(kernel)?;
                if let Some(trouble) = &trouble {
                    eprintln!("without KVM: {trouble}");
                }
                Ok(trouble.is_none())
            }
        }
    }
}

/// Why KVM can't be used for guests with `kernel`, if so. What a trial showed holds until the machine boots again.
fn trouble(kernel: &Kernel) -> Result<Option<String>> {
    let architecture = kernel.architecture();
    if architecture != Architecture::Amd64 || !cfg!(target_arch = "x86_64") {
        return Ok(Some(format!(
            "it is used for guests of x86-64 on x86-64 only, and this one is {}",
            architecture.debian()
        )));
    }
    if let Err(error) = File::options().read(true).write(true).open("/dev/kvm") {
        return Ok(Some(format!("/dev/kvm can't be opened: {error}")));
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read the identity of this boot")?;
    let path = workspace::cache()?.join(format!("kvm-{}", boot.trim()));
    let outcome = match fs::read_to_string(&path) {
        Ok(outcome) => outcome,
        Err(_) => {
            eprintln!("trying whether KVM works");
            let outcome =
                trial(kernel).map_or_else(|error| format!("{error:#}"), |()| WORKS.to_owned());
            fs::write(&path, &outcome)
                .with_context(|| format!("cannot write {}", path.display()))?;
            outcome
        }
    };
    Ok((outcome != WORKS).then_some(outcome))
}

/// Boots the kernel without a root file system; succeeds if it says anything.
fn trial(kernel: &Kernel) -> Result<()> {
    let emulator = kernel.architecture().emulator();
    tools::require(&[emulator, "setpriv"])?;
    let directory = tempfile::tempdir_in(workspace::cache()?)
        .context("cannot create a directory in the cache")?;
    let console = directory.path().join("console");
    let complaints = directory.path().join("complaints");
    let mut machine = tools::command("setpriv")
        .args(["--pdeathsig", "KILL", emulator])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-M", kernel.architecture().machine(), "-m", "512M"])
        .args(["-cpu", "host", "-accel", "kvm"])
        .arg("-kernel")
        .arg(kernel.vmlinux())
        .args(["-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&complaints).context("cannot create QEMU's log")?)
        .spawn()
        .with_context(|| format!("cannot run {emulator}"))?;
    let started = Instant::now();
    let outcome = loop {
        if says_something(&console) {
            break Ok(());
        }
        match machine.try_wait().context("cannot wait for QEMU")? {
            Some(status) => {
                let words = fs::read_to_string(&complaints).unwrap_or_default();
                let first = words.lines().next().unwrap_or("it said nothing");
                break Err(anyhow::anyhow!("QEMU ended ({status}): {first}"));
            }
            None if started.elapsed() > PATIENCE => {
                break Err(anyhow::anyhow!(
                    "/dev/kvm is there, but a kernel says nothing under it within {} s",
                    PATIENCE.as_secs()
                ));
            }
            None => thread::sleep(POLL_INTERVAL),
        }
    };
    // Both fail only if it has ended already.
    let _ = machine.kill();
    let _ = machine.wait();
    outcome
}

/// Whether a kernel has written its banner.
fn says_something(console: &Path) -> bool {
    fs::read(console).is_ok_and(|log| String::from_utf8_lossy(&log).contains("Linux version"))
}
