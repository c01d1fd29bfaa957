//! `devres-tracer boot`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{Exit, pager::unless_unread, say::say, source_options::size, usage::UsageError};
use crate::boot::{
    Machine, Setup, SetupOptions, Target, bootconfig::bootconfig, install, parameters,
    script::script,
};

/// Prints kernel parameters or a script that make a kernel record devres events from its first driver on
///
/// For the running kernel, or with --btf for another one. After the boot, read the recording with
/// `devres-tracer import /sys/kernel/tracing/trace`; after a crash, with `devres-tracer crash`. Standard error
/// lists what can't be recorded and what did not fit on the command line.
#[derive(Debug, Args)]
pub(super) struct Boot {
    /// The format of the setup
    #[arg(long, value_enum, default_value_t = Format::Parameters)]
    format: Format,
    /// The target kernel's BTF: a copy of its /sys/kernel/btf/vmlinux, or its vmlinux [default: the running kernel's]
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    /// The target's architecture: `x86_64`, `aarch64`, `riscv64` or `arm` [default: from the BTF]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Machine>,
    /// Record the kernel stack of every event, to show who added each resource
    #[arg(long)]
    stacks: bool,
    /// Keep a buffer of this size, such as 4M, that survives a reset; needs Linux 6.12
    #[arg(long, value_name = "SIZE", value_parser = buffer_size)]
    persistent: Option<u64>,
    /// Print the buffer to the console when the kernel oopses or panics. A serial console is slow: the smaller the
    /// buffer, the sooner the machine is up again
    #[arg(long)]
    dump_on_oops: bool,
    /// Buffer size per CPU [default: 8M; with --dump-on-oops 256K]
    #[arg(long, value_name = "SIZE", value_parser = buffer_size)]
    buffer: Option<u64>,
    /// Bytes already used on the kernel command line [default: those of the running kernel, else 256]
    #[arg(long, value_name = "BYTES")]
    taken: Option<usize>,
}

/// How a setup is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Kernel parameters
    Parameters,
    /// Bootconfig, for kernels with `CONFIG_BOOT_CONFIG` and `CONFIG_BOOTTIME_TRACING`
    Bootconfig,
    /// A shell script that sets up tracing through tracefs
    TracefsScript,
    /// A shell script that installs the tracefs script into the initramfs of initramfs-tools (Debian, Ubuntu)
    InitramfsTools,
    /// A shell script that installs it into the initramfs of dracut (Fedora, openSUSE)
    Dracut,
}

/// The buffer of a CPU that holds a whole boot.
const ROOMY: u64 = 8 << 20;

/// One that a serial line prints in a minute or two.
const PRINTED: u64 = 256 << 10;

/// Bytes that a boot loader usually puts on the command line itself.
const USUALLY_TAKEN: usize = 256;

impl Boot {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let target = self.target()?;
        let options = SetupOptions {
            buffer: self
                .buffer
                .unwrap_or(if self.dump_on_oops { PRINTED } else { ROOMY }),
            stacks: self.stacks,
            persistent: self.persistent,
            dump: self.dump_on_oops,
            free_irq: false,
        };
        let setup = Setup::of(&target, options);
        for shortfall in &setup.shortfalls {
            say(shortfall);
        }
        let text = match self.format {
            Format::Parameters => self.parameters(&setup, &target),
            Format::Bootconfig => bootconfig(&setup),
            Format::TracefsScript => script(&setup),
            Format::InitramfsTools => install::initramfs_tools(&setup),
            Format::Dracut => install::dracut(&setup),
        };
        let mut writer = io::stdout().lock();
        unless_unread(
            writer
                .write_all(text.as_bytes())
                .and_then(|()| writer.flush()),
        )?;
        Ok(Exit::Clean)
    }

    fn target(&self) -> anyhow::Result<Target> {
        if let Some(path) = &self.btf {
            return Target::of_file(path, self.arch).map_err(|error| {
                UsageError::new(format!("{:#}", anyhow::Error::new(error))).into()
            });
        }
        let running = Target::running();
        match self.arch {
            Some(machine) if running.machine() != Some(machine) => Ok(Target::unknown(machine)),
            _ => Ok(running),
        }
    }

    fn parameters(&self, setup: &Setup, target: &Target) -> String {
        let taken = self.taken.unwrap_or_else(|| match target.command_line() {
            0 => USUALLY_TAKEN,
            taken => taken,
        });
        let parameters = parameters::parameters(setup, target.machine(), taken);
        if !parameters.left_out.is_empty() {
            let names: Vec<&str> = parameters
                .left_out
                .iter()
                .map(|hook| hook.symbol())
                .collect();
            say(format_args!(
                "the kernel takes {} bytes of its command line, and {taken} are taken already: left out {}; \
                 --format tracefs-script, initramfs-tools and dracut have no such limit",
                parameters.limit,
                names.join(", ")
            ));
        }
        format!("{}\n", parameters.line)
    }
}

fn buffer_size(text: &str) -> Result<u64, String> {
    let bytes = size(text)?;
    if !(64 << 10..=4 << 30).contains(&bytes) {
        return Err("the size must be from 64K to 4G".to_owned());
    }
    Ok(bytes.next_multiple_of(4096))
}
