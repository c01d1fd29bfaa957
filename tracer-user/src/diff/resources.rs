//! Which resource of one recording is which of the other.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use similar::DiffOp;

use super::{
    entries::{Compared, Entry, canonical},
    sequences::differences,
};
use crate::{
    history::{Item, LabelId, Names},
    model::Kind,
};

/// What every action is called where one of the kernels doesn't name them.
const ACTION: &str = "(action)";

/// One of the two recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Good,
    Bad,
}

/// Kernels before 6.4 log all actions under one name. Where their functions aren't known either, an action
/// that the other recording has by name, and this one doesn't, is taken for one of them.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    good: Known,
    bad: Known,
}

#[derive(Debug, Default)]
struct Known {
    names: BTreeSet<String>,
    unnamed: bool,
}

impl Unnamed {
    pub(super) fn between(good: &[Compared<'_>], bad: &[Compared<'_>]) -> Self {
        Self {
            good: Known::of(good),
            bad: Known::of(bad),
        }
    }

    /// What a resource is called for the comparison.
    pub(super) fn label(&self, which: Which, label: LabelId, names: &Names) -> String {
        let other = match which {
            Which::Good => &self.bad,
            Which::Bad => &self.good,
        };
        let plain = canonical(names.text(label));
        let Some(label) = names.label(label) else {
            return plain;
        };
        let action = matches!(label.kind, Some(Kind::Action(_)));
        let one_of_them = action && other.unnamed && !other.names.contains(&plain);
        if label.is_unnamed_action() || one_of_them {
            ACTION.to_owned()
        } else {
            plain
        }
    }
}

impl Known {
    fn of(told: &[Compared<'_>]) -> Self {
        let mut known = Self::default();
        for told in told {
            for item in told.entries.iter().filter_map(Entry::item) {
                let unnamed = told
                    .names
                    .label(item.label)
                    .is_some_and(crate::history::Label::is_unnamed_action);
                known.unnamed |= unnamed;
                if !unnamed {
                    known.names.insert(canonical(told.names.text(item.label)));
                }
            }
        }
        known
    }
}

/// The number that a resource has in both recordings.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    good: HashMap<u64, u32>,
    bad: HashMap<u64, u32>,
    /// Resources whose addition was never observed are distinguished by name only.
    strangers: BTreeMap<String, u32>,
    next: u32,
}

/// A resource that came in a binding.
struct Came {
    serial: u64,
    label: String,
    size: Option<u64>,
}

impl Pairs {
    /// Pairs the resources that came in a binding of each: first those of one name and size in the same
    /// order, then what lies between by name, and what came in another order at last.
    pub(super) fn pair(
        &mut self,
        good: Option<&Compared<'_>>,
        bad: Option<&Compared<'_>>,
        unnamed: &Unnamed,
    ) {
        let mine = came(good, Which::Good, unnamed);
        let theirs = came(bad, Which::Bad, unnamed);
        let mut left_mine = Vec::new();
        let mut left_theirs = Vec::new();
        let exact = |came: &[Came]| -> Vec<(String, Option<u64>)> {
            came.iter()
                .map(|one| (one.label.clone(), one.size))
                .collect()
        };
        for op in differences(&exact(&mine), &exact(&theirs)) {
            let (one, other) = (op.old_range(), op.new_range());
            let one = mine.get(one).unwrap_or_default();
            let other = theirs.get(other).unwrap_or_default();
            if matches!(op, DiffOp::Equal { .. }) {
                for (one, other) in one.iter().zip(other) {
                    self.same(one, other);
                }
            } else {
                self.by_name(one, other, &mut left_mine, &mut left_theirs);
            }
        }
        for one in left_mine {
            let place = left_theirs
                .iter()
                .position(|other: &&Came| other.label == one.label);
            if let Some(place) = place {
                self.same(one, left_theirs.remove(place));
            } else {
                self.next += 1;
                self.good.insert(one.serial, self.next);
            }
        }
        for other in left_theirs {
            self.next += 1;
            self.bad.insert(other.serial, self.next);
        }
    }

    fn by_name<'c>(
        &mut self,
        mine: &'c [Came],
        theirs: &'c [Came],
        left_mine: &mut Vec<&'c Came>,
        left_theirs: &mut Vec<&'c Came>,
    ) {
        let names = |came: &'c [Came]| -> Vec<&'c str> {
            came.iter().map(|one| one.label.as_str()).collect()
        };
        for op in differences(&names(mine), &names(theirs)) {
            let one = mine.get(op.old_range()).unwrap_or_default();
            let other = theirs.get(op.new_range()).unwrap_or_default();
            if matches!(op, DiffOp::Equal { .. }) {
                for (one, other) in one.iter().zip(other) {
                    self.same(one, other);
                }
            } else {
                left_mine.extend(one);
                left_theirs.extend(other);
            }
        }
    }

    fn same(&mut self, one: &Came, other: &Came) {
        self.next += 1;
        self.good.insert(one.serial, self.next);
        self.bad.insert(other.serial, self.next);
    }

    /// The number of a resource.
    pub(super) fn number(
        &mut self,
        which: Which,
        item: &Item,
        names: &Names,
        unnamed: &Unnamed,
    ) -> u32 {
        let known = match which {
            Which::Good => self.good.get(&item.serial),
            Which::Bad => self.bad.get(&item.serial),
        };
        if let Some(number) = known {
            return *number;
        }
        let label = unnamed.label(which, item.label, names);
        if let Some(number) = self.strangers.get(&label) {
            return *number;
        }
        self.next += 1;
        self.strangers.insert(label, self.next);
        self.next
    }
}

fn came(told: Option<&Compared<'_>>, which: Which, unnamed: &Unnamed) -> Vec<Came> {
    let Some(told) = told else { return Vec::new() };
    told.entries
        .iter()
        .filter(|entry| entry.begins())
        .filter_map(Entry::item)
        .map(|item| Came {
            serial: item.serial,
            label: unnamed.label(which, item.label, told.names),
            size: item.size(),
        })
        .collect()
}
