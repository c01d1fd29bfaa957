//! The release of a group, as a log shows it.

use crate::{
    event::Time,
    finding::Subject,
    model::{DeviceId, Model},
};

/// Within this, releases belong to one call: nanoseconds.
pub(super) const ONE_CALL: u64 = 1_000_000_000;
/// And within this many events.
pub(super) const NEAR: u64 = 256;

/// The last release of any group: who may have taken the master down.
#[derive(Debug, Clone)]
pub(super) struct GroupRelease {
    pub(super) device: DeviceId,
    pub(super) subject: Subject,
    pub(super) tid: u32,
    pub(super) time: Time,
    pub(super) sequence: u64,
    /// Groups of other devices went in the same breath, so that nothing says whose unbind it was.
    pub(super) among_others: bool,
}

impl GroupRelease {
    /// Whether this went with another one: in the same breath, of another device and driver.
    pub(super) fn is_behind(&self, other: &Self, model: &Model) -> bool {
        other.device != self.device
            && other.tid == self.tid
            && self.sequence - other.sequence <= NEAR
            && (!model.coverage().times || self.time.since(other.time) <= ONE_CALL)
            && (self.subject.driver().is_none() || self.subject.driver() != other.subject.driver())
    }
}
