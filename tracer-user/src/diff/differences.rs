//! What differs between two bindings, named.

use hashbrown::{HashMap, HashSet};

use super::{entries::Entry, resources::Which};
use crate::{
    diff::binding::{BindingComparison, Difference, DifferenceKind, Half, Row, Thing, Token},
    history::StepKind,
};

/// Finds what differs.
pub(super) struct Finder<'c, 'a> {
    comparison: &'c BindingComparison<'a>,
    mine: &'c [Token],
    theirs: &'c [Token],
    /// Resources that come in the first, and in the second.
    came: (HashSet<u32>, HashSet<u32>),
}

impl<'c, 'a> Finder<'c, 'a> {
    pub(super) fn new(
        comparison: &'c BindingComparison<'a>,
        mine: &'c [Token],
        theirs: &'c [Token],
    ) -> Self {
        let came = |tokens: &[Token]| -> HashSet<u32> {
            tokens
                .iter()
                .filter(|token| token.thing().0 == "came")
                .map(|token| token.resource)
                .collect()
        };
        Self {
            comparison,
            mine,
            theirs,
            came: (came(mine), came(theirs)),
        }
    }

    pub(super) fn find(&self) -> Vec<Difference> {
        let tail = self.tail();
        let mut gone: Vec<usize> = Vec::new();
        let mut come: Vec<usize> = Vec::new();
        let ends = tail
            .as_ref()
            .map_or(self.comparison.rows.len(), |tail| tail.from);
        for row in self.comparison.rows.iter().take(ends) {
            match *row {
                Row::Good(place) => gone.push(place),
                Row::Bad(place) => come.push(place),
                Row::Same(..) => {}
            }
        }
        let mut waiting: HashMap<Thing, Vec<usize>> = HashMap::new();
        for place in come.iter().rev() {
            if let Some(token) = self.theirs.get(*place) {
                waiting.entry(token.thing()).or_default().push(*place);
            }
        }
        let mut moved = HashSet::new();
        let mut found = Vec::new();
        for place in gone {
            let Some(token) = self.mine.get(place) else {
                continue;
            };
            let other = waiting.get_mut(&token.thing()).and_then(Vec::pop);
            if let Some(other) = other {
                moved.insert(other);
                found.extend(self.moved(place, other));
            } else {
                found.extend(self.gone(place, token));
            }
        }
        for place in come.into_iter().filter(|place| !moved.contains(place)) {
            let token = self.theirs.get(place);
            found.extend(token.and_then(|token| self.come(place, token)));
        }
        found.extend(tail.map(|tail| tail.difference));
        found.extend(self.other_values());
        found
    }

    /// What is in both, and not in the same place.
    fn moved(&self, place: usize, other: usize) -> Option<Difference> {
        let (one, two) = (self.mine.get(place)?, self.theirs.get(other)?);
        let elsewhere = (one.phase, one.frame, one.foreign) != (two.phase, two.frame, two.foreign);
        let (kind, minor) = if one.value == two.value {
            let kind = match (one.verb == two.verb, elsewhere) {
                (false, _) => DifferenceKind::OtherEnd,
                (true, true) => DifferenceKind::Elsewhere,
                (true, false) => DifferenceKind::Order,
            };
            (kind, is_minor(one))
        } else {
            // Before 5.18 the kernel's function doesn't return the error.
            let unknown = one.value.is_none() || two.value.is_none();
            (DifferenceKind::Error, unknown)
        };
        Some(Difference {
            kind,
            minor,
            good: Some(self.comparison.place(Which::Good, place)),
            bad: Some(self.comparison.place(Which::Bad, other)),
        })
    }

    /// What is only in the first.
    fn gone(&self, place: usize, token: &Token) -> Option<Difference> {
        let mut minor = is_minor(token);
        let kind = match token.thing().0 {
            "came" => DifferenceKind::NotAdded,
            // That it didn't come in the other is reported already.
            "ended" if self.came_only(token.resource) => return None,
            "ended" => DifferenceKind::NotReleased {
                still_owned: self.still_owned(place),
            },
            _ if self.is_past_the_end(Which::Good, place) => {
                minor = true;
                DifferenceKind::Shorter
            }
            _ => DifferenceKind::Missing,
        };
        Some(Difference {
            kind,
            minor,
            good: Some(self.comparison.place(Which::Good, place)),
            bad: None,
        })
    }

    /// What is only in the second.
    fn come(&self, place: usize, token: &Token) -> Option<Difference> {
        let mut minor = is_minor(token);
        let kind = match token.thing().0 {
            "came" => DifferenceKind::Added,
            "ended" if self.came_only(token.resource) => return None,
            "ended" => DifferenceKind::Released,
            _ if self.is_past_the_end(Which::Bad, place) => {
                minor = true;
                DifferenceKind::Longer
            }
            _ => DifferenceKind::New,
        };
        Some(Difference {
            kind,
            minor,
            good: None,
            bad: Some(self.comparison.place(Which::Bad, place)),
        })
    }

    /// Whether a resource comes in one and not in the other.
    fn came_only(&self, resource: u32) -> bool {
        self.came.0.contains(&resource) != self.came.1.contains(&resource)
    }

    /// Whether an entry is the last turn in the device's life, and the other recording ends before.
    fn is_past_the_end(&self, which: Which, place: usize) -> bool {
        let (good, bad) = (&self.comparison.good, &self.comparison.bad);
        let (half, other) = match which {
            Which::Good => (good.as_ref(), bad.as_ref()),
            Which::Bad => (bad.as_ref(), good.as_ref()),
        };
        let last = half.is_some_and(|half| {
            half.entries
                .get(place..)
                .is_some_and(|rest| rest.iter().all(Entry::is_turn))
        });
        let common = self
            .comparison
            .rows
            .iter()
            .rev()
            .find_map(|row| match (*row, which) {
                (Row::Same(one, _), Which::Good) => Some(one),
                (Row::Same(_, other), Which::Bad) => Some(other),
                _ => None,
            });
        last && common.is_none_or(|common| common < place) && self.ends_here(other)
    }

    /// Whether the recording ends with this binding, and the device still lives.
    fn ends_here(&self, half: Option<&Half<'_>>) -> bool {
        half.is_some_and(|half| {
            let last = half.history.bindings.last();
            let last =
                last.is_some_and(|last| std::ptr::eq(last, half.binding) || self.comparison.whole);
            last && half.history.gone.is_none()
        })
    }

    /// Where one of the recordings ends and the other goes on: from a turn in the device's life on there is
    /// nothing more in the one, in which the device still lives.
    fn tail(&self) -> Option<Tail> {
        let last = self
            .comparison
            .rows
            .iter()
            .rposition(|row| matches!(row, Row::Same(..)))?;
        let behind = self.comparison.rows.get(last + 1..)?;
        let first = *behind.first()?;
        let (which, other, place) = match first {
            Row::Good(place) => (Which::Good, self.comparison.bad.as_ref()?, place),
            Row::Bad(place) => (Which::Bad, self.comparison.good.as_ref()?, place),
            Row::Same(..) => return None,
        };
        let one_sided = behind
            .iter()
            .all(|row| matches!(row, Row::Good(_)) == (which == Which::Good));
        if !one_sided || !self.ends_here(Some(other)) {
            return None;
        }
        if !self.comparison.entry(which, place)?.is_turn() {
            return None;
        }
        let resources = behind.iter().any(|row| {
            let (Row::Good(place) | Row::Bad(place)) = *row else {
                return false;
            };
            let entry = self.comparison.entry(which, place);
            entry.is_some_and(|entry| entry.item().is_some())
        });
        let place = Some(self.comparison.place(which, place));
        let (kind, good, bad) = match which {
            Which::Good => (DifferenceKind::Shorter, place, None),
            Which::Bad => (DifferenceKind::Longer, None, place),
        };
        Some(Tail {
            from: last + 1,
            difference: Difference {
                kind,
                minor: !resources,
                good,
                bad,
            },
        })
    }

    /// Whether what goes in the first, in the entry at `place`, is still there when the second ends.
    fn still_owned(&self, place: usize) -> bool {
        let Some(resource) = self.mine.get(place).map(|token| token.resource) else {
            return false;
        };
        let serial = self
            .theirs
            .iter()
            .position(|token| token.resource == resource && token.thing().0 == "came")
            .and_then(|place| self.comparison.entry(Which::Bad, place))
            .and_then(Entry::item)
            .map(|item| item.serial);
        let left = self
            .comparison
            .bad
            .as_ref()
            .map(|bad| &bad.history.left.held);
        left.is_some_and(|left| left.iter().any(|held| Some(held.item.serial) == serial))
    }

    /// What is in both and not quite the same: sizes, and whether there is a PM domain.
    fn other_values(&self) -> Vec<Difference> {
        let came = |tokens: &[Token]| -> HashMap<u32, usize> {
            tokens
                .iter()
                .enumerate()
                .filter(|(_, token)| token.thing().0 == "came")
                .map(|(place, token)| (token.resource, place))
                .collect()
        };
        let others = came(self.theirs);
        let mut found = Vec::new();
        for (place, token) in self.mine.iter().enumerate() {
            if token.thing().0 != "came" {
                continue;
            }
            let Some(other) = others.get(&token.resource).copied() else {
                continue;
            };
            let size = |which, place| self.comparison.entry(which, place)?.item()?.size();
            if let (Some(one), Some(two)) = (size(Which::Good, place), size(Which::Bad, other))
                && one != two
            {
                found.push((DifferenceKind::Size, place, other));
            }
        }
        for row in &self.comparison.rows {
            let Row::Same(one, other) = *row else {
                continue;
            };
            let domain = |which, place| match self.comparison.entry(which, place)? {
                Entry::Step(step) => match step.kind {
                    StepKind::PmAttached(known) => known,
                    _ => None,
                },
                Entry::Had(_) => None,
            };
            if let (Some(mine), Some(theirs)) =
                (domain(Which::Good, one), domain(Which::Bad, other))
                && mine != theirs
            {
                found.push((DifferenceKind::PmDomain, one, other));
            }
        }
        let differences = found.into_iter().map(|(kind, one, other)| Difference {
            kind,
            minor: true,
            good: Some(self.comparison.place(Which::Good, one)),
            bad: Some(self.comparison.place(Which::Bad, other)),
        });
        differences.collect()
    }
}

/// What only one recording goes on with.
struct Tail {
    /// The first row of it.
    from: usize,
    difference: Difference,
}

/// A detach that detaches nothing does nothing.
fn is_minor(token: &Token) -> bool {
    token.verb == "nothing_detached"
}
