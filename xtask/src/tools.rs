//! Programs of the host that the tasks call, and the Debian packages they come from.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::command;

/// What a C library for 64-bit ARM is known by; the compiler's package only recommends one.
pub(crate) const ARM64_LIBRARY: &str = "/usr/aarch64-linux-gnu/include/stdio.h";
/// The same for 32-bit ARM.
pub(crate) const ARMHF_LIBRARY: &str = "/usr/arm-linux-gnueabihf/include/stdio.h";
/// The same for 64-bit RISC-V.
pub(crate) const RISCV64_LIBRARY: &str = "/usr/riscv64-linux-gnu/include/stdio.h";

/// The programs, or other files by their absolute paths, with their packages.
const PACKAGES: [(&str, &str); 23] = [
    (ARM64_LIBRARY, "libc6-dev-arm64-cross"),
    (ARMHF_LIBRARY, "libc6-dev-armhf-cross"),
    (RISCV64_LIBRARY, "libc6-dev-riscv64-cross"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"),
    ("debuginfod-find", "debuginfod"),
    ("depmod", "kmod"),
    ("dtc", "device-tree-compiler"),
    ("fdtoverlay", "device-tree-compiler"),
    ("java", "openjdk-17-jre-headless"),
    ("mke2fs", "e2fsprogs"),
    ("pip3", "python3-pip"),
    ("qemu-aarch64-static", "qemu-user-static"),
    ("qemu-arm-static", "qemu-user-static"),
    ("qemu-riscv64-static", "qemu-user-static"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-riscv64", "qemu-system-misc"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
    ("valgrind", "valgrind"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Makes sure that `programs`, or other files by their absolute paths, are there: as root by installing them, otherwise by an error with the command to run.
///
/// Guests start on several threads at once, and apt serves one at a time.
pub(crate) fn require(programs: &[&str]) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = programs
        .iter()
        .filter(|program| !is_present(program))
        .map(|program| package(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if !is_root()? {
        bail!("programs are missing: run `sudo {install}`");
    }
    eprintln!("installing {}", missing.join(", "));
    // A new machine has no package lists yet, and old lists name packages that are gone.
    if apt_get_install(&missing).is_err() {
        command::output(command("apt-get").arg("update")).context("programs are missing")?;
        apt_get_install(&missing)
            .with_context(|| format!("programs are missing: run `{install}`"))?;
    }
    Ok(())
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    let mut command = command("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another process may be installing something.
        .args(["-o", "DPkg::Lock::Timeout=600"])
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    command::output(&mut command).map(drop)
}

/// A call of a host program, found also where only root's path leads.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn is_present(program: &str) -> bool {
    env::split_paths(&search_path())
        .map(|directory: PathBuf| directory.join(program))
        .any(|path| path.is_file())
}

fn package(program: &str) -> &str {
    PACKAGES
        .iter()
        .find(|(known, _)| *known == program)
        .map_or(program, |(_, package)| package)
}

fn is_root() -> Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}
