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
    /// 32-bit ARM. There are no probes for it.
    Armhf,
}

impl Architecture {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Amd64, Self::Arm64, Self::Riscv64, Self::Armhf];

    /// The architecture of a target.
    pub(crate) fn of(target: Target) -> Self {
        match target {
            Target::Amd64 => Self::Amd64,
            Target::Arm64 => Self::Arm64,
            Target::Riscv64 => Self::Riscv64,
            Target::Armhf => Self::Armhf,
        }
    }

    /// Debian's name.
    pub(crate) fn debian(self) -> &'static str {
        self.target().debian()
    }

    /// What releases of Debian's kernels end with.
    pub(crate) fn flavour(self) -> &'static str {
        match self {
            Self::Amd64 | Self::Arm64 | Self::Riscv64 => self.debian(),
            Self::Armhf => "armmp",
        }
    }

    /// The architecture that a kernel's release, or the name that asks for one, ends with: x86-64 if it ends with
    /// none. The second value is what stands before it.
    pub(crate) fn of_kernel(name: &str) -> (Self, &str) {
        Self::ALL
            .into_iter()
            .find_map(|architecture| {
                let rest = [architecture.flavour(), architecture.debian()]
                    .into_iter()
                    .find_map(|end| name.strip_suffix(end))?;
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
            Self::Armhf => Target::Armhf,
        }
    }

    /// The kernel's own name, which its build takes.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv",
            Self::Armhf => "arm",
        }
    }

    /// What a kernel's name ends with to ask for this architecture: `-arm64`, and nothing for x86-64.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Amd64 => "",
            Self::Arm64 => "-arm64",
            Self::Riscv64 => "-riscv64",
            Self::Armhf => "-armhf",
        }
    }

    /// The emulator.
    pub(crate) fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
            Self::Riscv64 => "qemu-system-riscv64",
            Self::Armhf => "qemu-system-arm",
        }
    }

    /// The machine that the emulator is.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "q35",
            Self::Arm64 | Self::Riscv64 => "virt",
            // Such a kernel sees no PCI configuration space above 4 GiB.
            Self::Armhf => "virt,highmem=off",
        }
    }

    /// The processor that the emulator is. On arm64 the largest one would take its time for pointer authentication.
    pub(crate) fn processor(self) -> &'static str {
        match self {
            Self::Amd64 => "max",
            Self::Arm64 => "cortex-a72",
            Self::Riscv64 => "rv64",
            Self::Armhf => "cortex-a15",
        }
    }

    /// The first serial line, which gets the kernel's log.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 | Self::Riscv64 => "ttyS0",
            Self::Arm64 | Self::Armhf => "ttyAMA0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture;

    #[test]
    fn a_name_ends_with_its_architecture_or_is_of_x86() {
        use Architecture::{Amd64, Arm64, Armhf};
        for (name, expected) in [
            ("6.1", (Amd64, "6.1")),
            ("6.1.0-56-amd64", (Amd64, "6.1.0-56")),
            ("6.1-arm64", (Arm64, "6.1")),
            ("6.12.107+deb13-arm64", (Arm64, "6.12.107+deb13")),
            ("newest-arm64", (Arm64, "newest")),
            ("6.1-armhf", (Armhf, "6.1")),
            ("6.1.0-50-armmp", (Armhf, "6.1.0-50")),
        ] {
            assert_eq!(Architecture::of_kernel(name), expected, "{name}");
        }
    }
}
