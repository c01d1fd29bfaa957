//! Events whose operation stands at an address: they wait until a stack shows what is logged there.

use super::{Event, OperationWord, Parsed, Reader};
use crate::source::text::{
    envelope::trace_head,
    record::call_chain,
    scan::{around, last_word},
};

/// Lines that wait for the stack that tells.
const MOST_LINES: usize = 2000;

/// An event, the lines behind it, and the stack that is being read among them.
pub(super) struct Waiting {
    /// Where its operation stands.
    address: u64,
    lines: Vec<(Vec<u8>, u64)>,
    stack: Option<Stack>,
}

/// The stack of one of the events that wait.
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
        let Event::Trace(line) = event else {
            return None;
        };
        match line.operation {
            OperationWord::At(address) if self.operations.is_open(address) => Some(address),
            OperationWord::Named(_) | OperationWord::At(_) => None,
        }
    }

    /// Lets an event wait.
    pub(super) fn wait(&mut self, line: &[u8], address: u64) {
        self.statistics.lines -= self.count;
        self.waiting = Some(Waiting {
            address,
            lines: vec![(line.to_vec(), self.count)],
            stack: self.unnamed_stack(line),
        });
    }

    /// Whether a line waits with an event before it. What the stack in front of the line shows is taken in.
    pub(super) fn waits_with(&mut self, line: &[u8], count: u64) -> bool {
        // Among the lines that waited there may be another event that waits, and the line with it.
        while let Some(waiting) = &mut self.waiting {
            if waiting.lines.len() >= MOST_LINES {
                self.end_waiting();
                continue;
            }
            if call_chain::is_frame(line)
                && let Some(stack) = &mut waiting.stack
            {
                stack.text.extend_from_slice(line);
                stack.text.push(b'\n');
            } else if !waiting.is_before_stack(line) {
                let address = waiting.address;
                self.learn();
                if !self.operations.is_open(address) {
                    self.end_waiting();
                    continue;
                }
                let stack = self.unnamed_stack(line);
                if let Some(waiting) = &mut self.waiting {
                    waiting.stack = stack;
                }
            }
            if let Some(waiting) = &mut self.waiting {
                waiting.lines.push((line.to_vec(), count));
            }
            return true;
        }
        false
    }

    /// Nothing follows that could show what an event waits for.
    pub(super) fn end_all_waiting(&mut self) {
        while self.waiting.is_some() {
            self.end_waiting();
        }
    }

    /// Takes in what the stack shows that was read last.
    fn learn(&mut self) {
        let stack = self
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.stack.take());
        if let Some(stack) = stack {
            let frames = call_chain::read(&stack.text);
            self.operations.learn(stack.address, &frames);
        }
    }

    /// A stack that may follow the line, if that is an event whose operation stands at an address.
    fn unnamed_stack(&self, line: &[u8]) -> Option<Stack> {
        let Parsed::Event((Event::Trace(event), _)) = self.parse(line) else {
            return None;
        };
        match event.operation {
            OperationWord::At(address) => Some(Stack {
                address,
                tid: event.head.task.tid,
                text: Vec::new(),
            }),
            OperationWord::Named(_) => None,
        }
    }

    /// Reads the lines that wait, with what is known by now: an event whose operation is not is a loss. Among them may be
    /// another one that waits.
    pub(super) fn end_waiting(&mut self) {
        self.learn();
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        self.operations.give_up(waiting.address);
        for (line, count) in waiting.lines {
            self.line(&line, count);
        }
    }
}
