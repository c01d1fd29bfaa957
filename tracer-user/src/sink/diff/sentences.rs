//! Differences in sentences.

use std::fmt::Write as _;

use super::super::report::words;
use crate::{
    diff::{BindingComparison, Difference, DifferenceKind, Entry, Half, Place, Row},
    escape::escape,
    history::{Held, Names, Step, StepKind},
    model::State,
};

/// One of the two recordings, as the sentences name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Good,
    Bad,
}

impl Which {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Bad => "BAD",
        }
    }
}

/// The half of a comparison.
pub(super) fn half<'c, 'a>(
    comparison: &'c BindingComparison<'a>,
    which: Which,
) -> Option<&'c Half<'a>> {
    match which {
        Which::Good => comparison.good.as_ref(),
        Which::Bad => comparison.bad.as_ref(),
    }
}

/// What an entry is about: the resource's name, or what happened.
pub(super) fn subject(comparison: &BindingComparison<'_>, which: Which, place: usize) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    let Some(entry) = half.entries.get(place) else {
        return String::new();
    };
    match (entry.item(), entry) {
        (Some(item), _) if item.marker().is_some() => "a group".to_owned(),
        (Some(_), _) => resource(comparison, which, entry),
        (None, Entry::Step(step)) => words::step(step, half.names),
        (None, Entry::Had(_)) => String::new(),
    }
}

/// A resource's name: that of the other recording where this one doesn't name its actions.
fn resource(comparison: &BindingComparison<'_>, which: Which, entry: &Entry<'_>) -> String {
    let (Some(half), Some(item)) = (half(comparison, which), entry.item()) else {
        return String::new();
    };
    let unnamed = half
        .names
        .label(item.label)
        .is_some_and(crate::history::Label::is_unnamed_action);
    let (named, other) = match which {
        Which::Good => (&comparison.named.good, comparison.bad.as_ref()),
        Which::Bad => (&comparison.named.bad, comparison.good.as_ref()),
    };
    match (named.get(&item.serial), other) {
        (Some(label), Some(other)) if unnamed => words::resource(*label, other.names),
        _ => words::resource(item.label, half.names),
    }
}

/// An entry as a line.
pub(super) fn line(comparison: &BindingComparison<'_>, which: Which, place: usize) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    match half.entries.get(place) {
        Some(entry @ Entry::Had(held)) => had(held, &resource(comparison, which, entry)),
        Some(entry @ Entry::Step(step)) => match (step.kind, entry.item()) {
            (StepKind::Added(_), Some(item)) if item.marker().is_none() => {
                let by = half
                    .names
                    .label(item.label)
                    .and_then(|label| label.by.as_deref());
                let text = format!(
                    "added    {:<26}{}  {}",
                    resource(comparison, which, entry),
                    words::size(item.size()),
                    escape(by.unwrap_or_default())
                );
                text.trim_end().to_owned()
            }
            (StepKind::Added(_), Some(item)) => match item.marker() {
                Some(marker) if marker.opens => "group opened (grp<)".to_owned(),
                _ => "group closed (grp>)".to_owned(),
            },
            // The name that both go by.
            (_, Some(item)) if item.marker().is_none() => words::step(step, half.names).replacen(
                &words::resource(item.label, half.names),
                &resource(comparison, which, entry),
                1,
            ),
            (StepKind::Released(_), Some(_)) => "group released (grp<)".to_owned(),
            (StepKind::Removed(_), Some(_)) => "group removed; its resources stay".to_owned(),
            (StepKind::GroupReleased(_), _) => "devres_release_group".to_owned(),
            _ => words::step(step, half.names),
        },
        None => String::new(),
    }
}

fn had(held: &Held, name: &str) -> String {
    match held.item.marker() {
        Some(marker) if marker.opens => "had a group".to_owned(),
        Some(_) => "had the end of a group".to_owned(),
        None => format!("had      {name}"),
    }
}

/// Where a step happened: the phase, and the function of drivers/base/devres.c.
pub(super) fn whereabouts(entry: &Entry<'_>, names: &Names) -> String {
    let Entry::Step(step) = entry else {
        return "before the recording".to_owned();
    };
    let mut text = phase(step).to_owned();
    if let Some(hook) = step.frame {
        let _ = write!(text, ", by {}", hook.symbol());
    }
    if entry.is_foreign() {
        let _ = write!(text, ", in a call for {}", words::resource(step.by, names));
    }
    text
}

fn phase(step: &Step) -> &'static str {
    match step.phase {
        State::Unknown => "in an unknown phase",
        State::Initialised => "before any probe",
        State::Probing => "in the probe",
        State::Bound => "while bound",
        State::Removing => "in device_remove",
        State::Cleanup => "in device_unbind_cleanup",
        State::Unbound => "after the unbind",
        State::Deleted => "after device_del",
        State::Dead => "at its end",
    }
}

/// What happened beside a step, as in `before pvpanic_remove was released`.
fn beside(comparison: &BindingComparison<'_>, which: Which, word: &str, place: usize) -> String {
    let Some(entry) = half(comparison, which).and_then(|half| half.entries.get(place)) else {
        return String::new();
    };
    let name = subject(comparison, which, place);
    match entry {
        Entry::Had(_) => format!("{word} everything seen"),
        Entry::Step(step) => match step.kind {
            StepKind::Added(_) => format!("{word} {name} was added"),
            StepKind::Removed(_) => format!("{word} {name} was removed"),
            StepKind::Released(_) => format!("{word} {name} was released"),
            StepKind::Replaced(_) => format!("{word} {name} was replaced"),
            _ => format!("{word} \"{name}\""),
        },
    }
}

/// A sentence that can be said of several resources at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// What it is about; empty where the rest is the whole sentence.
    pub(super) name: String,
    /// What follows the name of one.
    one: String,
    /// What follows the names of several.
    many: String,
}

impl Sentence {
    fn new(name: &str, one: String, many: String) -> Self {
        Self {
            name: name.to_owned(),
            one,
            many,
        }
    }

    fn whole(text: String) -> Self {
        Self::new("", text.clone(), text)
    }

    /// Whether the same holds for something else.
    pub(super) fn tells_the_same(&self, other: &Self) -> bool {
        !self.name.is_empty() && self.one == other.one && self.many == other.many
    }

    /// The sentence, about all these.
    pub(super) fn of(&self, names: &[String]) -> String {
        /// Names that are listed.
        const MOST: usize = 6;
        match names {
            [] | [_] => format!("{}{}", self.name, self.one),
            [all @ .., last] if names.len() <= MOST => {
                format!("{} and {last}{}", all.join(", "), self.many)
            }
            names => {
                let listed = names.get(..MOST).unwrap_or_default().join(", ");
                format!("{listed} and {} more{}", names.len() - MOST, self.many)
            }
        }
    }
}

/// The sentence on a difference.
pub(super) fn sentence(comparison: &BindingComparison<'_>, difference: &Difference) -> String {
    parts(comparison, difference).of(&[])
}

/// The sentence on a difference, in parts.
pub(super) fn parts(comparison: &BindingComparison<'_>, difference: &Difference) -> Sentence {
    let (good, bad) = (difference.good, difference.bad);
    let name = good
        .map(|place| subject(comparison, Which::Good, place.entry))
        .or_else(|| bad.map(|place| subject(comparison, Which::Bad, place.entry)))
        .unwrap_or_default();
    let other_name = || {
        bad.map(|place| subject(comparison, Which::Bad, place.entry))
            .unwrap_or_default()
    };
    let at = |which, place: Option<Place>| {
        let told = place.and_then(|place| {
            let half = half(comparison, which)?;
            Some(whereabouts(half.entries.get(place.entry)?, half.names))
        });
        told.unwrap_or_default()
    };
    let is = |text: String| Sentence::new(&name, format!(" is {text}"), format!(" are {text}"));
    match difference.kind {
        DifferenceKind::Added => is(format!(
            "new: added only in BAD, {}{}",
            at(Which::Bad, bad),
            by(comparison, Which::Bad, bad)
        )),
        DifferenceKind::NotAdded => is(format!(
            "missing: added only in GOOD, {}{}",
            at(Which::Good, good),
            by(comparison, Which::Good, good)
        )),
        DifferenceKind::NotReleased { still_owned } => {
            let end = if still_owned {
                ", which still held it at its end"
            } else {
                ""
            };
            let verb = verb(comparison, Which::Good, good);
            is(format!(
                "never {verb} in BAD{end}; in GOOD {}",
                at(Which::Good, good)
            ))
        }
        DifferenceKind::Released => {
            let verb = verb(comparison, Which::Bad, bad);
            is(format!("{verb} only in BAD, {}", at(Which::Bad, bad)))
        }
        DifferenceKind::Elsewhere | DifferenceKind::Order => moved(comparison, difference, &name),
        DifferenceKind::OtherEnd => is(format!(
            "{} in GOOD, {}, and {} in BAD, {}",
            verb(comparison, Which::Good, good),
            at(Which::Good, good),
            verb(comparison, Which::Bad, bad),
            at(Which::Bad, bad)
        )),
        DifferenceKind::Missing => Sentence::whole(format!("only in GOOD: {name}")),
        DifferenceKind::New => Sentence::whole(format!("only in BAD: {name}")),
        DifferenceKind::Shorter => {
            Sentence::whole(format!("BAD ends here, before \"{name}\"; GOOD continues"))
        }
        DifferenceKind::Longer => {
            Sentence::whole(format!("GOOD ends here, before \"{name}\"; BAD continues"))
        }
        DifferenceKind::Error => Sentence::whole(format!(
            "the probe ends differently: in GOOD \"{name}\", in BAD \"{}\"",
            other_name()
        )),
        DifferenceKind::Size => {
            let size = |which, place: Option<Place>| {
                let half = half(comparison, which)?;
                half.entries.get(place?.entry)?.item()?.size()
            };
            Sentence::whole(format!(
                "{name} {} -> {} bytes",
                size(Which::Good, good).unwrap_or_default(),
                size(Which::Bad, bad).unwrap_or_default()
            ))
        }
        DifferenceKind::PmDomain => {
            Sentence::whole(format!("in GOOD \"{name}\", in BAD \"{}\"", other_name()))
        }
        DifferenceKind::NoProbe => Sentence::whole(alone(comparison, Which::Good)),
        DifferenceKind::NewProbe => Sentence::whole(alone(comparison, Which::Bad)),
    }
}

/// A binding without a counterpart.
fn alone(comparison: &BindingComparison<'_>, which: Which) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    let came = half.entries.iter().filter(|entry| entry.begins());
    let came = came
        .filter_map(Entry::item)
        .filter(|item| item.marker().is_none())
        .count();
    let went = half.entries.iter().filter(|entry| entry.ends());
    let went = went
        .filter_map(Entry::item)
        .filter(|item| item.marker().is_none())
        .count();
    let what = match half.binding.number {
        0 => "the part before the first probe".to_owned(),
        number => format!("probe {number}"),
    };
    format!(
        "{what} is only in {}: {came} resources were added and {went} released",
        which.name()
    )
}

fn verb(comparison: &BindingComparison<'_>, which: Which, place: Option<Place>) -> &'static str {
    let entry = place.and_then(|place| half(comparison, which)?.entries.get(place.entry));
    entry.map_or("", |entry| entry.name())
}

/// Who added it.
fn by(comparison: &BindingComparison<'_>, which: Which, place: Option<Place>) -> String {
    let by = place.and_then(|place| {
        let half = half(comparison, which)?;
        let item = half.entries.get(place.entry)?.item()?;
        half.names.label(item.label)?.by.clone()
    });
    by.map(|by| format!(", by {}", escape(&by)))
        .unwrap_or_default()
}

/// Something that is in both, in other places.
fn moved(comparison: &BindingComparison<'_>, difference: &Difference, name: &str) -> Sentence {
    let (Some(good), Some(bad)) = (difference.good, difference.bad) else {
        return Sentence::whole(String::new());
    };
    // Later, if what comes behind it in the first comes before it in the second.
    let later = good.before.is_some_and(|ahead| {
        comparison
            .rows
            .iter()
            .any(|row| matches!(*row, Row::Same(one, other) if one == ahead && other < bad.entry))
    });
    let earlier = good.behind.is_some_and(|behind| {
        comparison
            .rows
            .iter()
            .any(|row| matches!(*row, Row::Same(one, other) if one == behind && other > bad.entry))
    });
    let side = |which, place: Place, before: bool| {
        let at = half(comparison, which)
            .and_then(|half| Some(whereabouts(half.entries.get(place.entry)?, half.names)))
            .unwrap_or_default();
        let (word, neighbour) = if before {
            ("before", place.before)
        } else {
            ("after", place.behind)
        };
        let neighbour = neighbour
            .filter(|_| later || earlier)
            .map(|neighbour| beside(comparison, which, word, neighbour));
        (neighbour, at)
    };
    let (mine, at_mine) = side(Which::Good, good, later);
    let (theirs, at_theirs) = side(Which::Bad, bad, !later);
    let join = |neighbour: Option<String>, at: &str| match neighbour {
        Some(neighbour) if at_mine == at_theirs => neighbour,
        Some(neighbour) => format!("{at}, {neighbour}"),
        None => at.to_owned(),
    };
    let places = format!(
        ": in GOOD {}; in BAD {}",
        join(mine, &at_mine),
        join(theirs, &at_theirs)
    );
    let when = match (later, earlier) {
        (true, _) => "later",
        (_, true) => "earlier",
        _ => "elsewhere",
    };
    let verb = verb(comparison, Which::Good, Some(good));
    let entry = half(comparison, Which::Good).and_then(|half| half.entries.get(good.entry));
    if entry.is_some_and(|entry| entry.item().is_some()) {
        Sentence::new(
            name,
            format!(" is {verb} {when}{places}"),
            format!(" are {verb} {when}{places}"),
        )
    } else {
        Sentence::whole(format!("{name} comes {when}{places}"))
    }
}
