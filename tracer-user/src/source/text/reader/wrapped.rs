//! Events that something between the kernel and here has wrapped: their lines are joined.

use super::{
    super::{
        Parsed,
        envelope::{prefix, trace_head},
        record::{function_line, kernel_log, message, refusal, trace_line},
        scan::{around, last_word},
    },
    Reader,
};
use crate::event::Task;

/// Lines that a wrapped one may have become.
const MOST_JOINED: u64 = 6;

/// Longest beginning of a wrapped line that does not say yet that it is an event.
const LONGEST_HEAD: usize = 160;

/// The beginning of an event, or of what may be one.
pub(super) struct Held {
    text: Vec<u8>,
    lines: u64,
    /// It is the beginning of an event; else it only may be.
    is_event: bool,
}

/// What came of joining two lines.
pub(super) enum Joined<'a> {
    Done,
    /// Done, and this follows in the same line.
    Before(&'a [u8]),
    No(Held),
}

impl Reader {
    /// Tries to make an event of a held beginning and the line that follows it.
    pub(super) fn join<'a>(&mut self, mut held: Held, line: &'a [u8]) -> Joined<'a> {
        let rest = prefix::unquote(line);
        if held.is_event
            && let Some((end, behind)) = kernel_log::part(rest)
            && let Parsed::Event((event, _)) = self.parse(&[&held.text, &b" "[..], end].concat())
            && event.is_plausible()
        {
            self.take(event);
            self.statistics.event_lines += held.lines + self.count;
            self.last_event = self.place;
            self.count = 0;
            return Joined::Before(behind);
        }
        let timed = trace_head::begins_with_time(rest);
        let has_own = self.devres.find(line).is_some()
            || trace_line::find(line, &self.tracepoint).is_some()
            || message::is_whole(line)
            || function_line::goes_on(rest)
            || refusal::goes_on(rest)
            || timed;
        if self.is_whole_call(line) {
            return Joined::No(held);
        }
        // What only may be the beginning of an event needs a line that reports one.
        if (prefix::split(line).0.logged && !timed) || has_own == held.is_event {
            return Joined::No(held);
        }
        // Broken between words, or where the line was full.
        let apart = [&held.text, &b" "[..], rest].concat();
        let together = [&held.text, rest].concat();
        let cut = match (self.parse(&apart), self.parse(&together)) {
            (Parsed::Event((event, _)), _) | (_, Parsed::Event((event, _)))
                if event.is_plausible() =>
            {
                self.take(event);
                false
            }
            (Parsed::Event((event, _)), _) | (_, Parsed::Event((event, _))) => {
                self.take(event);
                false
            }
            (Parsed::Cut, _) | (_, Parsed::Cut) => true,
            (Parsed::Other, Parsed::Other) => {
                if !message::is_whole(&apart) {
                    return Joined::No(held);
                }
                if !self.refused(&apart) {
                    let lines = held.lines + self.count;
                    self.statistics.other_lines += lines;
                    self.splat(&apart, lines);
                    return Joined::Done;
                }
                false
            }
        };
        if cut && held.lines + 1 >= MOST_JOINED {
            return Joined::No(held);
        }
        held.lines += self.count;
        if cut {
            held.text = apart;
            held.is_event = true;
            self.held = Some(held);
        } else {
            self.statistics.event_lines += held.lines;
            self.last_event = self.place;
        }
        Joined::Done
    }

    pub(super) fn hold(&mut self, line: &[u8], is_event: bool) {
        self.held = Some(Held {
            text: line.to_vec(),
            lines: self.count,
            is_event,
        });
    }

    pub(super) fn give_up(&mut self, held: &Held) {
        self.statistics.cut += u64::from(held.is_event);
        self.statistics.other_lines += held.lines;
    }

    /// What was held is followed by something else: it stays cut off, and its event is missing at this place.
    pub(super) fn give_up_within(&mut self, held: &Held) {
        if held.is_event && self.is_timed(&held.text) {
            self.collector.lost(1);
        }
        self.give_up(held);
    }

    /// Whether a line is a function event with its task in front of it: nothing of it is missing.
    fn is_whole_call(&self, line: &[u8]) -> bool {
        let at = function_line::find(line, &self.function);
        let call = at.map(|at| function_line::read(line, at));
        matches!(call, Some(Parsed::Event(call)) if call.head.task != Task::default())
    }

    /// Whether the time of an event stands before it: what only talks about events has none.
    fn is_timed(&self, line: &[u8]) -> bool {
        let before = |at: Option<usize>| line.get(..at?);
        // The event's own name follows the head, too.
        let call = before(function_line::find(line, &self.function)).and_then(last_word);
        let head = before(trace_line::find(line, &self.tracepoint)).or(call.map(|(head, _)| head));
        match head {
            Some(head) => trace_head::head_of_any(head).time.is_some(),
            None => prefix::split(line).0.time.is_some(),
        }
    }
}

/// Whether a line can be the beginning of an event that was wrapped before its first telling word: a
/// prefix with a time, and of the rest nothing, only a driver, or a driver and a device.
pub(super) fn may_begin(line: &[u8]) -> bool {
    if line.len() > LONGEST_HEAD {
        return false;
    }
    let (prefix, rest) = prefix::split(line);
    if prefix.time.is_none() {
        return false;
    }
    let mut words = rest.split(u8::is_ascii_whitespace);
    let second = (words.next(), words.next()).1;
    words.next().is_none()
        && second.is_none_or(|device| device.ends_with(b":"))
        // A frame of a stack is one word, too.
        && around(rest, b"+0x").is_none()
}
