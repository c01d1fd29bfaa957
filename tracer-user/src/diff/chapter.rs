//! Two probes, step by step.

use hashbrown::{HashMap, HashSet};
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::{
    entries::{Entry, Told, View},
    resources::{Pairs, Unnamed, Which},
};
use crate::{
    event::Hook,
    lives::{Chapter, Item, LabelId, Life, Names, What},
    model::State,
};

/// One side of two chapters that are compared.
#[derive(Debug, Clone)]
pub struct Half<'a> {
    /// The chapter.
    pub chapter: &'a Chapter,
    /// The life that it is of.
    pub life: &'a Life,
    /// What the numbers in its steps stand for.
    pub names: &'a Names,
    /// What was compared.
    pub entries: Vec<Entry<'a>>,
}

/// How two chapters compare; or a chapter without a counterpart.
#[derive(Debug)]
pub struct ChapterComparison<'a> {
    /// The chapter in the first recording.
    pub good: Option<Half<'a>>,
    /// The chapter in the second.
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

/// A line of two chapters in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// In both: the places in the entries of each.
    Same(usize, usize),
    /// Only in the first.
    Good(usize),
    /// Only in the second.
    Bad(usize),
}

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

/// A place in a chapter's entries.
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
    /// The whole chapter is only in the first.
    NoProbe,
    /// The whole chapter is only in the second.
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
struct Token {
    verb: &'static str,
    resource: u32,
    value: Option<i64>,
    phase: State,
    frame: Option<Hook>,
    foreign: bool,
}

/// What makes an entry of one recording the same thing in another place.
type Thing = (&'static str, u32);

impl Token {
    fn thing(&self) -> Thing {
        let verb = match self.verb {
            "released" | "removed" => "ended",
            "had" | "added" => "came",
            verb => verb,
        };
        (verb, self.resource)
    }
}

/// Compares two chapters.
pub(super) fn compare<'a>(
    good: Option<&Told<'a>>,
    bad: Option<&Told<'a>>,
    unnamed: &Unnamed,
    pairs: &mut Pairs,
    view: &View,
) -> ChapterComparison<'a> {
    pairs.pair(good, bad, unnamed);
    let mine = tokens(good, Which::Good, unnamed, pairs, view);
    let theirs = tokens(bad, Which::Bad, unnamed, pairs, view);
    let mut comparison = ChapterComparison {
        good: good.map(half),
        bad: bad.map(half),
        rows: Vec::new(),
        whole: !view.has(Hook::Probe),
        differences: Vec::new(),
        named: Named::default(),
    };
    let whole = match (good, bad) {
        (Some(good), None) if !good.entries.is_empty() => Some(DifferenceKind::NoProbe),
        (None, Some(bad)) if !bad.entries.is_empty() => Some(DifferenceKind::NewProbe),
        (Some(_), Some(_)) => None,
        _ => return comparison,
    };
    if let Some(kind) = whole {
        comparison.differences.push(Difference {
            kind,
            minor: false,
            good: None,
            bad: None,
        });
        return comparison;
    }
    for op in capture_diff_slices(Algorithm::Myers, &mine, &theirs) {
        let (tag, one, other) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            let same = one.zip(other).map(|(one, other)| Row::Same(one, other));
            comparison.rows.extend(same);
        } else {
            comparison.rows.extend(one.map(Row::Good));
            comparison.rows.extend(other.map(Row::Bad));
        }
    }
    comparison.name_actions(&mine, &theirs);
    comparison.find_differences(&mine, &theirs);
    comparison.find_other_values(&mine, &theirs);
    comparison
}

fn half<'a>(told: &Told<'a>) -> Half<'a> {
    Half {
        chapter: told.chapter,
        life: told.life,
        names: told.names,
        entries: told.entries.clone(),
    }
}

fn tokens(
    told: Option<&Told<'_>>,
    which: Which,
    unnamed: &Unnamed,
    pairs: &mut Pairs,
    view: &View,
) -> Vec<Token> {
    let Some(told) = told else { return Vec::new() };
    told.entries
        .iter()
        .map(|entry| {
            let (verb, value) = match entry {
                Entry::Step(step) => match step.what {
                    What::PmDetached(false) => ("nothing_detached", None),
                    What::ProbeFailed(value) => (step.what.name(), value),
                    _ => (step.what.name(), None),
                },
                Entry::Had(_) => (entry.name(), None),
            };
            let item = entry.item();
            Token {
                verb,
                resource: item.map_or(0, |item| pairs.number(which, &item, told.names, unnamed)),
                value,
                phase: if entry.is_turn() {
                    State::Unknown
                } else {
                    view.phase(entry.phase().unwrap_or(State::Unknown))
                },
                frame: entry
                    .frame()
                    .filter(|hook| view.has_frames() && view.has(*hook)),
                foreign: entry.is_foreign(),
            }
        })
        .collect()
}

impl ChapterComparison<'_> {
    fn entry(&self, which: Which, place: usize) -> Option<&Entry<'_>> {
        let half = match which {
            Which::Good => self.good.as_ref(),
            Which::Bad => self.bad.as_ref(),
        };
        half?.entries.get(place)
    }

    /// The neighbours of an entry that are in both, those that are about a resource before others.
    fn place(&self, which: Which, entry: usize) -> Place {
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
        /// How far away a neighbour is looked for that is about a resource.
        const NEAR: usize = 3;
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

    /// Kernels that don't name their actions are told how the others call them.
    fn name_actions(&mut self, mine: &[Token], theirs: &[Token]) {
        let items = |tokens: &[Token], which| -> HashMap<u32, Item> {
            let of = |(place, token): (usize, &Token)| {
                Some((token.resource, self.entry(which, place)?.item()?))
            };
            tokens.iter().enumerate().filter_map(of).collect()
        };
        let good = items(mine, Which::Good);
        let bad = items(theirs, Which::Bad);
        for (resource, one) in &good {
            if let Some(other) = bad.get(resource) {
                self.named.good.insert(one.serial, other.label);
                self.named.bad.insert(other.serial, one.label);
            }
        }
    }

    fn find_differences(&mut self, mine: &[Token], theirs: &[Token]) {
        let tail = self.tail();
        let mut gone: Vec<usize> = Vec::new();
        let mut waiting: HashMap<Thing, Vec<usize>> = HashMap::new();
        let mut come: Vec<usize> = Vec::new();
        let ends = tail.as_ref().map_or(self.rows.len(), |tail| tail.from);
        for row in self.rows.iter().take(ends) {
            match *row {
                Row::Good(place) => gone.push(place),
                Row::Bad(place) => come.push(place),
                Row::Same(..) => {}
            }
        }
        for place in come.iter().rev() {
            if let Some(token) = theirs.get(*place) {
                waiting.entry(token.thing()).or_default().push(*place);
            }
        }
        let resources = |tokens: &[Token]| -> HashSet<u32> {
            tokens
                .iter()
                .filter(|token| token.thing().0 == "came")
                .map(|token| token.resource)
                .collect()
        };
        let (came_mine, came_theirs) = (resources(mine), resources(theirs));
        let mut moved = HashSet::new();
        let mut found = Vec::new();
        for place in gone {
            let Some(token) = mine.get(place) else {
                continue;
            };
            let other = waiting
                .get_mut(&token.thing())
                .and_then(Vec::pop)
                .and_then(|other| Some((other, theirs.get(other)?)));
            let good = Some(self.place(Which::Good, place));
            let mut minor = is_minor(token);
            let (kind, bad) = match other {
                Some((at, other)) if token.value != other.value => {
                    moved.insert(at);
                    // Before 5.18 the kernel's function doesn't return the error.
                    minor = token.value.is_none() || other.value.is_none();
                    (DifferenceKind::Error, Some(self.place(Which::Bad, at)))
                }
                Some((at, other)) => {
                    moved.insert(at);
                    let elsewhere = (token.phase, token.frame, token.foreign)
                        != (other.phase, other.frame, other.foreign);
                    let kind = match (token.verb == other.verb, elsewhere) {
                        (false, _) => DifferenceKind::OtherEnd,
                        (true, true) => DifferenceKind::Elsewhere,
                        (true, false) => DifferenceKind::Order,
                    };
                    (kind, Some(self.place(Which::Bad, at)))
                }
                None => match token.thing().0 {
                    "came" => (DifferenceKind::NotAdded, None),
                    // It is told with its addition, or with that it came in neither.
                    "ended"
                        if came_mine.contains(&token.resource)
                            && !came_theirs.contains(&token.resource) =>
                    {
                        continue;
                    }
                    "ended" => {
                        let still_owned = self.still_owned(place, mine, theirs);
                        (DifferenceKind::NotReleased { still_owned }, None)
                    }
                    _ if self.is_past_the_end(Which::Good, place) => {
                        minor = true;
                        (DifferenceKind::Shorter, None)
                    }
                    _ => (DifferenceKind::Missing, None),
                },
            };
            found.push(Difference {
                kind,
                minor,
                good,
                bad,
            });
        }
        for place in come.into_iter().filter(|place| !moved.contains(place)) {
            let Some(token) = theirs.get(place) else {
                continue;
            };
            let kind = match token.thing().0 {
                "came" => DifferenceKind::Added,
                "ended"
                    if came_theirs.contains(&token.resource)
                        && !came_mine.contains(&token.resource) =>
                {
                    continue;
                }
                "ended" => DifferenceKind::Released,
                _ if self.is_past_the_end(Which::Bad, place) => DifferenceKind::Longer,
                _ => DifferenceKind::New,
            };
            found.push(Difference {
                kind,
                minor: is_minor(token) || kind == DifferenceKind::Longer,
                good: None,
                bad: Some(self.place(Which::Bad, place)),
            });
        }
        found.extend(tail.map(|tail| tail.difference));
        self.differences = found;
    }

    /// Whether an entry is the last turn in the device's life, and the other recording ends before.
    fn is_past_the_end(&self, which: Which, place: usize) -> bool {
        let (half, other) = match which {
            Which::Good => (self.good.as_ref(), self.bad.as_ref()),
            Which::Bad => (self.bad.as_ref(), self.good.as_ref()),
        };
        let last = half.is_some_and(|half| {
            half.entries
                .get(place..)
                .is_some_and(|rest| rest.iter().all(Entry::is_turn))
        });
        let common = self.rows.iter().rev().find_map(|row| match (*row, which) {
            (Row::Same(one, _), Which::Good) => Some(one),
            (Row::Same(_, other), Which::Bad) => Some(other),
            _ => None,
        });
        last && common.is_none_or(|common| common < place) && self.ends_here(other)
    }

    /// Whether the recording ends with this chapter, and the device still lives.
    fn ends_here(&self, half: Option<&Half<'_>>) -> bool {
        half.is_some_and(|half| {
            let last = half.life.chapters.last();
            let last = last.is_some_and(|last| std::ptr::eq(last, half.chapter) || self.whole);
            last && half.life.gone.is_none()
        })
    }

    /// Where one of the recordings ends and the other goes on: from a turn in the device's life on there is
    /// nothing more in the one, in which the device still lives.
    fn tail(&self) -> Option<Tail> {
        let last = self
            .rows
            .iter()
            .rposition(|row| matches!(row, Row::Same(..)))?;
        let behind = self.rows.get(last + 1..)?;
        let first = *behind.first()?;
        let (which, other, place) = match first {
            Row::Good(place) => (Which::Good, self.bad.as_ref()?, place),
            Row::Bad(place) => (Which::Bad, self.good.as_ref()?, place),
            Row::Same(..) => return None,
        };
        let one_sided = behind
            .iter()
            .all(|row| matches!(row, Row::Good(_)) == (which == Which::Good));
        if !one_sided || !self.ends_here(Some(other)) {
            return None;
        }
        if !self.entry(which, place)?.is_turn() {
            return None;
        }
        let resources = behind.iter().any(|row| {
            let (Row::Good(place) | Row::Bad(place)) = *row else {
                return false;
            };
            let entry = self.entry(which, place);
            entry.is_some_and(|entry| entry.item().is_some())
        });
        let place = Some(self.place(which, place));
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
    fn still_owned(&self, place: usize, mine: &[Token], theirs: &[Token]) -> bool {
        let Some(resource) = mine.get(place).map(|token| token.resource) else {
            return false;
        };
        let serial = theirs
            .iter()
            .position(|token| token.resource == resource && token.thing().0 == "came")
            .and_then(|place| self.entry(Which::Bad, place))
            .and_then(Entry::item)
            .map(|item| item.serial);
        let left = self.bad.as_ref().map(|bad| &bad.life.left.held);
        left.is_some_and(|left| left.iter().any(|held| Some(held.serial) == serial))
    }

    /// What is in both and not quite the same: sizes, and whether there is a PM domain.
    fn find_other_values(&mut self, mine: &[Token], theirs: &[Token]) {
        let came = |tokens: &[Token]| -> HashMap<u32, usize> {
            tokens
                .iter()
                .enumerate()
                .filter(|(_, token)| token.thing().0 == "came")
                .map(|(place, token)| (token.resource, place))
                .collect()
        };
        let others = came(theirs);
        let mut found = Vec::new();
        for (place, token) in mine.iter().enumerate() {
            if token.thing().0 != "came" {
                continue;
            }
            let Some(other) = others.get(&token.resource).copied() else {
                continue;
            };
            let size = |which, place| self.entry(which, place)?.item()?.size;
            if let (Some(one), Some(two)) = (size(Which::Good, place), size(Which::Bad, other))
                && one != two
            {
                found.push((DifferenceKind::Size, place, other));
            }
        }
        for row in &self.rows {
            let Row::Same(one, other) = *row else {
                continue;
            };
            let domain = |which, place| match self.entry(which, place)? {
                Entry::Step(step) => match step.what {
                    What::PmAttached(known) => known,
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
        for (kind, one, other) in found {
            self.differences.push(Difference {
                kind,
                minor: true,
                good: Some(self.place(Which::Good, one)),
                bad: Some(self.place(Which::Bad, other)),
            });
        }
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
