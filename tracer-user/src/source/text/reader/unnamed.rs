//! Events whose operation stands at an address: they wait until a stack or the calls around show what is logged there.

use std::collections::HashMap;

use super::{Parsed, Reader, phase};
use crate::source::text::{
    envelope::trace_head,
    event::{call::Call, collect::LogsNext, records::Records},
    record::{by_fields, call_chain, line::Event},
    scan::{around, last_word},
};

/// Lines that wait for what may show it.
const MOST_LINES: usize = 1 << 14;

/// An event, the lines behind it, and what these show.
pub(super) struct Waiting {
    /// Where its operation stands.
    address: u64,
    lines: Vec<(Vec<u8>, u64)>,
    stack: Option<Stack>,
    /// What tasks can only log next, by the lines that wait.
    tasks: HashMap<u32, LogsNext>,
    /// Nothing but room for names in the arguments of calls.
    scratch: Records,
}

/// The stack of one of the events that wait, while its frames come.
struct Stack {
    address: u64,
    tid: u32,
    text: Vec<u8>,
}

impl Waiting {
    /// Whether a line is in front of the stack of the event before it: it is of the same task.
    fn is_before_stack(&self, line: &[u8]) -> bool {
        let Some((before, _)) = around(line, call_chain::BEGINNING.as_bytes()) else {
            return false;
        };
        let Some((head, _)) = last_word(before) else {
            return false;
        };
        let tid = trace_head::head(head).task.tid;
        self.stack.as_ref().is_some_and(|stack| stack.tid == tid)
    }
}

impl Reader {
    /// Where the operation of an event stands, if only that is known, and it may still be found out.
    pub(super) fn is_unnamed(&mut self, event: &Event<'_>) -> Option<u64> {
        match event {
            Event::Trace(line) => line.address().filter(|at| self.operations.is_open(*at)),
            Event::Kernel(_) | Event::Function(_) => None,
        }
    }

    /// Lets an event wait.
    pub(super) fn wait(&mut self, line: &[u8], address: u64) {
        self.statistics.lines -= self.count;
        self.waiting = Some(Waiting {
            address,
            lines: Vec::new(),
            stack: None,
            tasks: HashMap::new(),
            scratch: Records::default(),
        });
        self.waits_with(line, self.count);
    }

    /// Whether a line waits with an event before it. What it shows is taken in.
    pub(super) fn waits_with(&mut self, line: &[u8], count: u64) -> bool {
        // Among the lines that waited there may be another event that waits, and the line with it.
        while let Some(mut waiting) = self.waiting.take() {
            let is_full = waiting.lines.len() >= MOST_LINES;
            if !is_full {
                self.look(&mut waiting, line);
                if self.operations.is_open(waiting.address) {
                    waiting.lines.push((line.to_vec(), count));
                    self.waiting = Some(waiting);
                    return true;
                }
            }
            self.end_waiting(waiting);
        }
        false
    }

    /// Takes in what a line shows of the operations.
    fn look(&mut self, waiting: &mut Waiting, line: &[u8]) {
        if call_chain::is_frame(line)
            && let Some(stack) = &mut waiting.stack
        {
            stack.text.extend_from_slice(line);
            stack.text.push(b'\n');
            return;
        }
        if waiting.is_before_stack(line) {
            return;
        }
        self.learn(waiting);
        let words = by_fields::in_words(line);
        match self.finder.read(words.as_deref().unwrap_or(line)) {
            Parsed::Event((Event::Trace(event), _)) => {
                let tid = event.head.task.tid;
                let next = self.next_of(waiting, tid);
                let proved = next.proves(event.resource.node.value());
                next.logged();
                let Some(address) = event.address() else {
                    return;
                };
                if let Some(operation) = proved
                    && self.operations.is_open(address)
                {
                    self.operations.proved(address, operation);
                }
                waiting.stack = Some(Stack {
                    address,
                    tid,
                    text: Vec::new(),
                });
            }
            Parsed::Event((Event::Function(event), _)) => {
                let mut call = Call::new(event.hook, phase(event.returns));
                waiting.scratch.read(event.arguments, &mut call);
                self.next_of(waiting, event.head.task.tid).call(&call);
            }
            Parsed::Event((Event::Kernel(_), _)) | Parsed::Cut | Parsed::Other => {}
        }
    }

    /// What a task can only log next, by the lines that wait and those before.
    fn next_of<'w>(&self, waiting: &'w mut Waiting, tid: u32) -> &'w mut LogsNext {
        let before = || self.collector.logs_next(tid);
        waiting.tasks.entry(tid).or_insert_with(before)
    }

    /// Takes in what the stack shows that was read last.
    fn learn(&mut self, waiting: &mut Waiting) {
        if let Some(stack) = waiting.stack.take() {
            let frames = call_chain::read(&stack.text);
            self.operations.logged_on(stack.address, &frames);
        }
    }

    /// Reads the lines that wait, with what is known by now: an event whose operation is not is a loss. Among them may be
    /// another one that waits.
    fn end_waiting(&mut self, mut waiting: Waiting) {
        self.learn(&mut waiting);
        self.operations.settle(waiting.address);
        for (line, count) in waiting.lines {
            self.line(&line, count);
        }
    }

    /// Nothing follows that could show what an event waits for.
    pub(in crate::source::text) fn end_all_waiting(&mut self) {
        while let Some(waiting) = self.waiting.take() {
            self.end_waiting(waiting);
        }
    }
}
