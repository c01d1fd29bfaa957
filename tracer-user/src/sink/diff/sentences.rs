//! Differences in sentences.

use std::fmt::Write as _;

use super::super::report::words;
use crate::{
    diff::{ChapterComparison, Difference, DifferenceKind, Entry, Half, Place},
    escape::escape,
    lives::{Held, Step, What},
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
    comparison: &'c ChapterComparison<'a>,
    which: Which,
) -> Option<&'c Half<'a>> {
    match which {
        Which::Good => comparison.good.as_ref(),
        Which::Bad => comparison.bad.as_ref(),
    }
}

/// What an entry is about: the resource's name, or what happened.
pub(super) fn subject(comparison: &ChapterComparison<'_>, which: Which, place: usize) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    let Some(entry) = half.entries.get(place) else {
        return String::new();
    };
    match (entry.item(), entry) {
        (Some(item), _) if item.marker.is_some() => "a group".to_owned(),
        (Some(_), _) => resource(comparison, which, entry),
        (None, Entry::Step(step)) => words::step(step, half.names),
        (None, Entry::Had(_)) => String::new(),
    }
}

/// A resource's name: that of the other recording where this one doesn't name its actions.
fn resource(comparison: &ChapterComparison<'_>, which: Which, entry: &Entry<'_>) -> String {
    let (Some(half), Some(item)) = (half(comparison, which), entry.item()) else {
        return String::new();
    };
    let unnamed = half
        .names
        .label(item.label)
        .is_some_and(crate::lives::Label::is_unnamed_action);
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
pub(super) fn line(comparison: &ChapterComparison<'_>, which: Which, place: usize) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    match half.entries.get(place) {
        Some(entry @ Entry::Had(held)) => had(held, &resource(comparison, which, entry)),
        Some(entry @ Entry::Step(step)) => {
            let text = words::step(step, half.names);
            match entry.item() {
                // The name that both go by.
                Some(item) if item.marker.is_none() => text.replacen(
                    &words::resource(item.label, half.names),
                    &resource(comparison, which, entry),
                    1,
                ),
                _ => text,
            }
        }
        None => String::new(),
    }
}

fn had(held: &Held, name: &str) -> String {
    match held.marker {
        Some(marker) if marker.opens => "had a group".to_owned(),
        Some(_) => "had the end of a group".to_owned(),
        None => format!("had      {name}"),
    }
}

/// Where a step happened: the phase, and the function of drivers/base/devres.c.
pub(super) fn whereabouts(entry: &Entry<'_>) -> String {
    let Entry::Step(step) = entry else {
        return "before the recording".to_owned();
    };
    let mut text = phase(step).to_owned();
    if let Some(hook) = step.frame {
        let _ = write!(text, ", by {}", hook.symbol());
    }
    text
}

fn phase(step: &Step) -> &'static str {
    match step.phase {
        State::Unknown => "in a phase that is not known",
        State::Initialised => "before any probe",
        State::Probing => "in the probe",
        State::Bound => "while bound",
        State::Removing => "in device_remove",
        State::Cleanup => "in the cleanup",
        State::Unbound => "after the unbind",
        State::Deleted => "after device_del",
        State::Dead => "at its end",
    }
}

/// What happened beside a step, as in `before pvpanic_remove was released`.
fn beside(comparison: &ChapterComparison<'_>, which: Which, word: &str, place: usize) -> String {
    let Some(entry) = half(comparison, which).and_then(|half| half.entries.get(place)) else {
        return String::new();
    };
    let name = subject(comparison, which, place);
    match entry {
        Entry::Had(_) => format!("{word} everything that was seen"),
        Entry::Step(step) => match step.what {
            What::Added(_) => format!("{word} {name} was added"),
            What::Removed(_) => format!("{word} {name} was removed"),
            What::Released(_) => format!("{word} {name} was released"),
            What::Replaced(_) => format!("{word} {name} was replaced"),
            _ => format!("{word} \"{name}\""),
        },
    }
}

/// The sentence on a difference.
pub(super) fn sentence(comparison: &ChapterComparison<'_>, difference: &Difference) -> String {
    let (good, bad) = (difference.good, difference.bad);
    let name = good
        .map(|place| subject(comparison, Which::Good, place.entry))
        .or_else(|| bad.map(|place| subject(comparison, Which::Bad, place.entry)))
        .unwrap_or_default();
    let at = |which, place: Option<Place>| {
        let entry = place.and_then(|place| half(comparison, which)?.entries.get(place.entry));
        entry.map(whereabouts).unwrap_or_default()
    };
    let size = |which, place: Option<Place>| {
        let half = half(comparison, which)?;
        half.entries.get(place?.entry)?.item()?.size
    };
    match difference.kind {
        DifferenceKind::Added => format!(
            "{name} is new: added only in BAD, {}{}",
            at(Which::Bad, bad),
            by(comparison, Which::Bad, bad)
        ),
        DifferenceKind::NotAdded => format!(
            "{name} is missing: added only in GOOD, {}{}",
            at(Which::Good, good),
            by(comparison, Which::Good, good)
        ),
        DifferenceKind::NotReleased { still_owned } => format!(
            "{name} is never released in BAD{}; in GOOD {}",
            if still_owned {
                ", which still owned it at its end"
            } else {
                ""
            },
            at(Which::Good, good)
        ),
        DifferenceKind::Released => {
            format!("{name} is released only in BAD, {}", at(Which::Bad, bad))
        }
        DifferenceKind::Elsewhere | DifferenceKind::Order => moved(comparison, difference, &name),
        DifferenceKind::OtherEnd => format!(
            "{name} ends in another way: in GOOD {} {}, in BAD {} {}",
            verb(comparison, Which::Good, good),
            at(Which::Good, good),
            verb(comparison, Which::Bad, bad),
            at(Which::Bad, bad)
        ),
        DifferenceKind::Missing => format!("only in GOOD, {}: {name}", at(Which::Good, good)),
        DifferenceKind::New => format!("only in BAD, {}: {name}", at(Which::Bad, bad)),
        DifferenceKind::Error => format!(
            "the probe fails in another way: in GOOD \"{name}\", in BAD \"{}\"",
            bad.map(|place| subject(comparison, Which::Bad, place.entry))
                .unwrap_or_default()
        ),
        DifferenceKind::Size => format!(
            "{name} {} -> {} bytes",
            size(Which::Good, good).unwrap_or_default(),
            size(Which::Bad, bad).unwrap_or_default()
        ),
        DifferenceKind::PmDomain => format!(
            "in GOOD \"{name}\", in BAD \"{}\"",
            bad.map(|place| subject(comparison, Which::Bad, place.entry))
                .unwrap_or_default()
        ),
        DifferenceKind::NoProbe | DifferenceKind::NewProbe => {
            let which = if difference.kind == DifferenceKind::NoProbe {
                Which::Good
            } else {
                Which::Bad
            };
            alone(comparison, which)
        }
    }
}

/// A chapter without a counterpart.
fn alone(comparison: &ChapterComparison<'_>, which: Which) -> String {
    let Some(half) = half(comparison, which) else {
        return String::new();
    };
    let came = half.entries.iter().filter(|entry| entry.begins());
    let came = came
        .filter_map(Entry::item)
        .filter(|item| item.marker.is_none())
        .count();
    let went = half.entries.iter().filter(|entry| entry.ends());
    let went = went
        .filter_map(Entry::item)
        .filter(|item| item.marker.is_none())
        .count();
    let what = match half.chapter.binding {
        0 => "what happens before the first probe".to_owned(),
        number => format!("probe {number}"),
    };
    format!(
        "{what} is only in {}: {came} resources came and {went} went",
        which.name()
    )
}

fn verb(comparison: &ChapterComparison<'_>, which: Which, place: Option<Place>) -> &'static str {
    let entry = place.and_then(|place| half(comparison, which)?.entries.get(place.entry));
    entry.map_or("", |entry| entry.name())
}

/// Who added it.
fn by(comparison: &ChapterComparison<'_>, which: Which, place: Option<Place>) -> String {
    let by = place.and_then(|place| {
        let half = half(comparison, which)?;
        let item = half.entries.get(place.entry)?.item()?;
        half.names.label(item.label)?.by.clone()
    });
    by.map(|by| format!(", by {}", escape(&by)))
        .unwrap_or_default()
}

/// Something that is in both, in other places.
fn moved(comparison: &ChapterComparison<'_>, difference: &Difference, name: &str) -> String {
    let (Some(good), Some(bad)) = (difference.good, difference.bad) else {
        return String::new();
    };
    let at = |which, place: Place| {
        half(comparison, which)
            .and_then(|half| half.entries.get(place.entry))
            .map(whereabouts)
            .unwrap_or_default()
    };
    let (mine, theirs) = (at(Which::Good, good), at(Which::Bad, bad));
    // Later, if what comes behind it in the first comes before it in the second.
    let later = match good.before {
        Some(ahead) => comparison.rows.iter().any(|row| {
            matches!(row, crate::diff::Row::Same(one, other) if *one == ahead && *other < bad.entry)
        }),
        None => false,
    };
    let sides = |which, place: Place, word: &str| {
        let neighbour = if word == "before" {
            place.before
        } else {
            place.behind
        };
        neighbour
            .map(|neighbour| beside(comparison, which, word, neighbour))
            .unwrap_or_default()
    };
    let (first, second) = if later {
        ("before", "after")
    } else {
        ("after", "before")
    };
    let one = [sides(Which::Good, good, first), mine.clone()];
    let other = [sides(Which::Bad, bad, second), theirs.clone()];
    let join = |parts: [String; 2]| {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    };
    if difference.kind == DifferenceKind::Order || mine == theirs {
        let what = kind_of_move(comparison, good, later);
        return format!(
            "{name}{what}: in GOOD {}; in BAD {}",
            sides(Which::Good, good, first),
            sides(Which::Bad, bad, second)
        );
    }
    format!(
        "{name}{}: in GOOD {}; in BAD {}",
        kind_of_move(comparison, good, later),
        join(one),
        join(other)
    )
}

fn kind_of_move(comparison: &ChapterComparison<'_>, good: Place, later: bool) -> String {
    let entry = half(comparison, Which::Good).and_then(|half| half.entries.get(good.entry));
    let verb = match entry {
        Some(Entry::Step(step)) if step.what.item().is_some() => step.what.name(),
        _ => "",
    };
    let when = if later { "later" } else { "earlier" };
    if verb.is_empty() {
        format!(" comes {when}")
    } else {
        format!(" is {verb} {when}")
    }
}
