//! From lines to records: finds the events among the lines and joins what a mail program has wrapped.

use std::io::{self, BufRead};

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use super::{
    Parsed, Statistics,
    call::{self, Call},
    call_chain,
    collect::Collector,
    function_line, kernel_log, lines, loss,
    message::{self, Look, Messages},
    prefix,
    records::Records,
    scan::{around, last_word},
    trace_line::{self, Head},
};
use crate::event::{Comm, Hook, Message};

/// Lines that a wrapped one may have become.
const MOST_JOINED: u64 = 4;
/// Bytes of a stack that are kept, about.
const LONGEST_STACK: usize = 16 * 1024;
/// Longest beginning of a wrapped line that does not tell yet that it is an event.
const LONGEST_HEAD: usize = 160;

/// What an input told.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) records: Records,
    pub(super) statistics: Statistics,
}

/// Reads everything.
pub(super) fn read(reader: impl BufRead) -> io::Result<Found> {
    let mut lines = Reader::new();
    let mut space = Vec::new();
    lines::for_each(reader, |line| {
        lines.line(lines::plain(line, &mut space).trim_ascii_end());
    })?;
    Ok(lines.finish())
}

struct Reader {
    collector: Collector,
    statistics: Statistics,
    messages: Messages,
    /// The line of the last event.
    last_event: u64,
    /// Finds what losses and messages contain; without it every line is looked at closely.
    telling: Option<AhoCorasick>,
    devres: Finder<'static>,
    tracepoint: Finder<'static>,
    function: Finder<'static>,
    /// The beginning of an event whose rest may be on the next line.
    held: Option<Held>,
    /// The record whose stack may follow, and what of that was read.
    stack: Option<(u32, Vec<u8>)>,
    /// A function event, to which arguments on the next line may belong.
    call: Option<(Head, Call)>,
}

struct Held {
    text: Vec<u8>,
    lines: u64,
    /// It is the beginning of an event; else it only may be.
    is_event: bool,
}

/// What a line is.
enum Line {
    Event,
    Cut,
    Other,
}

impl Reader {
    fn new() -> Self {
        Self {
            collector: Collector::default(),
            statistics: Statistics::default(),
            messages: Messages::default(),
            last_event: 0,
            telling: telling(),
            devres: Finder::new(kernel_log::WORD),
            tracepoint: Finder::new(trace_line::EVENT),
            function: Finder::new(function_line::OPENING),
            held: None,
            call: None,
            stack: None,
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.statistics.lines += 1;
        if let Some((_, call)) = &mut self.call
            && call::continues(prefix::unquote(line))
        {
            call.take(prefix::unquote(line), &mut self.collector.records.names);
            self.statistics.event_lines += 1;
            return;
        }
        self.commit();
        if self.stack_goes_on(line) {
            return;
        }
        if let Some(held) = self.held.take() {
            match self.join(held, line) {
                Joined::Done => return,
                Joined::No(held) => self.give_up(&held),
            }
        }
        match self.event(line) {
            Line::Event => {
                self.statistics.event_lines += 1;
                self.last_event = self.statistics.lines;
            }
            Line::Cut => self.hold(line, true),
            Line::Other => self.other(line),
        }
    }

    /// Reads a line, if it is an event.
    fn event(&mut self, line: &[u8]) -> Line {
        if let Some(at) = self.devres.find(line) {
            return match kernel_log::read(line, at) {
                Parsed::Event(event) => {
                    self.statistics.kernel_log += 1;
                    self.collector.kernel_line(&event);
                    Line::Event
                }
                Parsed::Cut => Line::Cut,
                Parsed::Other => Line::Other,
            };
        }
        if let Some(at) = self.tracepoint.find(line) {
            return match trace_line::read(line, at) {
                Parsed::Event(event) => {
                    self.statistics.tracepoint += 1;
                    self.collector.trace_line(&event);
                    self.stack = self
                        .collector
                        .stack_owner(None)
                        .map(|record| (record, Vec::new()));
                    Line::Event
                }
                Parsed::Cut => Line::Cut,
                Parsed::Other => Line::Other,
            };
        }
        let Some(at) = self.function.find(line) else {
            return Line::Other;
        };
        match function_line::read(line, at) {
            Parsed::Event(event) => {
                self.statistics.functions += 1;
                let mut call = Call::new(event.hook, event.returns);
                call.caller = event.caller;
                call.take(event.arguments, &mut self.collector.records.names);
                if call.hook == Hook::OpenGroup {
                    self.collector.opened_by(&event);
                }
                self.call = Some((event.head, call));
                Line::Event
            }
            Parsed::Cut => Line::Cut,
            Parsed::Other => Line::Other,
        }
    }

    /// Tries to make an event of a held beginning and the line that follows it.
    fn join(&mut self, mut held: Held, line: &[u8]) -> Joined {
        let has_own = self.devres.find(line).is_some() || self.tracepoint.find(line).is_some();
        // What only may be the beginning of an event needs a line that tells of one.
        if prefix::split(line).0.begins || has_own == held.is_event {
            return Joined::No(held);
        }
        // A mail that is not decoded marks where it was broken; else it was broken between words.
        if held.text.last() == Some(&b'=') {
            held.text.pop();
        } else {
            held.text.push(b' ');
        }
        held.text.extend_from_slice(prefix::unquote(line));
        match self.event(&held.text) {
            Line::Event => {
                self.statistics.event_lines += held.lines + 1;
                self.last_event = self.statistics.lines;
                Joined::Done
            }
            Line::Cut if held.lines + 1 < MOST_JOINED => {
                held.lines += 1;
                held.is_event = true;
                self.held = Some(held);
                Joined::Done
            }
            Line::Cut | Line::Other => Joined::No(held),
        }
    }

    fn hold(&mut self, line: &[u8], is_event: bool) {
        self.held = Some(Held {
            text: line.to_vec(),
            lines: 1,
            is_event,
        });
    }

    fn give_up(&mut self, held: &Held) {
        self.statistics.cut += u64::from(held.is_event);
        self.statistics.other_lines += held.lines;
    }

    fn other(&mut self, line: &[u8]) {
        let expected = self.messages.expects_more();
        if !expected && may_begin(line) {
            self.hold(line, false);
            return;
        }
        let telling = self.telling.as_ref();
        if !expected && telling.is_some_and(|telling| !telling.is_match(line)) {
            self.statistics.other_lines += 1;
            return;
        }
        if let Some((before, _)) = around(line, call_chain::BEGINNING.as_bytes())
            && let Some((head, _)) = last_word(before)
        {
            // The event is called so itself, or `kernel_stack`.
            let owner = self.collector.stack_owner(Some(&trace_line::head(
                if before.trim_ascii_end().ends_with(b"kernel_stack:") {
                    head
                } else {
                    before
                },
            )));
            self.stack = owner.map(|record| (record, Vec::new()));
            self.statistics.other_lines += 1;
            return;
        }
        if let Some(count) = loss::read(line) {
            self.statistics.lost = self.statistics.lost.saturating_add(count);
            self.collector.lost(count);
        } else if self.message(line) {
            self.statistics.event_lines += 1;
            return;
        }
        self.statistics.other_lines += 1;
    }

    /// Whether a line is part of a stack.
    fn stack_goes_on(&mut self, line: &[u8]) -> bool {
        let Some((record, text)) = &mut self.stack else {
            return false;
        };
        if call_chain::is_frame(line) && text.len() < LONGEST_STACK {
            text.extend_from_slice(line);
            text.push(b'\n');
            self.statistics.event_lines += 1;
            return true;
        }
        if !text.is_empty() {
            self.collector.stack(*record, text);
        }
        self.stack = None;
        false
    }

    /// Whether a line is a message of the kernel about devres, or part of one.
    fn message(&mut self, line: &[u8]) -> bool {
        let released = self
            .collector
            .has_just_released()
            .then_some(self.last_event);
        let look = self.messages.look(line, self.statistics.lines, released);
        if let Look::Message(told) = look {
            let is_event = self.collector.message(told);
            self.statistics.messages += u64::from(is_event);
            return is_event;
        }
        let Some(last) = self.collector.last_message() else {
            return false;
        };
        match look {
            Look::Function(name) => {
                if let Message::Warning { function, .. } = &mut last.message {
                    *function = Some(name);
                }
                true
            }
            Look::Frame(frame) => {
                last.frames.extend(frame);
                true
            }
            Look::Comm(comm) => {
                last.task.comm = Comm::new(&String::from_utf8_lossy(comm));
                true
            }
            Look::Message(_) | Look::Nothing => false,
        }
    }

    fn commit(&mut self) {
        if let Some((head, call)) = self.call.take() {
            self.collector.call(&head, call);
        }
    }

    fn finish(mut self) -> Found {
        self.commit();
        self.stack_goes_on(b"");
        if let Some(held) = self.held.take() {
            self.give_up(&held);
        }
        Found {
            records: self.collector.finish(),
            statistics: self.statistics,
        }
    }
}

/// One search for all that tells of a loss or a message: most lines contain none of it.
fn telling() -> Option<AhoCorasick> {
    let words = loss::WORDS.into_iter().chain(message::WORDS);
    AhoCorasick::new(words.chain([call_chain::BEGINNING])).ok()
}

enum Joined {
    Done,
    No(Held),
}

/// Whether a line can be the beginning of an event that was wrapped before its first telling word: a
/// prefix with a time, and of the rest only a driver, or a driver and a device.
fn may_begin(line: &[u8]) -> bool {
    if line.len() > LONGEST_HEAD {
        return false;
    }
    let (prefix, rest) = prefix::split(line);
    if prefix.time.is_none() || rest.is_empty() {
        return false;
    }
    let mut words = rest.split(u8::is_ascii_whitespace);
    let second = (words.next(), words.next()).1;
    words.next().is_none() && second.is_none_or(|device| device.ends_with(b":"))
}
