//! How the running kernel is to be traced.

use tracer_ebpf::{Filter, Hook};

use super::attach::WAYS;
use crate::coverage::Attachment;

/// How the running kernel is to be traced.
#[derive(Debug, Clone)]
pub struct Options {
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

/// What the probes let through, by device, driver and bus.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeFilters {
    /// Device names.
    pub device: Option<Filter>,
    /// Driver names.
    pub driver: Option<Filter>,
    /// Bus names.
    pub bus: Option<Filter>,
}
