//! How the running kernel is to be traced.

use nix::sys::sysinfo::sysinfo;
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
    /// The default size of the ring buffer in bytes: a 64th of the machine's memory, within 8 and 32 MiB. So a small board
    /// keeps its memory, and nothing is lost in a long burst where there is enough.
    #[must_use]
    pub fn default_ring_bytes() -> u32 {
        sysinfo().map_or(LEAST_RING, |machine| share(machine.ram_total()))
    }
}

const LEAST_RING: u32 = 8 << 20;
const LARGEST_RING: u32 = 32 << 20;

/// The ring buffer's share of so many bytes of memory. The kernel keeps some of what the machine has, so a machine with
/// 4 GB has a bit less: it is rounded up.
fn share(memory: u64) -> u32 {
    let bytes = (memory / 64).min(LARGEST_RING.into()).next_power_of_two();
    u32::try_from(bytes).map_or(LARGEST_RING, |bytes| bytes.clamp(LEAST_RING, LARGEST_RING))
}

impl Default for Options {
    fn default() -> Self {
        Self {
            via: Via::Probes,
            ring_bytes: Self::default_ring_bytes(),
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

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_ring_buffer_is_a_small_part_of_the_memory() {
        for (memory, ring) in [
            (0, 8 << 20),
            (256 << 20, 8 << 20),
            (960 << 20, 16 << 20),
            (1900 << 20, 32 << 20),
            (1 << 40, 32 << 20),
        ] {
            assert_eq!(share(memory), ring, "{memory}");
        }
    }
}
