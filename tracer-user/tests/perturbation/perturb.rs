//! What can happen to the lines of a text, or to the events of a stream, on their way.

use std::fmt;

use devres_tracer::event::{Event, LossCause};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Items are missing.
    Deleted(usize),
    /// Items are missing, and an event in their place says how many.
    Counted(usize),
    /// Items are there twice, one behind the other.
    Doubled(usize),
    /// Items have changed places with as many that follow.
    Swapped(usize),
    /// A line ends in its middle.
    Halved,
    /// A line has lost its first half.
    Beheaded,
    /// A line has lost its line feed.
    Joined,
}

/// How many items at once.
const BLOCKS: [usize; 4] = [1, 2, 5, 20];

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, count) = match self {
            Self::Deleted(count) => ("deleted", count),
            Self::Counted(count) => ("lost and counted", count),
            Self::Doubled(count) => ("doubled", count),
            Self::Swapped(count) => ("swapped", count),
            Self::Halved => return formatter.write_str("cut in its middle"),
            Self::Beheaded => return formatter.write_str("first half lost"),
            Self::Joined => return formatter.write_str("line feed lost"),
        };
        write!(formatter, "{count} {what}")
    }
}

/// Calls `each` with every way in which blocks of `items` can be deleted, doubled and swapped with what
/// follows, and with where that begins: at every `stride`th place.
pub(crate) fn blocks<T: Clone>(
    items: &[T],
    stride: usize,
    mut each: impl FnMut(Kind, usize, Vec<T>),
) {
    for count in BLOCKS {
        let places = (0..items.len()).step_by(stride);
        for at in places.filter(|at| at + count <= items.len()) {
            let (before, rest) = items.split_at(at);
            let (block, after) = rest.split_at(count);
            each(Kind::Deleted(count), at, [before, after].concat());
            each(
                Kind::Doubled(count),
                at,
                [before, block, block, after].concat(),
            );
            if after.len() >= count {
                let (next, after) = after.split_at(count);
                each(
                    Kind::Swapped(count),
                    at,
                    [before, next, block, after].concat(),
                );
            }
        }
    }
}

/// Calls `each` with every stream that becomes of `events` by an accident to one of them, or to a block of them. A tracer
/// counts what it loses, so that the loss is in its place.
pub(crate) fn events(
    events: &[Event],
    stride: usize,
    mut each: impl FnMut(Kind, usize, Vec<Event>),
) {
    blocks(events, stride, |kind, at, damaged| {
        if let Kind::Deleted(count) = kind {
            let number = u64::try_from(count).unwrap_or(u64::MAX);
            let loss = Event::loss(events[at].time, number, LossCause::RingFull);
            let (before, after) = damaged.split_at(at);
            let counted = [before, &[loss], after].concat();
            each(Kind::Counted(count), at, counted);
        }
        each(kind, at, damaged);
    });
}

/// Calls `each` with every text that becomes of `text` by an accident to one line, or to a block of lines.
pub(crate) fn texts(text: &[u8], stride: usize, mut each: impl FnMut(Kind, usize, Vec<u8>)) {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    blocks(&lines, stride, |kind, at, lines| {
        each(kind, at, lines.concat());
    });
    for (at, line) in lines.iter().enumerate().step_by(stride) {
        let (before, after) = (lines[..at].concat(), lines[at + 1..].concat());
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let (first, second) = content.split_at(content.len() / 2);
        let with = |line: &[&[u8]]| {
            [&before, &line.concat(), &after]
                .map(Vec::as_slice)
                .concat()
        };
        each(Kind::Halved, at, with(&[first, b"\n"]));
        each(Kind::Beheaded, at, with(&[second, b"\n"]));
        each(Kind::Joined, at, with(&[content]));
    }
}
