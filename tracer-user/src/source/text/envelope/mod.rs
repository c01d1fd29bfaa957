//! The third stage: what stands before a message or an event, and who wrote it when: one line at a time, whatever comes
//! before and behind it.

pub(super) mod date;
mod fields;
pub(super) mod prefix;
pub(super) mod trace_head;
pub(super) mod vendor;
pub(super) mod wrapper;
