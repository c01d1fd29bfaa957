//! What differs between two recordings: device by device, life by life, probe by probe.
//!
//! Addresses, times and tasks don't count. What counts is what was added, removed and released, in which
//! phase and by which function of drivers/base/devres.c, and in which order. What only one of the two
//! could see is left out of the comparison and reported, because then they can't be called the same.

mod alignment;
mod binding;
mod compare;
mod differences;
mod entries;
mod evidence;
mod matching;
mod resources;
mod sequences;

use crate::{
    evidence::Coverage,
    history::{Binding, DeviceHistory, Histories},
};

pub use binding::{BindingComparison, Difference, DifferenceKind, Half, Named, Place, Row};
pub use entries::Entry;

/// One of two recordings.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What could be seen.
    pub coverage: &'a Coverage,
    /// What was seen.
    pub histories: &'a Histories,
}

/// How two recordings compare.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Devices that differ.
    pub devices: Vec<DeviceComparison<'a>>,
    /// How many devices were compared.
    pub compared: u64,
    /// Devices that were taken for each other although their names differ.
    pub renamed: Vec<Renamed>,
    /// Why the recordings can't be said to be the same even if nothing differs.
    pub reasons: Vec<String>,
}

/// A device that has another name in each recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// In the first.
    pub good: String,
    /// In the second.
    pub bad: String,
    /// Why they were taken for the same.
    pub why: &'static str,
}

/// A device of both recordings, or of one.
#[derive(Debug)]
pub struct DeviceComparison<'a> {
    /// The lives in the first recording.
    pub good: Vec<&'a DeviceHistory>,
    /// The lives in the second.
    pub bad: Vec<&'a DeviceHistory>,
    /// Pairs of lives that differ, and lives without a counterpart.
    pub histories: Vec<LifeComparison<'a>>,
}

/// A life of both recordings, or of one.
#[derive(Debug)]
pub struct LifeComparison<'a> {
    /// In the first recording, with its number among the device's lives, counted from one.
    pub good: Option<(usize, &'a DeviceHistory)>,
    /// In the second.
    pub bad: Option<(usize, &'a DeviceHistory)>,
    /// The probes that differ, and what happened before the first if that differs.
    pub bindings: Vec<BindingComparison<'a>>,
}

/// Whether two recordings are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// They are.
    Same,
    /// They are not.
    Different,
    /// Nothing differs in what both could see.
    Inconclusive,
}

impl Sameness {
    /// In one word, for machines: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Compares two recordings. `map` takes names of devices in the first for those in the second.
#[must_use]
pub fn compare<'a>(good: Side<'a>, bad: Side<'a>, map: &[(String, String)]) -> Comparison<'a> {
    let view = entries::View::of(good.coverage, bad.coverage);
    let mut reasons = evidence::reasons(&good, &bad);
    let matched = matching::devices(good.histories, bad.histories, map);
    let mut devices = Vec::new();
    let mut renamed = Vec::new();
    let compared = matched.len() as u64;
    for pair in matched {
        renamed.extend(pair.renamed);
        let (mine, theirs) = (pair.good, pair.bad);
        let aligned = alignment::align_by(
            &mine,
            &theirs,
            |history| entries::bag_of_history(history, good.histories, view),
            |history| entries::bag_of_history(history, bad.histories, view),
        );
        let mut histories = Vec::new();
        for (one, other) in aligned {
            let one = one.and_then(|place| Some((place + 1, *mine.get(place)?)));
            let other = other.and_then(|place| Some((place + 1, *theirs.get(place)?)));
            if let (Some((_, one)), Some((_, other))) = (one, other) {
                reasons.extend(evidence::doubts(one, other, good.name, bad.name));
            }
            let bindings = history(
                one.map(|(_, history)| history),
                other.map(|(_, history)| history),
                &good,
                &bad,
                view,
            );
            if !bindings.is_empty() {
                histories.push(LifeComparison {
                    good: one,
                    bad: other,
                    bindings,
                });
            }
        }
        if !histories.is_empty() {
            devices.push(DeviceComparison {
                good: mine,
                bad: theirs,
                histories,
            });
        }
    }
    if compared == 0 && good.histories.said.is_empty() && bad.histories.said.is_empty() {
        reasons.push("they contain nothing to compare".to_owned());
    }
    reasons.dedup();
    Comparison {
        devices,
        compared,
        renamed,
        reasons,
    }
}

/// The bindings of a life that differ.
fn history<'a>(
    one: Option<&'a DeviceHistory>,
    other: Option<&'a DeviceHistory>,
    good: &Side<'a>,
    bad: &Side<'a>,
    view: entries::View,
) -> Vec<BindingComparison<'a>> {
    let mine = entries::bindings(one, good.histories, view);
    let theirs = entries::bindings(other, bad.histories, view);
    let labels = resources::Unnamed::between(&mine, &theirs);
    let mut ids = resources::Pairs::default();
    // What happened before the first probe has its counterpart there.
    let (mine, theirs) = (mine.split_first(), theirs.split_first());
    let mut pairs = vec![(mine.map(|(first, _)| first), theirs.map(|(first, _)| first))];
    let (mine, theirs) = (
        mine.map(|(_, rest)| rest).unwrap_or_default(),
        theirs.map(|(_, rest)| rest).unwrap_or_default(),
    );
    let bag = |told: &entries::Compared<'_>| told.bag(view);
    for (one, other) in alignment::align_by(mine, theirs, bag, bag) {
        pairs.push((
            one.and_then(|place| mine.get(place)),
            other.and_then(|place| theirs.get(place)),
        ));
    }
    pairs
        .into_iter()
        .map(|(one, other)| compare::compare(one, other, &labels, &mut ids, view))
        .filter(|comparison| !comparison.differences.is_empty())
        .collect()
}

impl Comparison<'_> {
    /// All differences.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.devices
            .iter()
            .flat_map(|device| &device.histories)
            .flat_map(|history| &history.bindings)
            .flat_map(|binding| &binding.differences)
    }

    /// Whether the recordings are the same; minor differences count only if they are to.
    #[must_use]
    pub fn sameness(&self, strict: bool) -> Sameness {
        if self
            .differences()
            .any(|difference| strict || !difference.minor)
        {
            Sameness::Different
        } else if self.reasons.is_empty() {
            Sameness::Same
        } else {
            Sameness::Inconclusive
        }
    }
}

/// The binding's number, for people: of the probe, counted from one.
#[must_use]
pub fn number(binding: Option<&Binding>) -> u32 {
    binding.map_or(0, |binding| binding.number)
}
