//! How much memory something takes.

use std::alloc::System;

use peakmem_alloc::{PeakMemAlloc, PeakMemAllocTrait as _};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATED: PeakMemAlloc<&StatsAlloc<System>> = PeakMemAlloc::new(&INSTRUMENTED_SYSTEM);

/// What a run has taken, in bytes.
pub(super) struct Used {
    /// At once, at most.
    pub(super) held: usize,
    /// In all.
    pub(super) asked_for: usize,
}

/// What `run` yields and takes. Nothing else may run beside it.
pub(super) fn used_by<T>(run: impl FnOnce() -> T) -> (T, Used) {
    let asked_before = INSTRUMENTED_SYSTEM.stats().bytes_allocated;
    ALLOCATED.reset_peak_memory();
    let yielded = run();
    let used = Used {
        held: ALLOCATED.get_peak_memory(),
        asked_for: INSTRUMENTED_SYSTEM.stats().bytes_allocated - asked_before,
    };
    (yielded, used)
}
