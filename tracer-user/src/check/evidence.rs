//! What was seen of which device, so that what was not found can be distinguished from what could not be found.

use std::collections::{BTreeMap, BTreeSet};

use super::selection::Place;
use crate::{
    event::Time,
    model::{Device, InstanceKey},
};

/// What was seen of a device with one driver.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// Probes that began.
    pub began: u32,
    /// Probes that succeeded.
    pub bound: u32,
    /// Bindings that ended, by an unbind or with a failed probe.
    pub ended: u32,
    /// Those of them of which everything was seen.
    pub ended_whole: u32,
    /// Whether a resource of it came or went.
    pub touched: bool,
    /// The most resources that it had.
    pub most: usize,
    /// When it had them.
    pub most_at: Time,
    /// Why something of it may have been missed.
    pub doubt: Option<String>,
    /// The instances.
    pub instances: BTreeSet<InstanceKey>,
}

impl Record {
    /// Whether it was probed or unbound, or a resource of it came or went.
    #[must_use]
    pub(super) fn is_active(&self) -> bool {
        self.touched || self.began > 0 || self.bound > 0 || self.ended > 0
    }
}

/// What was seen of every device.
#[derive(Debug, Default)]
pub(super) struct Records {
    places: BTreeMap<Place, Record>,
}

impl Records {
    /// The record of a device with its present or last driver.
    pub(super) fn of(&mut self, device: Device<'_>) -> &mut Record {
        let record = self.places.entry(Place::of_device(device)).or_default();
        if record.instances.len() < MOST_INSTANCES {
            record.instances.insert(device.key());
        }
        record
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Record)> {
        self.places.iter()
    }

    /// Where an instance is.
    pub(super) fn place_of(&self, key: InstanceKey) -> Option<&Place> {
        self.iter()
            .find(|(_, record)| record.instances.contains(&key))
            .map(|(place, _)| place)
    }
}

/// Instances of one name that are kept.
const MOST_INSTANCES: usize = 1000;

/// Whether there was an opportunity to find something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opportunity {
    /// Nothing that was meant was there.
    NotSeen,
    /// It was there, and nothing happened to it that such a finding comes from.
    Idle(&'static str),
    /// Something happened that such a finding comes from, and not all of it was seen.
    Doubtful(String),
    /// It would have been found.
    Given,
}

/// Whether findings of a rule could have been made on the devices that are meant.
pub(super) fn opportunity(
    rule: &str,
    records: &Records,
    meant: impl Fn(&Place) -> bool,
) -> Opportunity {
    let mut best = Opportunity::NotSeen;
    for (_, record) in records.iter().filter(|(place, _)| meant(place)) {
        let this = of_record(rule, record);
        if rank(&this) > rank(&best) {
            best = this;
        }
    }
    best
}

const fn rank(opportunity: &Opportunity) -> u8 {
    match opportunity {
        Opportunity::NotSeen => 0,
        Opportunity::Idle(_) => 1,
        Opportunity::Doubtful(_) => 2,
        Opportunity::Given => 3,
    }
}

/// What a finding of the rule takes: for rules about a release, that a binding ended; for rules about a
/// probe, that one began; for the others both, which is more than some of them need, so that nothing is
/// called an unexpected pass too early.
fn of_record(rule: &str, record: &Record) -> Opportunity {
    let (begin, end) = match rule {
        "DR001" | "DR002" | "DR008" | "DR010" | "DR014" | "DR019" => (false, true),
        "DR007" | "DR018" => (true, false),
        _ => (true, true),
    };
    if begin && record.began == 0 {
        return Opportunity::Idle("it was not probed in this run");
    }
    if end && record.ended == 0 {
        return Opportunity::Idle("it was not unbound in this run");
    }
    match &record.doubt {
        Some(doubt) if !end || record.ended_whole < record.ended => {
            Opportunity::Doubtful(doubt.clone())
        }
        _ => Opportunity::Given,
    }
}
