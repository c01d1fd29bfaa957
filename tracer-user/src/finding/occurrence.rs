//! Each time that a finding was made: enough for a view to mark it, and no more.

use std::{borrow::Cow, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::{Certainty, Finding, Severity};
use crate::{
    event::{Text, Time},
    model::InstanceKey,
};

/// Occurrences of one finding that are kept: the first half of them stay, the others are the
/// latest, and as long as one device has several no other device goes.
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

/// In its JSON form.
#[derive(Serialize, JsonSchema)]
struct OccurrenceLine<'occurrence> {
    time: u64,
    began: u64,
    device: &'occurrence str,
    address: String,
    generation: u32,
    severity: Severity,
    certainty: Certainty,
}

impl JsonSchema for Occurrence {
    fn schema_name() -> Cow<'static, str> {
        "Occurrence".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OccurrenceLine::json_schema(generator)
    }
}

impl Serialize for Occurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = OccurrenceLine {
            time: self.time.0,
            began: self.began().0,
            device: &self.device,
            address: self.instance.address.to_string(),
            generation: self.instance.generation,
            severity: self.severity,
            certainty: self.certainty,
        };
        line.serialize(serializer)
    }
}

/// The times that a finding was made, in the order in which they were reported. A copy costs nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Occurrences {
    kept: Arc<Vec<Occurrence>>,
    /// Whether one of the later half may be on a device that another is on: most findings are on one device each, and
    /// nobody need compare all with all.
    may_repeat: bool,
    /// All of them, also those that are not kept.
    total: u64,
}

impl Occurrences {
    /// Those that are kept.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Occurrence> + ExactSizeIterator {
        self.kept.iter()
    }

    /// Those that are kept on one device instance.
    #[must_use]
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

    /// One more. Where there are as many as may be kept, or there may not be more (`may_grow`), one of the later half
    /// makes room. Whether one more is kept than before.
    pub(super) fn push(&mut self, occurrence: Occurrence, may_grow: bool) -> bool {
        self.total = self.total.saturating_add(1);
        let kept = Arc::make_mut(&mut self.kept);
        let is_known = kept.iter().any(|one| one.instance == occurrence.instance);
        let grows = kept.is_empty() || (may_grow && kept.len() < MOST_OCCURRENCES);
        if !grows && kept.len() > 1 {
            kept.remove(to_go(kept, occurrence.instance, &mut self.may_repeat));
        } else if !grows {
            // The first stays in any case.
            return false;
        }
        self.may_repeat |= is_known;
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

/// Which of those that are kept makes room for one on `instance`: the oldest of the later half whose device has
/// another, so that no device goes while one has two.
fn to_go(kept: &[Occurrence], instance: InstanceKey, may_repeat: &mut bool) -> usize {
    let half = (kept.len() / 2).max(1).min(kept.len() - 1);
    let has_another = |place: usize, one: &Occurrence| {
        one.instance == instance
            || *may_repeat
                && kept
                    .iter()
                    .enumerate()
                    .any(|(other, known)| other != place && known.instance == one.instance)
    };
    let place = kept
        .iter()
        .enumerate()
        .skip(half)
        .find(|(place, one)| has_another(*place, one));
    let place = place.map(|(place, _)| place);
    *may_repeat &= place.is_some();
    place.unwrap_or(half)
}

/// In their JSON form.
#[derive(Serialize, JsonSchema)]
struct OccurrencesLine<'occurrences> {
    occurrences: &'occurrences [Occurrence],
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrences_hidden: Option<u64>,
}

impl JsonSchema for Occurrences {
    fn schema_name() -> Cow<'static, str> {
        "Occurrences".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OccurrencesLine::json_schema(generator)
    }
}

impl Serialize for Occurrences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = OccurrencesLine {
            occurrences: &self.kept,
            occurrences_hidden: Some(self.hidden()).filter(|hidden| *hidden > 0),
        };
        line.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DeviceAddress;

    fn on(device: u64, time: u64) -> Occurrence {
        Occurrence {
            time: Time(time),
            device: Text::from(format!("dev{device}")),
            instance: InstanceKey {
                address: DeviceAddress(device),
                generation: 0,
            },
            severity: Severity::Warn,
            certainty: Certainty::Confirmed,
            cause: None,
            moments: Vec::new(),
        }
    }

    fn times(occurrences: &Occurrences) -> Vec<u64> {
        occurrences.iter().map(|one| one.time.0).collect()
    }

    #[test]
    fn the_first_and_the_latest_are_kept_and_all_are_counted() {
        let mut occurrences = Occurrences::default();
        for time in 0..1000 {
            occurrences.push(on(1, time), true);
        }
        let half = MOST_OCCURRENCES as u64 / 2;
        let expected: Vec<u64> = (0..half).chain(1000 - half..1000).collect();
        assert_eq!(times(&occurrences), expected);
        assert_eq!(
            (occurrences.total(), occurrences.hidden()),
            (1000, 1000 - 2 * half)
        );
    }

    #[test]
    fn a_device_is_not_forgotten_for_one_that_has_many() {
        let mut occurrences = Occurrences::default();
        for time in 0..500 {
            occurrences.push(on(if time % 50 == 40 { time } else { 1 }, time), true);
        }
        let devices = occurrences.devices();
        for rare in (40..500).step_by(50) {
            assert!(
                devices.contains(&format!("dev{rare}").as_str()),
                "{devices:?}"
            );
        }
    }

    #[test]
    fn what_may_not_grow_keeps_the_first_and_the_latest() {
        let mut occurrences = Occurrences::default();
        assert!(occurrences.push(on(1, 1), false), "one is always kept");
        assert!(!occurrences.push(on(2, 2), false));
        assert_eq!(times(&occurrences), [1]);
        assert!(occurrences.push(on(2, 3), true));
        assert!(!occurrences.push(on(2, 4), false));
        assert_eq!((times(&occurrences), occurrences.hidden()), (vec![1, 4], 2));
    }
}
