//! The clock that event times are of.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::event::Time;

/// What `bpf_ktime_get_ns()` and the kernel's `mono` trace clock say now.
#[must_use]
pub fn now() -> Time {
    // There is no kernel without this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Time(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
