//! Each time that a finding was made: enough for a view to mark it, and no more.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{Certainty, Finding, Severity};
use crate::{
    event::{Text, Time},
    model::InstanceKey,
};

/// Occurrences of one finding that are kept: the first half of them stay, the second half are the latest.
pub const MOST_OCCURRENCES: usize = 64;
/// Steps of one occurrence whose times are kept.
const MOST_MOMENTS: usize = 8;

/// One time that a finding was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// When it was found.
    pub time: Time,
    /// The device's name.
    pub device: Text,
    /// Which instance of the device.
    pub instance: InstanceKey,
    /// How bad it was this time.
    pub severity: Severity,
    /// How sure it was this time.
    pub certainty: Certainty,
    /// Whose driver did it, where that is another device.
    pub cause: Option<InstanceKey>,
    /// When the first steps of its order happened; empty where the order was not put together again.
    pub moments: Vec<Time>,
}

impl Occurrence {
    /// What a view must know of this finding to mark it.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let cause = finding.caused_by.as_ref().map(|cause| cause.instance);
        let steps = finding.order.iter().take(MOST_MOMENTS);
        Self {
            time: finding.last,
            device: Text::from(finding.device.as_str()),
            instance: finding.instance,
            severity: finding.severity,
            certainty: finding.certainty,
            cause: cause.filter(|cause| *cause != finding.instance),
            moments: steps.map(|step| step.time).collect(),
        }
    }

    /// When it began: the first step of its order, where that is known.
    #[must_use]
    pub fn began(&self) -> Time {
        let first = self.moments.iter().min().copied();
        first.map_or(self.time, |first| first.min(self.time))
    }
}

impl Serialize for Occurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Occurrence", 7)?;
        object.serialize_field("time", &self.time.0)?;
        object.serialize_field("began", &self.began().0)?;
        object.serialize_field("device", &*self.device)?;
        object.serialize_field("address", &self.instance.address.to_string())?;
        object.serialize_field("generation", &self.instance.generation)?;
        object.serialize_field("severity", &self.severity)?;
        object.serialize_field("certainty", &self.certainty)?;
        object.end()
    }
}

/// The times that a finding was made, in the order in which they were reported. A copy costs nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Occurrences {
    kept: Arc<Vec<Occurrence>>,
    /// All of them, also those that are not kept.
    total: u64,
}

impl Occurrences {
    /// Those that are kept.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Occurrence> + ExactSizeIterator {
        self.kept.iter()
    }

    /// Those that are kept on one device instance.
    pub fn on(&self, instance: InstanceKey) -> impl DoubleEndedIterator<Item = &Occurrence> {
        self.iter().filter(move |one| one.instance == instance)
    }

    /// How many there were, also those that are not kept.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// How many are not kept.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.total.saturating_sub(self.kept.len() as u64)
    }

    /// The devices by name, each once, in the order in which it was first found on them.
    #[must_use]
    pub fn devices(&self) -> Vec<&str> {
        let mut devices: Vec<&str> = Vec::new();
        for one in self.iter() {
            if !devices.contains(&&*one.device) {
                devices.push(&one.device);
            }
        }
        devices
    }

    /// One more. Where there are as many as may be kept, or it `may_not_grow`, the oldest of the later half makes
    /// room. Whether one more is kept than before.
    pub(super) fn push(&mut self, occurrence: Occurrence, may_grow: bool) -> bool {
        self.total = self.total.saturating_add(1);
        let kept = Arc::make_mut(&mut self.kept);
        let grows = kept.is_empty() || (may_grow && kept.len() < MOST_OCCURRENCES);
        if !grows {
            // The first stays in any case.
            kept.remove((kept.len() / 2).max(1).min(kept.len() - 1));
        }
        kept.push(occurrence);
        grows
    }

    /// The last one on the same device has become this. Whether there was one.
    pub(super) fn replace_last(&mut self, occurrence: &Occurrence) -> bool {
        let place = self
            .kept
            .iter()
            .rposition(|one| one.instance == occurrence.instance);
        let known = place.and_then(|place| Arc::make_mut(&mut self.kept).get_mut(place));
        if let Some(known) = known {
            occurrence.clone_into(known);
            return true;
        }
        false
    }
}

impl Serialize for Occurrences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Occurrences", 2)?;
        object.serialize_field("occurrences", &*self.kept)?;
        if self.hidden() > 0 {
            object.serialize_field("occurrences_hidden", &self.hidden())?;
        }
        object.end()
    }
}
