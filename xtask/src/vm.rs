//! `cargo xtask vm`: kernels to be had, and commands run in them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::apt::{AptRoot, Package};
use crate::architecture::Architecture;
use crate::guest::Guest;
use crate::kernel::{self, Kernel, KernelOffer};
use crate::kvm::Kvm;
use crate::qemu::Boot;
use crate::tracer::{self, Purpose};
use crate::workspace;

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub(crate) struct Args {
    /// List the kernels to be had: the newest of each series, and those in the cache.
    #[arg(long)]
    list: bool,
    /// The kernel: a series (`6.1`, `7`), a release (`6.1.0-56-amd64`), or `newest`; `-arm64` behind it asks for that
    /// architecture (`6.1-arm64`).
    #[arg(long, value_name = "NAME", default_value = "newest")]
    kernel: String,
    /// Fetch the newest point release even if the cache has one of the series.
    #[arg(long)]
    update: bool,
    /// Boot the bzImage through the firmware (with KASLR and all ACPI tables) instead of the unpacked kernel by PVH.
    #[arg(long)]
    bzimage: bool,
    /// Run the guest with KVM instead of QEMU's emulator: where it works, always or never. `--kvm` alone: always.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", num_args = 0..=1, default_missing_value = "on")]
    kvm: Kvm,
    /// Put this program into the guest as devres-tracer, instead of building it: a static one for the guest's machine.
    #[arg(long, value_name = "FILE")]
    tracer: Option<PathBuf>,
    /// Boot the guest again after a reset, with its memory as it was, and run the command again, instead of ending.
    #[arg(long)]
    reboot: bool,
    /// Leave out the standard devices.
    #[arg(long)]
    bare: bool,
    /// Add a device, in the words of QEMU's `-device`. Can be repeated.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Add an argument to QEMU's command line, one word each time.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    qemu: Vec<String>,
    /// Add this overlay, as source, to the machine's device tree; not on x86-64, which has none.
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    /// Add parameters to the kernel's command line.
    #[arg(
        long,
        value_name = "PARAMETERS",
        default_value = "",
        allow_hyphen_values = true
    )]
    append: String,
    /// Put a kernel module, with what it needs, where the guest's modprobe finds it. Can be repeated.
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// Load a kernel module before the command runs; parameters can follow the name. Can be repeated.
    #[arg(long, value_name = "NAME")]
    load: Vec<String>,
    /// Put a file into the guest. Can be repeated.
    #[arg(long, value_name = "FILE:GUEST_PATH", value_parser = parse_file)]
    file: Vec<(PathBuf, String)>,
    /// Mount a directory, writable, at /mnt/share in the guest.
    #[arg(long, value_name = "DIRECTORY")]
    share: Option<PathBuf>,
    /// End the guest if the command has not finished after so many seconds, booting included.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    /// Write the kernel's log to a file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Debian mirror to fetch from, if the machine's apt is not configured for one.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The command to run in the guest: a single word is read by the guest's shell, several are passed on as they are.
    /// Without a command there is a shell.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the task; the command's exit code is the task's.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    if args.list {
        return list(args.mirror.as_deref());
    }
    let kernel = Kernel::obtain(&args.kernel, args.update, args.mirror.as_deref())?;
    let tracer = match args.tracer {
        Some(program) => program,
        None => tracer::build_static_for(kernel.architecture().target(), Purpose::Guest)?,
    };
    let kvm = args.kvm.is_used_for(&kernel)?;
    eprintln!(
        "booting {}; what it prints comes through when its command runs",
        kernel.release
    );
    let mut guest = Guest::new(kernel);
    guest.boot = if args.bzimage {
        Boot::BzImage
    } else {
        Boot::Pvh
    };
    guest.kvm = kvm;
    guest.reboots = args.reboot;
    guest.standard_devices = !args.bare;
    guest.devices = args.device;
    guest.qemu_arguments = args.qemu;
    guest.overlay = args.overlay;
    guest.modules = args.module;
    guest.load = args.load;
    guest.files = args.file;
    guest.files.push((tracer, tracer::PATH_IN_GUEST.to_owned()));
    guest.share = args.share;
    guest.console_log = args.log;
    guest.append = args.append;
    guest.timeout = Duration::from_secs(args.timeout);
    guest.silence = None;
    guest.mirror = args.mirror;
    if args.command.is_empty() {
        return Ok(ExitCode::from(guest.run_shell()?));
    }
    Ok(ExitCode::from(
        guest.run_forwarding(&shell_line(&args.command))?.exit_code,
    ))
}

/// Prints the newest kernel of each series.
fn list(mirror: Option<&str>) -> Result<ExitCode> {
    let cached = Kernel::cached()?;
    println!(
        "{:<14}{:<28}{:<24}{:<18}CACHED",
        "NAME", "RELEASE", "VERSION", "SUITE"
    );
    for architecture in Architecture::ALL {
        let suffix = architecture.suffix();
        let mut apt = AptRoot::open_for(architecture, &workspace::cache()?, mirror)?;
        let offers = KernelOffer::all(&mut apt)?;
        for offer in kernel::newest_of_each_series(&offers) {
            let series = kernel::series(&offer.release);
            let in_cache: Vec<&str> = cached
                .iter()
                .filter(|kernel| kernel.architecture() == architecture)
                .map(|kernel| kernel.release.as_str())
                .filter(|release| kernel::series(release) == series)
                .collect();
            let Package { version, suite, .. } = &offer.package;
            println!(
                "{:<14}{:<28}{version:<24}{suite:<18}{}",
                format!("{series}{suffix}"),
                offer.release,
                in_cache.join(" ")
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command as a line for the guest's shell.
fn shell_line(command: &[String]) -> String {
    match command {
        [line] => line.clone(),
        words => words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// A word that the shell takes literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn parse_file(argument: &str) -> Result<(PathBuf, String), String> {
    match argument.rsplit_once(':') {
        Some((from, to)) if !from.is_empty() && to.starts_with('/') => {
            Ok((from.into(), to.to_owned()))
        }
        _ => Err("write FILE:GUEST_PATH, with an absolute path in the guest".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn one_word_is_for_the_shell_and_several_are_literal() {
        assert_eq!(
            shell_line(&words(&["uname -r; exit 3"])),
            "uname -r; exit 3"
        );
        assert_eq!(
            shell_line(&words(&["echo", "it's $HOME"])),
            r"'echo' 'it'\''s $HOME'"
        );
    }

    #[test]
    fn files_need_an_absolute_path_in_the_guest() {
        assert_eq!(
            parse_file("out/test.ko:/test.ko"),
            Ok(("out/test.ko".into(), "/test.ko".to_owned()))
        );
        assert!(parse_file("test.ko").is_err());
        assert!(parse_file("test.ko:test.ko").is_err());
    }
}
