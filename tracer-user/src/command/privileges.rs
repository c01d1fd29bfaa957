//! What this process may do: no more than what it goes on to do takes.

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

/// Gives up all that reading a recording does not take, for this process and what it starts: a tool that makes text of the
/// recording, a pager. Comes before anything of the recording is looked at.
pub(super) fn keep_for_reading() {
    // Where a sandbox forbids to give up something, that is still no reason not to read.
    let _ = set_no_new_privs(true);
    let _ = keep(FILES | ADDRESSES | MEMORY);
}

/// Gives up all that tracing does not take once the probes are attached and the command runs, which has what it has.
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
