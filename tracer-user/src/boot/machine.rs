//! Architectures, as far as probe events and kernel parameters differ between them.

use std::{fmt, str::FromStr};

/// An architecture whose registers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit ARM.
    Arm,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::X86_64, Self::Aarch64, Self::Riscv64, Self::Arm];

    /// As `uname -m` prints it, and `--arch` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
            Self::Arm => "arm",
        }
    }

    /// The machine that `uname -m` calls so.
    #[must_use]
    pub fn of_uname(machine: &str) -> Option<Self> {
        match machine {
            "armv6l" | "armv7l" | "armv8l" => Some(Self::Arm),
            _ => Self::ALL.into_iter().find(|known| known.name() == machine),
        }
    }

    /// The register in which a function gets this argument, counted from 0, as probe events call it.
    #[must_use]
    pub fn argument(self, number: usize) -> String {
        /// The order of the calling convention.
        const X86_64: [&str; 6] = ["di", "si", "dx", "cx", "r8", "r9"];
        match self {
            Self::X86_64 => format!("%{}", X86_64.get(number).copied().unwrap_or("di")),
            Self::Aarch64 => format!("%x{number}"),
            Self::Riscv64 => format!("%a{number}"),
            Self::Arm => format!("%r{number}"),
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub const fn word_size(self) -> usize {
        match self {
            Self::X86_64 | Self::Aarch64 | Self::Riscv64 => 8,
            Self::Arm => 4,
        }
    }

    /// Whether a stack that a probe event takes leads to the callers of its function. On 32-bit ARM it ends in the page in
    /// which the kernel runs the optimised probe, `kprobe_optinsn_page`.
    #[must_use]
    pub const fn unwinds_from_probes(self) -> bool {
        !matches!(self, Self::Arm)
    }

    /// A member of `struct pt_regs` (of `struct user_pt_regs` on 64-bit ARM) that only this architecture has.
    pub(super) const fn of_registers(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("pt_regs", "orig_ax"),
            Self::Aarch64 => ("user_pt_regs", "pstate"),
            Self::Riscv64 => ("pt_regs", "epc"),
            Self::Arm => ("pt_regs", "uregs"),
        }
    }

    /// `COMMAND_LINE_SIZE`: bytes that the kernel takes of its command line, with the NUL at its end. Where it has
    /// changed between kernels, the smaller one.
    #[must_use]
    pub const fn command_line_size(self) -> usize {
        match self {
            Self::X86_64 | Self::Aarch64 => 2048,
            Self::Riscv64 | Self::Arm => 1024,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = match text {
            "x86-64" | "amd64" => Some(Self::X86_64),
            "arm64" => Some(Self::Aarch64),
            "riscv" => Some(Self::Riscv64),
            _ => Self::of_uname(text),
        };
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("the architectures are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn arguments_are_in_the_registers_of_the_calling_convention() {
        let third = Machine::ALL.map(|machine| machine.argument(2));
        assert_eq!(third, ["%dx", "%x2", "%a2", "%r2"]);
    }

    #[test]
    fn machines_have_the_names_that_people_use() {
        assert_eq!("arm64".parse(), Ok(Machine::Aarch64));
        assert_eq!("armv7l".parse(), Ok(Machine::Arm));
        let error = "vax".parse::<Machine>().unwrap_err();
        assert!(error.contains("riscv64"), "{error}");
    }
}
