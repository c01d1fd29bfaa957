//! A stack of a report, while its frames come.

use super::over::{is_of, is_printing};
use crate::event::{StackFrame, splat::Role};

/// Frames of a stack that are kept.
const MOST_FRAMES: usize = 64;

/// A stack of which more frames may come.
#[derive(Debug)]
pub(super) struct Building {
    pub(super) role: Role,
    pub(super) tid: Option<u32>,
    pub(super) frames: Vec<StackFrame>,
    /// When each of them was written.
    times: Vec<Option<u64>>,
    /// Its first frame is that of the line that introduces it.
    pub(super) names_frame: bool,
}

impl Building {
    pub(super) fn new(role: Role, tid: Option<u32>) -> Self {
        Self {
            role,
            tid,
            frames: Vec::new(),
            times: Vec::new(),
            names_frame: false,
        }
    }

    /// Takes a frame in, where its time says that it belongs: a log that came over a network may have swapped lines.
    pub(super) fn take(&mut self, frame: StackFrame, time: Option<u64>) -> bool {
        let later =
            |other: &Option<u64>| time.is_some_and(|time| other.is_some_and(|it| it > time));
        let at = self
            .times
            .iter()
            .position(later)
            .unwrap_or(self.times.len());
        let before = at.checked_sub(1).and_then(|before| self.frames.get(before));
        // A line that came twice is one frame.
        if self.frames.len() >= MOST_FRAMES || before == Some(&frame) {
            return false;
        }
        // Of the line that introduces it, it is the place: here is the whole stack.
        if self.names_frame && self.frames.first() == Some(&frame) {
            self.frames.remove(0);
            self.times.remove(0);
            self.names_frame = false;
            return self.take(frame, time);
        }
        self.frames.insert(at, frame);
        self.times.insert(at, time);
        true
    }

    /// Whether it has begun without a line that introduces it, with one frame later than this.
    pub(super) fn is_introduced_late(&self, time: Option<u64>) -> bool {
        let [Some(first)] = self.times[..] else {
            return false;
        };
        time.is_some_and(|time| time < first)
    }

    /// Takes in where it happened: that has no frame of its own on x86, and one without its offset on 32-bit ARM.
    pub(super) fn show(&mut self, frame: StackFrame) {
        let is_it = |known: &&mut StackFrame| {
            let function = frame.function.as_deref();
            function.is_some_and(|function| is_of(known, function))
        };
        match self.frames.iter_mut().find(is_it) {
            Some(known) if known.offset == 0 => *known = frame,
            Some(_) => {}
            None => {
                // A kernel that stops at warnings prints how it came to print before that.
                let printing = self.frames.iter().take_while(|frame| is_printing(frame));
                self.frames.insert(printing.count(), frame);
            }
        }
    }
}
