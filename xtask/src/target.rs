//! The machines that the tracer is built for, and what building for each needs on the host.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{command, toolchain, tools, workspace};

/// A machine that the tracer is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit ARM with a floating-point unit. There are no probes for it: they are for 64-bit kernels.
    Armhf,
}

/// What building for a target other than the host takes.
struct Cross {
    /// The variable that names the linker to cargo.
    variable: &'static str,
    /// The linker.
    linker: &'static str,
    /// A file of the C library, which the compiler's package only recommends.
    library: &'static str,
}

impl Target {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Amd64, Self::Arm64, Self::Riscv64, Self::Armhf];

    /// Debian's name for the architecture.
    pub(crate) const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv64",
            Self::Armhf => "armhf",
        }
    }

    /// Rust's name of the target.
    pub(crate) const fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::Riscv64 => "riscv64gc-unknown-linux-gnu",
            Self::Armhf => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// The emulator of the machine's programs, where it isn't the host's.
    pub(crate) const fn emulator(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some("qemu-aarch64-static"),
            Self::Riscv64 => Some("qemu-riscv64-static"),
            Self::Armhf => Some("qemu-arm-static"),
        }
    }

    /// What the program's version says of its probes.
    pub(crate) const fn probes(self) -> &'static str {
        match self {
            Self::Amd64 => "probes: x86_64, committed",
            Self::Arm64 => "probes: aarch64, committed",
            Self::Riscv64 => "probes: riscv64, committed",
            Self::Armhf => "probes: none, traces with --via tracefs only",
        }
    }

    /// Whether there are probes for its kernels.
    pub(crate) const fn has_probes(self) -> bool {
        !matches!(self, Self::Armhf)
    }

    const fn cross(self) -> Option<Cross> {
        Some(match self {
            Self::Amd64 => return None,
            Self::Arm64 => Cross {
                variable: "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
                linker: "aarch64-linux-gnu-gcc",
                library: tools::ARM64_LIBRARY,
            },
            Self::Riscv64 => Cross {
                variable: "CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER",
                linker: "riscv64-linux-gnu-gcc",
                library: tools::RISCV64_LIBRARY,
            },
            Self::Armhf => Cross {
                variable: "CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER",
                linker: "arm-linux-gnueabihf-gcc",
                library: tools::ARMHF_LIBRARY,
            },
        })
    }

    /// The linker that must be named for the target, since it isn't the host's; with the variable that names it.
    pub(crate) fn linker(self) -> Option<(&'static str, &'static str)> {
        self.cross().map(|cross| (cross.variable, cross.linker))
    }

    /// The C compiler for the target.
    pub(crate) fn compiler(self) -> &'static str {
        self.cross().map_or("gcc", |cross| cross.linker)
    }

    /// Makes sure that programs can be built for the target.
    pub(crate) fn prepare(self) -> Result<()> {
        let Some(cross) = self.cross() else {
            return Ok(());
        };
        tools::require(&[cross.linker, cross.library])?;
        let rust = self.rust();
        let library = command::output(toolchain::rustc().args([
            "--print",
            "target-libdir",
            "--target",
            rust,
        ]))?;
        if !Path::new(library.trim()).exists() {
            eprintln!("adding Rust's target {rust}");
            // There the toolchain is the workspace's.
            let added = command::run(
                Command::new("rustup")
                    .args(["target", "add", rust])
                    .current_dir(workspace::root()),
            )
            .with_context(|| format!("Rust's target {rust} is missing"))?;
            ensure!(
                added.status.success(),
                "Rust's target {rust} is missing, and rustup can't add it: {}",
                command::error_text(&added)
            );
        }
        Ok(())
    }
}
