//! The privileges of this process: it drops those that the rest of its work doesn't need.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

/// To read and write files wherever root may, and to give them to whoever called `sudo`.
const FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER);

/// To see the kernel's addresses: `perf` and `trace-cmd` look for what those in a recording mean.
const ADDRESSES: CapabilitySet = CapabilitySet::SYSLOG;

/// To read the running kernel's memory (`/proc/kcore`): what `devres_log` points to is looked up there.
const MEMORY: CapabilitySet = CapabilitySet::SYS_RAWIO;

/// To ask the probes' maps and counters, and to read kernel memory through programs that are loaded.
const PROBES: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

/// To end a command that runs as another user.
const ENDING: CapabilitySet = CapabilitySet::KILL;

/// Drops every capability that reading a recording doesn't need, for this process and what it starts: a tool that makes text of
/// the recording, a pager. To be called before the recording is opened.
pub(super) fn keep_for_reading() {
    // A sandbox that forbids dropping them is no reason not to read.
    let _ = set_no_new_privs(true);
    let _ = keep(FILES | ADDRESSES | MEMORY);
}

/// Drops every capability that tracing doesn't need once the probes are attached and the command runs.
pub(super) fn keep_for_tracing() {
    let _ = keep(FILES | ADDRESSES | PROBES | ENDING);
}

fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    let CapabilitySets {
        effective,
        permitted,
        inheritable,
    } = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: effective & kept,
            permitted: permitted & kept,
            inheritable: inheritable & kept,
        },
    )
}
