//! From lines to records: finds the events among the lines.

mod reports;
mod unnamed;

use aho_corasick::AhoCorasick;

use super::{
    Parsed, Statistics,
    envelope::trace_head::{self, Head},
    event::{call::Call, collect::Collector, records::Records},
    record::{
        by_fields, call_chain, death, failed_probe,
        function_line::Entries,
        function_tracer::{FunctionTracer, Traced},
        kernel_log,
        line::{Event, EventFinder},
        loss, machine,
        operation_word::Operations,
        refusal,
        splat::Splats,
        trace_line,
    },
    scan::{around, last_word},
    telling,
};
use crate::{
    event::{Death, Role, raw_call::Phase},
    kernel::Machine,
};
use unnamed::Waiting;

/// Bytes of a stack that are kept, about.
const LONGEST_STACK: usize = 16 * 1024;

/// What an input reported.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) records: Records,
    pub(super) statistics: Statistics,
    pub(super) death: Option<Death>,
    pub(super) machine: Option<Machine>,
}

/// Makes records of lines.
pub(super) struct Reader {
    collector: Collector,
    statistics: Statistics,
    splats: Splats,
    death: death::Listener,
    machine: machine::Listener,
    /// How many lines the current one was in the input; none where it is the rest of another one.
    count: u64,
    /// Lines so far, without those in which nothing is written: how far apart two are counts by these.
    place: u64,
    /// The place of the last event.
    last_event: u64,
    /// Finds what losses and messages contain; without it every line is looked at closely.
    telling: Option<&'static AhoCorasick>,
    /// The same without what reports a machine's death; looked for only where the former is found.
    events: Option<&'static AhoCorasick>,
    finder: EventFinder,
    /// The line before was cut off, and its event is missing.
    lost_before: bool,
    /// The record whose stack may follow, and what of that was read.
    stack: Option<(u32, Vec<u8>)>,
    entries: Entries,
    tracer: FunctionTracer,
    /// A function event, behind which its stack may follow.
    call: Option<(Head, Call)>,
    operations: Operations,
    /// An event whose operation is not known yet, and the lines behind it.
    waiting: Option<Waiting>,
}

/// What a line is.
enum Line<'a> {
    /// An event; perhaps with more behind it in the same line.
    Event(Option<&'a [u8]>),
    Cut,
    Other,
    /// An event whose operation stands at this address.
    Unnamed(u64),
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            collector: Collector::default(),
            statistics: Statistics::default(),
            splats: Splats::default(),
            death: death::Listener::default(),
            machine: machine::Listener::default(),
            count: 0,
            place: 0,
            last_event: 0,
            telling: telling::ANYTHING.as_ref(),
            events: telling::EVENTS.as_ref(),
            finder: EventFinder::default(),
            lost_before: false,
            entries: Entries::default(),
            tracer: FunctionTracer::default(),
            call: None,
            stack: None,
            operations: Operations::default(),
            waiting: None,
        }
    }

    /// Whether the line before reported nothing, and none goes on with it.
    pub(super) fn is_idle(&self) -> bool {
        self.last_event != self.place
            && !self.lost_before
            && self.call.is_none()
            && self.stack.is_none()
            && self.waiting.is_none()
            && !self.tracer.is_open()
            && !self.splats.expects_more()
    }

    /// Passes over lines that say nothing.
    pub(super) fn skip(&mut self, count: u64) {
        self.statistics.lines += count;
        self.statistics.other_lines += count;
        self.place += count;
    }

    /// Takes a line that was `count` lines in the input.
    pub(super) fn line(&mut self, line: &[u8], count: u64) {
        if self.waits_with(line, count) {
            return;
        }
        self.statistics.lines += count;
        self.count = count;
        if line.iter().any(u8::is_ascii_alphanumeric) {
            self.place += count;
        }
        self.commit();
        if std::mem::take(&mut self.lost_before) {
            self.collector.lost(1);
        }
        if self.stack_goes_on(line) {
            return;
        }
        let mut line = line;
        loop {
            match self.event(line) {
                Line::Event(behind) => {
                    self.statistics.event_lines += self.count;
                    self.last_event = self.place;
                    self.count = 0;
                    match behind {
                        Some(behind) => line = behind,
                        None => return,
                    }
                    self.commit();
                }
                Line::Cut if self.by_fields(line) => return,
                Line::Cut => return self.cut_off(line),
                Line::Unnamed(address) => return self.wait(line, address),
                Line::Other => return self.other(line),
            }
        }
    }

    /// Takes a line for an event that has lost its end: where another line follows, it is missing at this place.
    fn cut_off(&mut self, line: &[u8]) {
        self.statistics.cut += 1;
        self.statistics.other_lines += self.count;
        self.lost_before = self.finder.is_timed(line);
    }

    /// Takes a line for an event that is printed by its fields, if it is one.
    fn by_fields(&mut self, line: &[u8]) -> bool {
        let Some(words) = by_fields::in_words(line) else {
            return false;
        };
        self.collector.distrust_names();
        match self.event(&words) {
            Line::Event(_) => {
                self.statistics.event_lines += self.count;
                self.last_event = self.place;
            }
            Line::Unnamed(address) => self.wait(&words, address),
            Line::Cut | Line::Other => self.statistics.other_lines += self.count,
        }
        true
    }

    /// Takes a line for an event, if it is one.
    fn event<'a>(&mut self, line: &'a [u8]) -> Line<'a> {
        match self.finder.read(line) {
            Parsed::Event((event, behind)) => {
                if let Some(address) = self.is_unnamed(&event) {
                    return Line::Unnamed(address);
                }
                self.take(event);
                Line::Event(behind)
            }
            Parsed::Cut => Line::Cut,
            Parsed::Other => Line::Other,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Kernel(event) => {
                self.statistics.kernel_log += 1;
                self.collector.kernel_line(&event);
            }
            Event::Trace(event) => {
                let Some(operation) = self.operations.of(event.operation) else {
                    self.statistics.unnamed += 1;
                    self.collector.lost(1);
                    return;
                };
                self.statistics.tracepoint += 1;
                self.collector.trace_line(&event, operation);
                self.stack = self
                    .collector
                    .stack_owner(None)
                    .map(|record| (record, Vec::new()));
            }
            Event::Function(mut event) => {
                self.statistics.functions += 1;
                self.entries.complete(&mut event);
                let mut call = Call::new(event.hook, phase(event.returns));
                call.caller = event.caller;
                self.collector.records.read(event.arguments, &mut call);
                if event.returns {
                    self.collector.called_from(&event);
                }
                self.call = Some((event.head, call));
            }
        }
    }

    fn other(&mut self, line: &[u8]) {
        if self.tracer.is_open() && self.traced(line) {
            return;
        }
        let expected = self.splats.expects_more();
        if !expected {
            self.splats.pass(line, self.place, self.count);
        }
        let telling = self.telling;
        if !expected && telling.is_some_and(|telling| !telling.is_match(line)) {
            self.statistics.other_lines += self.count;
            return;
        }
        if self.traced(line) || self.by_fields(line) {
            return;
        }
        self.death.line(line);
        // A line that reports only a death is nothing else.
        let events = self.events;
        if !expected && events.is_some_and(|events| !events.is_match(line)) {
            self.statistics.other_lines += self.count;
            return;
        }
        if let Some(event) = trace_line::read_bare(line) {
            self.take(Event::Trace(event));
            self.statistics.event_lines += self.count;
            self.last_event = self.place;
            return;
        }
        if let Some((before, _)) = around(line, call_chain::BEGINNING.as_bytes())
            && let Some((head, _)) = last_word(before)
        {
            // The event is called so itself, or `kernel_stack`.
            let owner = self.collector.stack_owner(Some(&trace_head::head(
                if before.trim_ascii_end().ends_with(b"kernel_stack:") {
                    head
                } else {
                    before
                },
            )));
            self.stack = owner.map(|record| (record, Vec::new()));
            self.statistics.other_lines += self.count;
            return;
        }
        if let Some(count) = loss::read(line) {
            self.statistics.lost = self.statistics.lost.saturating_add(count);
            self.collector.lost(count);
        } else if self.refused(line) {
            let mut line = line;
            while let Some(behind) = refusal::behind(line) {
                self.refused(behind);
                line = behind;
            }
            self.statistics.event_lines += self.count;
            return;
        } else {
            if let Some(who) = failed_probe::read(line) {
                let (said, _) = kernel_log::beginning(line);
                self.collector.probe_failed(who, said, self.place);
            }
            self.splat(line, self.count);
        }
        self.statistics.other_lines += self.count;
    }

    /// Whether a line is the function tracer's, or the function graph's.
    fn traced(&mut self, line: &[u8]) -> bool {
        let Some((head, traced)) = self.tracer.read(line) else {
            return false;
        };
        if traced
            .iter()
            .all(|traced| matches!(traced, Traced::Unusable(..)))
        {
            self.statistics.other_lines += self.count;
        } else {
            self.statistics.event_lines += self.count;
            self.last_event = self.place;
        }
        for traced in traced {
            let (hook, returns) = match traced {
                Traced::Enter(hook, _) => (hook, false),
                Traced::Leave(hook, _) => (hook, true),
                Traced::Unusable(hook, why) => {
                    self.collector.records.unusable.insert(hook, why);
                    continue;
                }
            };
            let mut call = Call::new(hook, phase(returns));
            match traced {
                Traced::Enter(_, arguments) => self.collector.records.read(arguments, &mut call),
                Traced::Leave(_, Some(value)) => call.raw.set(Role::Returned, value),
                Traced::Leave(_, None) | Traced::Unusable(..) => {}
            }
            self.statistics.functions += 1;
            self.collector.call(&head, call);
        }
        true
    }

    /// Whether a line is part of a stack.
    fn stack_goes_on(&mut self, line: &[u8]) -> bool {
        let Some((record, text)) = &mut self.stack else {
            return false;
        };
        if call_chain::is_frame(line) && text.len() < LONGEST_STACK {
            text.extend_from_slice(line);
            text.push(b'\n');
            self.statistics.event_lines += self.count;
            return true;
        }
        if !text.is_empty() {
            self.collector.stack(*record, text);
        }
        self.stack = None;
        false
    }

    /// Whether a line says that a probe was refused.
    fn refused(&mut self, line: &[u8]) -> bool {
        let Some(refused) = refusal::read(line) else {
            return false;
        };
        self.collector.refused(&refused);
        self.statistics.messages += 1;
        true
    }

    /// For a text of which it is known how far behind a node its payload lies.
    pub(super) fn with_payloads_at(offset: Option<u64>) -> Self {
        let mut reader = Self::new();
        reader.collector.records.payload_offset = offset;
        reader
    }

    /// What was made of the lines so far.
    pub(super) fn records(&self) -> &Records {
        &self.collector.records
    }

    /// Lets go of the records so far: their events have been made.
    pub(super) fn forget_records(&mut self) {
        self.collector.records.all.forget();
        self.collector.records.devices.forget();
    }

    fn commit(&mut self) {
        if let Some((head, call)) = self.call.take() {
            self.collector.call(&head, call);
            self.stack = self
                .collector
                .stack_owner(None)
                .map(|record| (record, Vec::new()));
        }
    }

    pub(super) fn finish(mut self) -> Found {
        self.end_all_waiting();
        self.commit();
        self.count = 0;
        self.stack_goes_on(b"");
        self.splats.finish();
        self.take_splats();
        Found {
            records: self.collector.finish(),
            statistics: self.statistics,
            death: self.death.finish(),
            machine: self.machine.finish(),
        }
    }
}

const fn phase(returns: bool) -> Phase {
    if returns { Phase::Leave } else { Phase::Enter }
}
