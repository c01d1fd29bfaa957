//! The architectures of guests, and what each needs on the host.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{command, tools};

/// A guest's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// x86-64, the one of most tests.
    Amd64,
    /// 64-bit ARM, which boards have.
    Arm64,
}

impl Architecture {
    /// Both.
    const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Debian's name, with which kernel releases end.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture that a kernel's release, or the name that asks for one, ends with: x86-64 if it ends with
    /// none. The second value is what stands before it.
    pub(crate) fn of_kernel(name: &str) -> (Self, &str) {
        Self::ALL
            .into_iter()
            .find_map(|architecture| {
                let rest = name.strip_suffix(architecture.debian())?;
                Some((architecture, rest.strip_suffix('-')?))
            })
            .unwrap_or((Self::Amd64, name))
    }

    /// Rust's name of the target that guests' programs are built for.
    pub(crate) fn rust_target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The emulator.
    pub(crate) fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The machine that the emulator is.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "q35",
            Self::Arm64 => "virt",
        }
    }

    /// The processor that the emulator is. On arm64 the largest one would take its time for pointer authentication.
    pub(crate) fn processor(self) -> &'static str {
        match self {
            Self::Amd64 => "max",
            Self::Arm64 => "cortex-a72",
        }
    }

    /// The first serial line, which gets the kernel's log.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }

    /// The linker that must be named for the target, since it isn't the host's; with the variable that names it.
    pub(crate) fn linker(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some((
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
                "aarch64-linux-gnu-gcc",
            )),
        }
    }

    /// Makes sure that programs can be built for the target.
    pub(crate) fn prepare_build(self) -> Result<()> {
        let Some((_, linker)) = self.linker() else {
            return Ok(());
        };
        tools::require(&[linker, tools::ARM64_LIBRARY])?;
        let library = command::output(Command::new("rustc").args([
            "--print",
            "target-libdir",
            "--target",
            self.rust_target(),
        ]))?;
        if !PathBuf::from(library.trim()).exists() {
            eprintln!("adding Rust's target {}", self.rust_target());
            let added =
                command::run(Command::new("rustup").args(["target", "add", self.rust_target()]))
                    .with_context(|| format!("Rust's target {} is missing", self.rust_target()))?;
            ensure!(
                added.status.success(),
                "Rust's target {} is missing, and rustup can't add it: {}",
                self.rust_target(),
                command::error_text(&added)
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture;

    #[test]
    fn a_name_ends_with_its_architecture_or_is_of_x86() {
        use Architecture::{Amd64, Arm64};
        for (name, expected) in [
            ("6.1", (Amd64, "6.1")),
            ("6.1.0-56-amd64", (Amd64, "6.1.0-56")),
            ("6.1-arm64", (Arm64, "6.1")),
            ("6.12.107+deb13-arm64", (Arm64, "6.12.107+deb13")),
            ("newest-arm64", (Arm64, "newest")),
        ] {
            assert_eq!(Architecture::of_kernel(name), expected, "{name}");
        }
    }
}
