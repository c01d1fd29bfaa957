//! How two probes compare, as data.

use hashbrown::HashMap;

use super::{entries::Entry, resources::Which};
use crate::{
    event::Hook,
    history::{Binding, DeviceHistory, LabelId, Names},
    model::State,
};

/// One side of two bindings that are compared.
#[derive(Debug, Clone)]
pub struct Half<'a> {
    /// The binding.
    pub binding: &'a Binding,
    /// The life that it is of.
    pub history: &'a DeviceHistory,
    /// What the numbers in its steps stand for.
    pub names: &'a Names,
    /// What was compared.
    pub entries: Vec<Entry<'a>>,
}

/// How two bindings compare; or a binding without a counterpart.
#[derive(Debug)]
pub struct BindingComparison<'a> {
    /// The binding in the first recording.
    pub good: Option<Half<'a>>,
    /// The binding in the second.
    pub bad: Option<Half<'a>>,
    /// Both in one, in order. Empty where there is no counterpart.
    pub rows: Vec<Row>,
    /// Whether it is the whole life, because one of the recordings doesn't show probes.
    pub whole: bool,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What the other recording calls a resource: by its serial number in this one.
    pub named: Named,
}

/// What the other recording calls a resource of one, by its serial number.
#[derive(Debug, Default)]
pub struct Named {
    /// Resources of the first: what the second calls them.
    pub good: HashMap<u64, LabelId>,
    /// Resources of the second: what the first calls them.
    pub bad: HashMap<u64, LabelId>,
}

/// A line of two bindings in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// In both: the places in the entries of each.
    Same(usize, usize),
    /// Only in the first.
    Good(usize),
    /// Only in the second.
    Bad(usize),
}

/// How far away a neighbour is looked for that is about a resource.
const NEAR: usize = 3;

/// Something that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What kind of difference.
    pub kind: DifferenceKind,
    /// Whether it says little about the driver: it doesn't count unless that is wanted.
    pub minor: bool,
    /// Where in the first recording.
    pub good: Option<Place>,
    /// Where in the second.
    pub bad: Option<Place>,
}

/// A place in a binding's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The entry.
    pub entry: usize,
    /// The last entry before it that is in both recordings.
    pub behind: Option<usize>,
    /// The next entry after it that is in both recordings.
    pub before: Option<usize>,
}

/// What kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// A resource comes only in the second.
    Added,
    /// A resource comes only in the first.
    NotAdded,
    /// A resource that comes in both goes only in the first; whether the second still has it at its end.
    NotReleased {
        /// Whether it is still there when the device, or the recording, ends.
        still_owned: bool,
    },
    /// A resource that comes in both goes only in the second.
    Released,
    /// In another phase, or by another function.
    Elsewhere,
    /// In another order.
    Order,
    /// Released in one, and taken off the list in the other.
    OtherEnd,
    /// Something that is no resource happens only in the first.
    Missing,
    /// Something that is no resource happens only in the second.
    New,
    /// The second ends there, and the first goes on.
    Shorter,
    /// The first ends there, and the second goes on.
    Longer,
    /// The probe fails with another error.
    Error,
    /// Another size.
    Size,
    /// There is a PM domain only in one.
    PmDomain,
    /// The whole binding is only in the first.
    NoProbe,
    /// The whole binding is only in the second.
    NewProbe,
}

impl DifferenceKind {
    /// In a word or two, for machines: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::NotAdded => "not_added",
            Self::NotReleased { .. } => "not_released",
            Self::Released => "released",
            Self::Elsewhere => "elsewhere",
            Self::Order => "order",
            Self::OtherEnd => "other_end",
            Self::Missing => "missing",
            Self::New => "new",
            Self::Shorter => "shorter",
            Self::Longer => "longer",
            Self::Error => "error",
            Self::Size => "size",
            Self::PmDomain => "pm_domain",
            Self::NoProbe => "no_probe",
            Self::NewProbe => "new_probe",
        }
    }
}

/// What makes two entries the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Token {
    pub(super) verb: &'static str,
    /// The number of the resource in both recordings; zero if it is about none.
    pub(super) resource: u32,
    pub(super) value: Option<i64>,
    /// What the kernel said.
    pub(super) said: Option<String>,
    pub(super) phase: State,
    pub(super) frame: Option<Hook>,
    pub(super) foreign: bool,
}

/// What makes an entry of one recording the same thing in another place.
pub(super) type Thing = (&'static str, u32, Option<String>);

impl Token {
    pub(super) fn thing(&self) -> Thing {
        let verb = match self.verb {
            "released" | "removed" => "ended",
            "had" | "added" => "came",
            verb => verb,
        };
        (verb, self.resource, self.said.clone())
    }
}

impl BindingComparison<'_> {
    pub(super) fn entry(&self, which: Which, place: usize) -> Option<&Entry<'_>> {
        let half = match which {
            Which::Good => self.good.as_ref(),
            Which::Bad => self.bad.as_ref(),
        };
        half?.entries.get(place)
    }

    /// The neighbours of an entry that are in both, those that are about a resource before others.
    pub(super) fn place(&self, which: Which, entry: usize) -> Place {
        let of = |row: &Row| match (which, *row) {
            (Which::Good, Row::Same(place, _) | Row::Good(place))
            | (Which::Bad, Row::Same(_, place) | Row::Bad(place)) => Some(place),
            _ => None,
        };
        let at = self.rows.iter().position(|row| of(row) == Some(entry));
        let (behind, ahead) = self.rows.split_at(at.unwrap_or(0));
        let common = |row: &&Row| matches!(row, Row::Same(..));
        let telling = |row: &&Row| {
            let place = of(row).and_then(|place| self.entry(which, place));
            place.is_some_and(|entry| entry.item().is_some())
        };
        let nearest = |rows: &mut dyn Iterator<Item = &Row>| {
            let near: Vec<&Row> = rows.filter(common).take(NEAR).collect();
            let found = near.iter().copied().find(|row| telling(row));
            found.or(near.first().copied()).and_then(of)
        };
        Place {
            entry,
            behind: nearest(&mut behind.iter().rev()),
            before: nearest(&mut ahead.iter()),
        }
    }
}
