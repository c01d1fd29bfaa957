//! Why the running kernel can't be traced.

use std::path::PathBuf;

use aya::EbpfError;

use crate::{
    kernel::{LayoutError, lockdown},
    source::chain,
};

/// Why the running kernel can't be traced.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The kernel's types can't be had.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The program carries no probes for its architecture.
    #[error(
        "no eBPF probes for {}: they are for 64-bit x86, ARM and RISC-V; trace with `--via tracefs`",
        std::env::consts::ARCH
    )]
    NoProbes,
    /// The right to load eBPF programs is missing.
    #[error(
        "loading eBPF programs is not permitted: run as root, or with the capabilities CAP_BPF, CAP_PERFMON and CAP_SYSLOG"
    )]
    NotPermitted,
    /// The kernel is locked down.
    #[error(
        "lockdown is in confidentiality mode, so eBPF can't read kernel memory: boot with lockdown=integrity or none"
    )]
    LockedDown,
    /// The kernel would interpret eBPF programs, but not those that call functions of the kernel.
    #[error(
        "the eBPF compiler is switched off, and the probes need it: sysctl net.core.bpf_jit_enable=1"
    )]
    NoCompiler,
    /// The limits of this process leave no room for another thread.
    #[error(
        "cannot start a thread: {0}; raise the limits (ulimit -u for processes, -v for memory)"
    )]
    Thread(#[source] std::io::Error),
    /// So few files can be open at once that not every hook could be attached.
    #[error(
        "the limit on open files is {limit}, and tracing needs {needed}: raise it (ulimit -n 1024)"
    )]
    FewFiles {
        /// The limit.
        limit: u64,
        /// What would do.
        needed: u64,
    },
    /// So little memory can be used that parsing the kernel's types would end the process.
    #[error(
        "the memory limit is {limit} MiB, and tracing needs {needed} MiB: raise it (ulimit -v unlimited)"
    )]
    LittleMemory {
        /// The limit in MiB.
        limit: u64,
        /// What would do, in MiB.
        needed: u64,
    },
    /// A cgroup allows so little memory that the kernel would kill the tracer.
    #[error(
        "{} allows {limit} MiB, and tracing with this ring buffer needs about {needed} MiB: raise it, or give a smaller --ring-size", file.display()
    )]
    TightCgroup {
        /// The file that sets the limit.
        file: PathBuf,
        /// The limit in MiB.
        limit: u64,
        /// What would do, in MiB.
        needed: u64,
    },
    /// The kernel takes fewer frames of a stack than the map for them has room for, and refuses that map.
    #[error(
        "the sysctl kernel.perf_event_max_stack is {limit}, and tracing takes {needed}: raise it (sysctl kernel.perf_event_max_stack={needed})"
    )]
    ShallowStacks {
        /// The limit.
        limit: u64,
        /// What would do.
        needed: u64,
    },
    /// Not one hook could be attached.
    #[error("no hook can be attached: {0}")]
    NoHook(String),
    /// Loading failed for another reason.
    #[error("cannot load the probes: {0}")]
    Load(String),
}

impl LiveError {
    /// What to say of an error from loading the object.
    pub(super) fn of(error: &EbpfError) -> Self {
        match root_cause(error) {
            Some(libc::EPERM | libc::EACCES) if locked_down() => Self::LockedDown,
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted,
            _ => Self::Load(chain(error)),
        }
    }
}

/// The error number at the bottom of an error, if there is one.
fn root_cause(error: &EbpfError) -> Option<i32> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.raw_os_error();
        }
        cause = error.source();
    }
    None
}

/// Whether the kernel keeps its memory from eBPF programs, as far as it says.
pub(super) fn locked_down() -> bool {
    lockdown().is_some_and(|mode| mode == "confidentiality")
}
