//! The second stage: from lines to whole lines. What a mail program or a terminal has wrapped is joined; no stage behind
//! this one knows that lines are ever wrapped, but for those of the kernel's reports, which `record` follows.
//!
//! Two lines are one if the first looks like the beginning of an event, the second like the rest (`forms` has the table),
//! and both together are one. Only the forms of events show that: a line that is cut off looks the same as one that is wrapped.

mod forms;

use self::forms::{Form, Rest, begun};
use super::{
    Parsed,
    envelope::prefix,
    record::{
        by_fields, kernel_log,
        line::{Ending, Event, EventFinder},
        message,
    },
};

/// Lines that a wrapped one may have become.
const MOST_JOINED: u64 = 6;

/// Longest function event to which arguments are joined: it is copied for each.
const LONGEST_CALL: usize = 2048;

/// Joins lines that were wrapped.
#[derive(Default)]
pub(super) struct Wrapped {
    finder: EventFinder,
    held: Option<Held>,
    /// Room for the next line that is held.
    space: Vec<u8>,
}

/// A line that may go on in the next.
struct Held {
    text: Vec<u8>,
    /// How many lines it was in the input.
    lines: u64,
    form: &'static Form,
}

/// What two lines are together.
enum Joined<'a> {
    /// Two lines.
    No,
    Whole(Vec<u8>),
    /// A line that goes on in the next.
    Cut(Vec<u8>),
    /// A whole line, and another one behind it.
    Before(Vec<u8>, &'a [u8]),
}

impl Wrapped {
    /// Takes a line that was `count` lines in the input. Calls `each` with every whole one, and how many it was.
    pub(super) fn line(&mut self, line: &[u8], count: u64, each: &mut impl FnMut(&[u8], u64)) {
        let Some(held) = self.held.take() else {
            return self.first(line, count, each);
        };
        let lines = held.lines + count;
        match self.join(&held, line) {
            Joined::No => {
                each(&held.text, held.lines);
                self.space = held.text;
                self.first(line, count, each);
            }
            Joined::Whole(text) => self.first(&text, lines, each),
            Joined::Cut(text) => {
                let form = begun(&text, Ending::Open);
                self.held = form.map(|form| Held { text, lines, form });
            }
            Joined::Before(text, behind) => {
                each(&text, lines);
                self.first(behind, 0, each);
            }
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, each: &mut impl FnMut(&[u8], u64)) {
        if let Some(held) = self.held.take() {
            each(&held.text, held.lines);
        }
    }

    /// Whether no line is held back.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_none()
    }

    /// Takes a line that does not continue another one.
    fn first(&mut self, mut line: &[u8], mut count: u64, each: &mut impl FnMut(&[u8], u64)) {
        let form = loop {
            let ending = self.finder.ending(line);
            if ending != Ending::Open {
                break begun(line, ending);
            }
            match self.finder.read(line) {
                // Only the last of several events is cut off.
                Parsed::Event((_, Some(behind))) => {
                    let event = line.get(..line.len() - behind.len()).unwrap_or_default();
                    each(event, count);
                    (line, count) = (behind, 0);
                }
                Parsed::Event((_, None)) => break None,
                Parsed::Cut if by_fields::in_words(line).is_some() => break None,
                Parsed::Cut => break begun(line, Ending::Open),
                Parsed::Other => break begun(line, Ending::NoEvent),
            }
        };
        let Some(form) = form else {
            return each(line, count);
        };
        let mut text = std::mem::take(&mut self.space);
        text.clear();
        text.extend_from_slice(line);
        self.held = Some(Held {
            text,
            lines: count,
            form,
        });
    }

    /// Tries to make one line of the one that is held and the one that follows it.
    fn join<'a>(&self, held: &Held, line: &'a [u8]) -> Joined<'a> {
        let rest = prefix::unquote(line);
        // Broken between words, or where the line was full.
        let apart = || [&held.text, &b" "[..], rest].concat();
        if held.form.rest == Rest::Arguments {
            let goes_on = held.text.len() <= LONGEST_CALL
                && forms::is_rest(&self.finder, held.form.rest, line, rest);
            return if goes_on && self.is_call(&held.text) {
                Joined::Whole(apart())
            } else {
                Joined::No
            };
        }
        if held.form.rest == Rest::Silent
            && let Some((end, behind)) = kernel_log::part(rest)
        {
            let whole = [&held.text, &b" "[..], end].concat();
            if self.is_plausible(&whole) {
                return Joined::Before(whole, behind);
            }
        }
        if !forms::is_rest(&self.finder, held.form.rest, line, rest) {
            return Joined::No;
        }
        let (apart, together) = (apart(), [&held.text, rest].concat());
        let (read, read_together) = (self.finder.read(&apart), self.finder.read(&together));
        match (&read, &read_together) {
            (Parsed::Event((event, _)), _) if event.is_plausible() => Joined::Whole(apart),
            (_, Parsed::Event((event, _))) if event.is_plausible() => Joined::Whole(together),
            (Parsed::Event(_), _) => Joined::Whole(apart),
            (_, Parsed::Event(_)) => Joined::Whole(together),
            (Parsed::Cut, _) | (_, Parsed::Cut) if held.lines + 1 < MOST_JOINED => {
                Joined::Cut(apart)
            }
            (Parsed::Other, Parsed::Other) if message::is_whole(&apart) => Joined::Whole(apart),
            _ => Joined::No,
        }
    }

    /// Whether a line is an event that looks as the kernel prints it.
    fn is_plausible(&self, line: &[u8]) -> bool {
        matches!(self.finder.read(line), Parsed::Event((event, _)) if event.is_plausible())
    }

    /// Whether a line is a function event.
    fn is_call(&self, line: &[u8]) -> bool {
        let words = by_fields::in_words(line);
        let read = self.finder.read(words.as_deref().unwrap_or(line));
        matches!(read, Parsed::Event((Event::Function(_), _)))
    }
}
