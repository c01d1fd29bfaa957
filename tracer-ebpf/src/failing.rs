//! The allocation that a probe is to be denied: what userspace asks for, and what came of it. Both sides compile this one definition.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words of a stack that are kept.
const DEPTH: usize = 32;

/// Which allocation is to fail, and what the programs have seen of it.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FailingAllocation {
    /// The task that binds, as `bpf_get_current_pid_tgid()` returns it; zero lets nothing fail.
    pub task: u64,
    /// Which of the probe's allocations is to fail, from 1 on.
    pub number: u64,
    /// How deep the task is in `really_probe()`.
    pub depth: u64,
    /// Allocations that were made in the probe.
    pub seen: u64,
    /// One once one has failed.
    pub failed: u64,
    /// One once the outermost `really_probe()` has returned.
    pub ended: u64,
    /// What that returned.
    pub returned: i64,
    /// Bytes of `stack`, or a negative error.
    pub stack_bytes: i64,
    /// Where it failed, innermost first.
    pub stack: [u64; DEPTH],
}

impl FailingAllocation {
    /// Nothing fails.
    pub const NONE: Self = Self::of(0, 0);

    /// The allocation of this number in the next probe that this task makes.
    #[must_use]
    pub const fn of(task: u64, number: u64) -> Self {
        Self {
            task,
            number,
            depth: 0,
            seen: 0,
            failed: 0,
            ended: 0,
            returned: 0,
            stack_bytes: 0,
            stack: [0; DEPTH],
        }
    }
}
