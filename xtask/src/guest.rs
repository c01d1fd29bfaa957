//! A kernel in QEMU that runs one script and ends.
//!
//! The script comes in, and what it writes goes out, through a directory shared with the guest, so that its output
//! arrives byte by byte and apart from the kernel's log. `guest/init.sh` is the other end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::architecture::Architecture;
use crate::kernel::Kernel;
use crate::modules::{ModuleIndex, STANDARD_MODULES};
use crate::qemu::{Boot, Machine};
use crate::run_directory::RunDirectory;
use crate::terminal::{self, TerminalSettings};
use crate::{command, device_tree, initramfs, tools};

/// PID 1 of the guest.
const INIT: &str = include_str!("../guest/init.sh");

/// The kernel's parameters, besides where its log goes: an end instead of a hang after a panic, and short waits for RCU,
/// which otherwise take most of the time of attaching probes and unbinding drivers.
const PARAMETERS: &str =
    "panic=-1 rcupdate.rcu_expedited=1 tsc=reliable clocksource=tsc lpj=4000000 mitigations=off";

/// What has QEMU's monitor interrupt all processors at once. A kernel with the parameter `unknown_nmi_panic` says then
/// what each of them is doing, and panics. It prints what it has to say at the very end: QEMU doesn't power the machine off
/// when it hears of the panic.
const INTERRUPT: &str = concat!(
    r#"{"execute":"qmp_capabilities"}"#,
    r#"{"execute":"set-action","arguments":{"panic":"none"}}"#,
    r#"{"execute":"inject-nmi"}"#
);

/// How long a kernel that was interrupted may take to say where it hangs.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// How often the guest's state is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A guest to be started. All fields can be changed between [`Guest::new`] and [`Guest::run`].
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// The kernel.
    pub(crate) kernel: Kernel,
    /// Which image of it is booted.
    pub(crate) boot: Boot,
    /// Whether KVM runs the guest instead of QEMU's emulator.
    pub(crate) kvm: bool,
    /// Whether the guest boots again after a reset, with its memory as it was, and runs the script again; without, a
    /// reset ends it.
    pub(crate) reboots: bool,
    /// Whether the guest has the standard devices, with their drivers loaded.
    pub(crate) standard_devices: bool,
    /// Further devices, each a value of QEMU's `-device`.
    pub(crate) devices: Vec<String>,
    /// Further arguments of QEMU, word by word.
    pub(crate) qemu_arguments: Vec<String>,
    /// The source of an overlay that is added to the device tree of the machine, which must have one.
    pub(crate) overlay: Option<PathBuf>,
    /// Modules that can be loaded in the guest, besides the standard ones; what they need comes along.
    pub(crate) modules: Vec<String>,
    /// Modules that are loaded before the script starts, each with its parameters after a space.
    pub(crate) load: Vec<String>,
    /// Further files, each with its absolute path in the guest; all of them are executable there.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// The directory at `/mnt/share` in the guest, writable; without one the run has a directory of its own there.
    pub(crate) share: Option<PathBuf>,
    /// The file that gets the kernel's log, also of a guest that fails; without one it is only in the [`GuestRun`].
    pub(crate) console_log: Option<PathBuf>,
    /// Further parameters of the kernel.
    pub(crate) append: String,
    /// How long the guest may run, from power-on to power-off.
    pub(crate) timeout: Duration,
    /// How long neither its kernel nor its script may print anything; `None` if that is no sign of a hang.
    pub(crate) silence: Option<Duration>,
    /// How long its script may print nothing, whatever its kernel says meanwhile; `None` if that is no sign of a hang.
    pub(crate) step: Option<Duration>,
    /// The Debian mirror, as in [`crate::apt::AptRoot::open`], should the busybox be missing in the cache.
    pub(crate) mirror: Option<String>,
}

/// What a guest left behind.
#[derive(Debug)]
pub(crate) struct GuestRun {
    /// The script's exit code.
    pub(crate) exit_code: u8,
    /// The script's standard output.
    pub(crate) stdout: String,
    /// The script's standard error.
    pub(crate) stderr: String,
    /// The kernel's log.
    pub(crate) console: String,
    /// What was at `/mnt/share` in the guest. If the run made it, it goes away with this value.
    pub(crate) share_dir: PathBuf,
    _directory: RunDirectory,
}

/// A guest that hung and was killed, or whose QEMU crashed. Neither the kernel nor the script need be at fault.
#[derive(Debug, thiserror::Error)]
#[error("the guest ({release}) {fault}\n{report}")]
pub(crate) struct Hang {
    release: String,
    fault: String,
    report: String,
}

/// Where the script's output goes while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// Only into the [`GuestRun`].
    Collected,
    /// Also to this process's standard output and standard error.
    Forwarded,
}

impl Guest {
    /// A guest with the standard devices and modules. On a busy machine it may be slow, so it has ten minutes to finish
    /// in as long as it prints something every two.
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            boot: Boot::Pvh,
            kvm: false,
            reboots: false,
            standard_devices: true,
            devices: Vec::new(),
            qemu_arguments: Vec::new(),
            overlay: None,
            modules: Vec::new(),
            load: Vec::new(),
            files: Vec::new(),
            share: None,
            console_log: None,
            append: String::new(),
            timeout: Duration::from_secs(600),
            silence: Some(Duration::from_secs(120)),
            step: None,
            mirror: None,
        }
    }

    /// Boots the guest and runs `script` in it with `sh`, as root and in `/`.
    ///
    /// A script that fails is a result like any other. An error means that the guest could not be started, could not
    /// start the script, or crashed. If it hung, or QEMU crashed, the error is a [`Hang`]. It shows the end of the kernel's log.
    pub(crate) fn run(&self, script: &str) -> Result<GuestRun> {
        self.run_to(script, Output::Collected)
    }

    /// As [`Guest::run`], and passes the script's output on while it runs.
    pub(crate) fn run_forwarding(&self, script: &str) -> Result<GuestRun> {
        self.run_to(script, Output::Forwarded)
    }

    /// Boots the guest with a shell on this process's terminal; the shell's exit code is the result.
    pub(crate) fn run_shell(&self) -> Result<u8> {
        let directory = self.run_directory()?;
        directory.write("job/terminal", &terminal::size())?;
        let line = match self.kernel.architecture() {
            Architecture::Arm64 | Architecture::Armhf => "ttyS0",
            Architecture::Amd64 | Architecture::Riscv64 => "ttyS1",
        };
        directory.write("job/terminal-line", line)?;
        let terminal = TerminalSettings::save();
        eprintln!(
            "{}: `exit` powers the guest off, Ctrl-A X kills it",
            self.kernel.release
        );
        let mut command = self.machine_command(&directory, true)?;
        let status = command
            .status()
            .with_context(|| format!("cannot run {}", self.kernel.architecture().emulator()));
        terminal.restore();
        self.exit_code(&directory, status?)
    }

    fn run_to(&self, script: &str, output: Output) -> Result<GuestRun> {
        let directory = self.run_directory()?;
        directory.write("job/script", script)?;
        directory.write("job/stdout", "")?;
        directory.write("job/stderr", "")?;
        let mut command = self.machine_command(&directory, false)?;
        let log = File::create(directory.path("qemu.log")).context("cannot create QEMU's log")?;
        command
            .args(["-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("cannot share QEMU's log")?)
            .stderr(log);
        let mut machine = Running::start(&mut command)?;
        let mut patience = Patience::new(self);

        let mut stdout = GrowingFile::open(&directory.path("job/stdout"))?;
        let mut stderr = GrowingFile::open(&directory.path("job/stderr"))?;
        let mut forward = || -> Result<()> {
            if output == Output::Forwarded {
                stdout.pass_on(&mut io::stdout().lock())?;
                stderr.pass_on(&mut io::stderr().lock())?;
            }
            Ok(())
        };
        let status = loop {
            let ended = machine.ended()?;
            // After the end once more, for what came last.
            forward()?;
            if let Some(status) = ended {
                break status;
            }
            if let Some(fault) = patience.ended(&directory) {
                machine.interrupt();
                drop(machine);
                forward()?;
                return Err(Hang {
                    release: self.kernel.release.clone(),
                    fault,
                    report: directory.report(),
                }
                .into());
            }
            thread::sleep(POLL_INTERVAL);
        };
        Ok(GuestRun {
            exit_code: self.exit_code(&directory, status)?,
            stdout: directory.text("job/stdout"),
            stderr: directory.text("job/stderr"),
            console: directory.console(),
            share_dir: directory.share().to_owned(),
            _directory: directory,
        })
    }

    /// The exit code that the guest left, if it came so far.
    fn exit_code(&self, directory: &RunDirectory, status: ExitStatus) -> Result<u8> {
        let release = &self.kernel.release;
        let setup_error = directory.text("job/setup-error");
        ensure!(
            setup_error.is_empty(),
            "the guest ({release}) did not start its job: {}",
            setup_error.trim()
        );
        let code = directory.text("job/exit-code");
        if code.is_empty() && status.signal().is_some() {
            return Err(Hang {
                release: release.clone(),
                fault: format!("ended because QEMU crashed ({status})"),
                report: directory.report(),
            }
            .into());
        }
        if code.is_empty() {
            bail!(
                "the guest ({release}) ended without finishing its job ({status})\n{}",
                directory.report()
            );
        }
        code.trim()
            .parse()
            .with_context(|| format!("the guest left the exit code `{}`", code.trim()))
    }

    /// The run's directory, with the files that tell the guest's init what to load.
    fn run_directory(&self) -> Result<RunDirectory> {
        let directory = RunDirectory::new(self.share.as_deref(), self.console_log.as_deref())?;
        let load: String = self
            .load
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect();
        directory.write("job/load", &load)?;
        if self.standard_devices || !self.devices.is_empty() {
            directory.write("job/coldplug", "")?;
        }
        Ok(directory)
    }

    /// Writes the initramfs, with the modules that are wanted, into the run's directory. Returns where it is.
    fn write_initramfs(&self, directory: &RunDirectory) -> Result<PathBuf> {
        let index = ModuleIndex::read(&self.kernel.modules())?;
        let mut wanted = self.modules.clone();
        wanted.extend(
            self.load
                .iter()
                .filter_map(|line| line.split_whitespace().next())
                .map(str::to_owned),
        );
        let missing = index.closure(&wanted).missing;
        ensure!(
            missing.is_empty(),
            "{} has no module {}",
            self.kernel.release,
            missing.join(", ")
        );
        wanted.extend(STANDARD_MODULES.map(str::to_owned));
        let base = initramfs::base(
            &self.kernel,
            &index,
            &index.closure(&wanted),
            self.mirror.as_deref(),
        )?;
        let initramfs = directory.path("initramfs.cpio");
        initramfs::write(&initramfs, &base, INIT, &self.files)?;
        Ok(initramfs)
    }

    /// Writes the initramfs into the run's directory and makes the command that boots it.
    fn machine_command(&self, directory: &RunDirectory, interactive: bool) -> Result<Command> {
        let architecture = self.kernel.architecture();
        tools::require(&[architecture.emulator(), "setpriv", "xz", "zstd"])?;
        let initramfs = self.write_initramfs(directory)?;
        let image = match (architecture, self.boot) {
            (Architecture::Amd64, Boot::Pvh) => self.kernel.vmlinux(),
            _ => self.kernel.bzimage(),
        };
        let mut arguments = self.qemu_arguments.clone();
        arguments.extend(
            self.devices
                .iter()
                .flat_map(|device| ["-device".to_owned(), device.clone()]),
        );
        let machine = Machine {
            architecture,
            image: &image,
            initramfs: &initramfs,
            append: &format!(
                "console={} {PARAMETERS} {}",
                architecture.console(),
                self.append
            ),
            console: directory.console_path(),
            shares: &[
                ("job", &directory.path("job")),
                ("share", directory.share()),
            ],
            standard_devices: self.standard_devices,
            arguments: &arguments,
            interactive,
            kvm: self.kvm,
            reboots: self.reboots,
        };
        let mut command = machine.command()?;
        if let Some(overlay) = &self.overlay {
            ensure!(
                architecture != Architecture::Amd64,
                "an overlay needs a device tree, which the machine for x86-64 has not"
            );
            let tree = device_tree::with_overlay(machine.command()?, overlay, directory)?;
            command.arg("-dtb").arg(tree);
        }
        Ok(command)
    }
}

/// A machine that is killed if it is still running when this value goes away.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.spawn().with_context(|| {
            format!("cannot run `{}`", command::describe(command))
        })?))
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot wait for QEMU")
    }

    /// Interrupts a machine that hangs, and gives its kernel the time to say where. One that can't be interrupted, or
    /// says nothing, is no worse than before.
    fn interrupt(&mut self) {
        let Some(mut monitor) = self.0.stdin.take() else {
            return;
        };
        if monitor.write_all(INTERRUPT.as_bytes()).is_err() {
            return;
        }
        let interrupted = Instant::now();
        while interrupted.elapsed() < LAST_WORDS && matches!(self.ended(), Ok(None)) {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a guest is waited for.
struct Patience {
    timeout: Duration,
    silence: Option<Duration>,
    step: Option<Duration>,
    started: Instant,
    /// How many bytes were printed until when.
    printed: (u64, Instant),
    /// The same of the script alone.
    script_printed: (u64, Instant),
}

impl Patience {
    fn new(guest: &Guest) -> Self {
        let started = Instant::now();
        Self {
            timeout: guest.timeout,
            silence: guest.silence,
            step: guest.step,
            started,
            printed: (0, started),
            script_printed: (0, started),
        }
    }

    /// What the guest has done wrong once it is waited for no longer.
    fn ended(&mut self, directory: &RunDirectory) -> Option<String> {
        if self.started.elapsed() > self.timeout {
            return Some(format!(
                "did not finish within {} s",
                self.timeout.as_secs()
            ));
        }
        let script = directory.script_printed();
        let all = script + directory.kernel_printed();
        still(all, &mut self.printed, self.silence)
            .map(|seconds| format!("printed nothing for {seconds} s"))
            .or_else(|| {
                still(script, &mut self.script_printed, self.step)
                    .map(|seconds| format!("hangs: its script printed nothing for {seconds} s"))
            })
    }
}

/// For how many seconds not more than before was printed, if that is too long.
fn still(printed: u64, before: &mut (u64, Instant), limit: Option<Duration>) -> Option<u64> {
    if printed != before.0 {
        *before = (printed, Instant::now());
    }
    let limit = limit?;
    (before.1.elapsed() > limit).then_some(limit.as_secs())
}

/// A file that the guest appends to.
struct GrowingFile(File);

impl GrowingFile {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self(File::open(path).with_context(|| {
            format!("cannot open {}", path.display())
        })?))
    }

    /// Copies what is new to `output`.
    fn pass_on(&mut self, output: &mut impl Write) -> Result<()> {
        let mut new = Vec::new();
        self.0
            .read_to_end(&mut new)
            .context("cannot read the guest's output")?;
        output
            .write_all(&new)
            .and_then(|()| output.flush())
            .context("cannot pass on the guest's output")
    }
}

/// These boot the kernel named by `DEVRES_TRACER_TEST_KERNEL`, or the newest in the cache, or else fetch one:
/// `cargo test -p xtask -- --ignored`.
#[cfg(test)]
mod tests;
