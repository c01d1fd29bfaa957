//! The events in a line: messages of the kernel's log, the tracepoint, and function events.

use memchr::{memchr, memmem::Finder};

use super::{
    by_fields,
    function_line::{self, FunctionLine},
    kernel_log::{self, KernelLine},
    resource,
    trace_line::{self, TraceLine},
};
use crate::{
    event::Task,
    source::text::{
        Parsed,
        envelope::{prefix, trace_head},
        scan::last_word,
    },
};

/// An event as it was read.
pub(in crate::source::text) enum Event<'a> {
    Kernel(KernelLine<'a>),
    Trace(TraceLine<'a>),
    Function(FunctionLine<'a>),
}

impl Event<'_> {
    /// Whether it looks as the kernel prints it, and not like two halves that don't fit.
    pub(in crate::source::text) fn is_plausible(&self) -> bool {
        match self {
            Self::Kernel(line) => line.resource.is_plausible(),
            Self::Trace(line) => line.resource.is_plausible(),
            Self::Function(_) => true,
        }
    }
}

/// How a line ends, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum Ending {
    /// With the end of an event, or of something else that is whole.
    Whole,
    /// With the arguments of a call.
    Arguments,
    /// Within an event, perhaps: reading it shows that.
    Open,
    /// It has no event.
    NoEvent,
}

/// Finds the events in lines.
pub(in crate::source::text) struct EventFinder {
    devres: Finder<'static>,
    tracepoint: Finder<'static>,
    function: Finder<'static>,
}

impl Default for EventFinder {
    fn default() -> Self {
        Self {
            devres: Finder::new(kernel_log::WORD),
            tracepoint: Finder::new(trace_line::EVENT),
            function: Finder::new(function_line::OPENING),
        }
    }
}

impl EventFinder {
    /// Reads a line, if it is an event, and says what follows that in the same line.
    pub(in crate::source::text) fn read<'a>(
        &self,
        line: &'a [u8],
    ) -> Parsed<(Event<'a>, Option<&'a [u8]>)> {
        if let Some(at) = self.devres.find(line) {
            return kernel_log::read(line, at)
                .map(|event| (Event::Kernel(event), kernel_log::behind(line, at)));
        }
        if let Some(at) = trace_line::find(line, &self.tracepoint) {
            return trace_line::read(line, at)
                .map(|event| (Event::Trace(event), trace_line::behind(line, at)));
        }
        // A line that has lost its end has another one behind it.
        let mut found = Parsed::Other;
        for at in function_line::places(line, &self.function) {
            match function_line::read(line, at) {
                Parsed::Event(event) => return Parsed::Event((Event::Function(event), None)),
                Parsed::Cut => found = Parsed::Cut,
                Parsed::Other => {}
            }
        }
        found
    }

    /// How a line ends; less work than to read it.
    pub(in crate::source::text) fn ending(&self, line: &[u8]) -> Ending {
        if line.ends_with(resource::END) {
            return Ending::Whole;
        }
        if self.names_node(line) {
            return Ending::Open;
        }
        if self.function.find(line).is_none() {
            return Ending::NoEvent;
        }
        let place = function_line::places(line, &self.function).last();
        match place.and_then(|at| line.get(at..)) {
            None if by_fields::is_call(line) => Ending::Arguments,
            None => Ending::NoEvent,
            Some(place) if memchr(b')', place).is_some() => Ending::Arguments,
            Some(_) => Ending::Open,
        }
    }

    /// Whether a line has the beginning of a message or an event of the tracepoint.
    pub(in crate::source::text) fn names_node(&self, line: &[u8]) -> bool {
        self.devres.find(line).is_some() || trace_line::find(line, &self.tracepoint).is_some()
    }

    /// Whether a line is a function event with its task in front of it: nothing of it is missing.
    pub(in crate::source::text) fn is_whole_call(&self, line: &[u8]) -> bool {
        let at = function_line::find(line, &self.function);
        let call = at.map(|at| function_line::read(line, at));
        matches!(call, Some(Parsed::Event(call)) if call.head.task != Task::default())
    }

    /// Whether the time of an event stands before it: what only talks about events has none.
    pub(in crate::source::text) fn is_timed(&self, line: &[u8]) -> bool {
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
