//! What a report was, once all of it was seen.

use super::{
    super::{Over, forms::Header, part::Machine},
    Building, Mixed, Open, Signs, is_reporting,
};
use crate::{
    event::{
        Function, StackFrame,
        splat::{MIXED, Role, Splat, SplatKind, SplatStack, is_interrupt_entry, is_of_driver_core},
    },
    source::text::record::message::line_of_source,
};

impl Open {
    /// What it was, when all of it was seen.
    pub(in super::super) fn over(mut self) -> Option<Over> {
        let place = self.place?;
        self.split_interrupted();
        if self.mixed == Mixed::Yes && self.says_enough() {
            self.stacks.clear();
        } else if self.mixed == Mixed::Yes || self.lacks_its_function() {
            // It is not known whose stack it is.
            self.header = Header {
                tid: self.header.tid,
                comm: self.header.comm,
                cpu: self.header.cpu,
                ..Header::default()
            };
            self.signs = Signs::default();
            self.cut = true;
            if self.mixed == Mixed::Yes {
                self.header.detail = Some(MIXED.into());
                self.module = None;
                self.keep_driver_core();
            }
        }
        let kind = self.kind();
        let frame = self.header.frame.take();
        let function = frame.as_ref().and_then(|frame| frame.function.clone());
        // What a stuck CPU did was interrupted by what reports it.
        let shows = |role: Role| {
            role == Role::Report || kind == SplatKind::Lockup && role == Role::Interrupted
        };
        let first = self
            .stacks
            .iter_mut()
            .find(|stack| shows(stack.role) && !stack.frames.is_empty());
        if let (Some(frame), Some(stack)) = (frame, first)
            && !matches!(kind, SplatKind::Hung | SplatKind::Stall)
            && !kind.watches_memory()
        {
            stack.show(frame);
        }
        let tid = self.header.tid;
        let stacks: Vec<SplatStack> = self
            .stacks
            .into_iter()
            .filter(|stack| !stack.frames.is_empty())
            .map(|stack| SplatStack {
                role: stack.role,
                tid: stack.tid.or(tid.filter(|_| stack.role == Role::Report)),
                frames: stack.frames.into(),
            })
            .collect();
        let first = stacks.iter().find(|stack| shows(stack.role));
        let frames = first.map(|stack| without_reporting(&stack.frames));
        // Of two accesses the report names in full only the task of one.
        let other = first
            .and_then(|stack| stack.tid)
            .filter(|it| tid != Some(*it));
        let (comm, cpu) = match other {
            Some(_) => (None, None),
            None => (self.header.comm, self.header.cpu.or(self.caller.1)),
        };
        Some(Over {
            place,
            frames: frames.unwrap_or_default(),
            tid: other.or(tid),
            comm,
            cpu,
            lines: self.lines,
            splat: Splat {
                kind,
                detail: self.header.detail,
                place: self.header.place,
                function,
                hint: self.header.hint,
                number: self.header.number,
                module: self.module,
                fatal: self.fatal,
                cut: self.cut,
                stacks,
            },
        })
    }

    /// Whether its first line alone says what devres complains of, and in which function, whosever the stack is.
    fn says_enough(&self) -> bool {
        let place = self.header.place.as_deref().unwrap_or_default();
        let is_whole = self.header.frame.is_some() && !self.cut;
        self.header.kind == SplatKind::Warning && is_whole && line_of_source(place).is_some()
    }

    /// Whether the function that its first line names, and that its stack must have, is not on that: the stack is
    /// another one's, or has lost its beginning.
    fn lacks_its_function(&self) -> bool {
        let stack = self.stacks.iter().find(|stack| stack.role == Role::Report);
        match (self.header.function(), stack) {
            (Some(function), Some(stack)) if self.header.kind.watches_memory() => {
                !stack.frames.is_empty() && !stack.frames.iter().any(|frame| is_of(frame, function))
            }
            _ => false,
        }
    }

    /// Lines of several reports are mixed: of whom each frame is shows nothing but the frame, and so does who was running.
    fn keep_driver_core(&mut self) {
        (self.header.tid, self.header.comm, self.header.cpu) = (None, None, None);
        for stack in &mut self.stacks {
            let is_one =
                |frame: &StackFrame| frame.function.as_deref().is_some_and(is_of_driver_core);
            stack.frames.retain(is_one);
        }
    }

    /// What it reports; of one whose first lines are missing as far as the rest shows it.
    fn kind(&self) -> SplatKind {
        match (self.header.kind, self.signs) {
            // It was only shown: its registers are those of code that was well.
            (SplatKind::Stack, _) if self.header.detail.is_some() => SplatKind::Stack,
            (SplatKind::Stack, Signs { fenced: true, .. }) => SplatKind::Kfence,
            (SplatKind::Stack, signs) if self.roles(Role::Freed) && signs.machine.is_none() => {
                SplatKind::Kasan
            }
            (SplatKind::Stack, signs) => match (signs.reports, signs.machine) {
                (Some(true), _) => SplatKind::Warning,
                (Some(false), _) | (_, Some(Machine::TellsAtItsEnd)) => SplatKind::Oops,
                (None, Some(_)) if signs.near_null => SplatKind::Oops,
                _ => SplatKind::Stack,
            },
            // The line with its words was left out.
            (SplatKind::Warning, _) if self.is_of_references() => SplatKind::Refcount,
            // A panic is nothing but the end of the report before it.
            (kind, _) => kind,
        }
    }

    /// Whether it is the warning about a reference count.
    fn is_of_references(&self) -> bool {
        let function = self.header.function();
        function.and_then(Function::base_name) == Some("refcount_warn_saturate")
    }

    fn roles(&self, role: Role) -> bool {
        self.stacks
            .iter()
            .any(|stack| stack.role == role && !stack.frames.is_empty())
    }

    /// What lies outward of an interrupt's entry was interrupted.
    fn split_interrupted(&mut self) {
        let mut stacks = Vec::with_capacity(self.stacks.len());
        for mut stack in std::mem::take(&mut self.stacks) {
            let entry = stack.frames.iter().rposition(|frame| {
                let function = frame.function.as_deref();
                function.is_some_and(|function| {
                    function.module.is_none()
                        && function.base_name().is_some_and(is_interrupt_entry)
                })
            });
            let outward = match entry {
                Some(at) if stack.role == Role::Report => stack.frames.split_off(at + 1),
                _ => Vec::new(),
            };
            let tid = stack.tid;
            stacks.push(stack);
            if !outward.is_empty() {
                let mut interrupted = Building::new(Role::Interrupted, tid);
                interrupted.frames = outward;
                stacks.push(interrupted);
            }
        }
        self.stacks = stacks;
    }
}

/// The frames from the one on in which it happened: without those that print the report.
fn without_reporting(frames: &[StackFrame]) -> Vec<StackFrame> {
    let first = frames.iter().position(|frame| !is_printing(frame));
    frames
        .get(first.unwrap_or(0)..)
        .unwrap_or_default()
        .to_vec()
}

/// Whether a frame is one of those that lead to the report.
pub(super) fn is_printing(frame: &StackFrame) -> bool {
    let function = frame.function.as_deref();
    let name = function.and_then(Function::base_name);
    is_reporting(frame) || name.is_some_and(|name| name.starts_with("debug_print_"))
}

pub(super) fn is_of(frame: &StackFrame, function: &Function) -> bool {
    frame
        .function
        .as_deref()
        .is_some_and(|known| known.name == function.name)
}
