//! Kernel functions that the probes call where the running kernel has them.

/// A kernel function (kfunc) that the probes call where the running kernel has it.
///
/// A kfunc is called by its number in the kernel's BTF, which differs from kernel to kernel. So the probes call a
/// helper of a number that no kernel has, and userspace puts the right calls in their places before it loads them, or
/// nothing where the kernel lacks one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum KernelFunction {
    /// `bpf_preempt_disable()`, since 6.10.
    PreemptDisable = 0x7d00_0001,
    /// `bpf_preempt_enable()`, since 6.10.
    PreemptEnable = 0x7d00_0002,
    /// `bpf_local_irq_save(unsigned long *)`, since 6.14.
    LocalIrqSave = 0x7d00_0003,
    /// `bpf_local_irq_restore(unsigned long *)`, since 6.14.
    LocalIrqRestore = 0x7d00_0004,
}

impl KernelFunction {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::PreemptDisable,
        Self::PreemptEnable,
        Self::LocalIrqSave,
        Self::LocalIrqRestore,
    ];

    /// The number of the helper that the probes call in its place.
    #[must_use]
    pub const fn placeholder(self) -> u32 {
        self as u32
    }

    /// Its name in the kernel.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::PreemptDisable => "bpf_preempt_disable",
            Self::PreemptEnable => "bpf_preempt_enable",
            Self::LocalIrqSave => "bpf_local_irq_save",
            Self::LocalIrqRestore => "bpf_local_irq_restore",
        }
    }
}
