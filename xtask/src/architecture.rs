//! The architectures of guests, and what each needs on the host.

use crate::target::Target;

/// A guest's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// x86-64, the one of most tests.
    Amd64,
    /// 64-bit ARM, which boards have.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Architecture {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Amd64, Self::Arm64, Self::Riscv64];

    /// The architecture of a target; `None` if there are no probes for it.
    pub(crate) fn of(target: Target) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.target() == target)
    }

    /// Debian's name, with which kernel releases end.
    pub(crate) fn debian(self) -> &'static str {
        self.target().debian()
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

    /// What programs of guests are built for.
    pub(crate) fn target(self) -> Target {
        match self {
            Self::Amd64 => Target::Amd64,
            Self::Arm64 => Target::Arm64,
            Self::Riscv64 => Target::Riscv64,
        }
    }

    /// The kernel's own name, which its build takes.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv",
        }
    }

    /// What a kernel's name ends with to ask for this architecture: `-arm64`, and nothing for x86-64.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Amd64 => "",
            Self::Arm64 => "-arm64",
            Self::Riscv64 => "-riscv64",
        }
    }

    /// The emulator.
    pub(crate) fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
            Self::Riscv64 => "qemu-system-riscv64",
        }
    }

    /// The machine that the emulator is.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "q35",
            Self::Arm64 | Self::Riscv64 => "virt",
        }
    }

    /// The processor that the emulator is. On arm64 the largest one would take its time for pointer authentication.
    pub(crate) fn processor(self) -> &'static str {
        match self {
            Self::Amd64 => "max",
            Self::Arm64 => "cortex-a72",
            Self::Riscv64 => "rv64",
        }
    }

    /// The first serial line, which gets the kernel's log.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 | Self::Riscv64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
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
