//! How the running kernel is to be traced.

use tracer_ebpf::Hook;

use super::attach::WAYS;
use crate::{evidence::Attachment, filter::ProbeFilters};

/// How the running kernel is to be traced.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who observes: this module's probes, or the kernel's own tracing.
    pub via: Via,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Whether kernel stacks are taken.
    pub stacks: bool,
    /// Whether the probes' own diagnostics are wanted.
    pub probe_log: bool,
    /// The ways of attachment that are tried, in order.
    pub ways: Vec<Attachment>,
    /// Which of the optional hooks are attached.
    pub optional: Vec<Hook>,
    /// What the probes let through.
    pub filters: ProbeFilters,
    /// Whether hooks are attached; without, only the snapshot is taken.
    pub attach: bool,
}

impl Options {
    /// The default size of the ring buffer in bytes.
    pub const RING_BYTES: u32 = 16 * 1024 * 1024;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            via: Via::Probes,
            ring_bytes: Self::RING_BYTES,
            stacks: true,
            probe_log: false,
            ways: WAYS.to_vec(),
            optional: Vec::new(),
            filters: ProbeFilters::default(),
            attach: true,
        }
    }
}

/// Who observes the running kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// eBPF probes
    #[default]
    #[value(name = "bpf")]
    Probes,
    /// The kernel's own tracing, in an instance of its own: where there is no BPF or no BTF
    Tracefs,
}
