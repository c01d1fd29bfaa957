//! One report, while its lines come.

mod building;
mod nested;
mod over;

use building::Building;

use super::{
    At, Caller,
    complaint::KCSAN,
    forms::Header,
    part::{self, Machine, Part, Who},
};
use crate::event::{
    Function, StackFrame, Text,
    splat::{FREE_TAG, Role, SplatKind, is_of_reporting},
};
use crate::source::text::envelope::prefix::Stamp;

/// Stacks of a report that are kept.
const MOST_STACKS: usize = 12;

/// A report of which more may come.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something that is or is not so of a report, whatever the others are"
)]
pub(super) struct Open {
    pub(super) place: Option<u32>,
    pub(super) caller: Caller,
    /// Its last line that says something.
    pub(super) last: u64,
    /// The latest time of one.
    time: Option<u64>,
    /// The time of its first line.
    pub(super) began: Option<Stamp>,
    header: Header,
    /// Nothing but a part of it was seen yet: its first lines are missing.
    pub(super) cut: bool,
    /// Whether lines of another report are among its own and can't be told apart, or its own are out of order.
    pub(super) mixed: Mixed,
    /// It began within the stack of another one, and no line of that was seen since.
    pub(super) nested: bool,
    /// Another one began within its stack.
    pub(super) interrupted: bool,
    /// A stack was said to begin, and not to end.
    within: bool,
    /// One was said to end.
    left: bool,
    stacks: Vec<Building>,
    module: Option<Text>,
    signs: Signs,
    fatal: bool,
    pub(super) ended: bool,
    pub(super) lines: u64,
}

/// What shows of which kind a report is whose first lines are missing.
#[derive(Debug, Default, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a sign that is there or not, whatever the others are"
)]
struct Signs {
    machine: Option<Machine>,
    /// Whether the instruction is one by which the kernel reports.
    reports: Option<bool>,
    /// The instruction lies in no function: it was called through a pointer to something else.
    astray: bool,
    /// The registers that come last are those of the process that called the kernel, and so is the code.
    of_process: bool,
    /// It names an object of KFENCE.
    fenced: bool,
    /// The last page fault was next to NULL: that of a process would be none of the kernel's.
    near_null: bool,
}

/// Whether lines of another report are among those of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mixed {
    No,
    /// It began before the stack of another one had come.
    Perhaps,
    Yes,
}

/// What became of a line.
pub(super) enum Took {
    Part,
    Nothing,
    /// It begins another report, whose first lines are missing.
    Another,
}

impl Open {
    pub(super) fn new(header: Header, caller: Caller, at: At) -> Self {
        Self {
            place: None,
            caller,
            last: at.number,
            time: None,
            began: None,
            fatal: header.fatal,
            header,
            cut: false,
            mixed: Mixed::No,
            nested: false,
            interrupted: false,
            within: false,
            left: false,
            stacks: Vec::new(),
            module: None,
            signs: Signs::default(),
            ended: false,
            lines: at.count,
        }
    }

    /// Takes in what a first line says together with the rest of it, which was wrapped to the next, if that is more
    /// than it says alone. What may be anything else must complete what is only begun.
    pub(super) fn complete(
        &mut self,
        alone: &Header,
        whole: Header,
        certain: bool,
        at: At,
    ) -> bool {
        let completes = alone.frame.is_none() && whole.frame.is_some()
            || alone.place.is_none() && whole.place.is_some()
            || alone.hint.is_none() && whole.hint.is_some()
            || rank(alone.kind) < rank(whole.kind);
        if !(completes || certain && *alone != whole) {
            return false;
        }
        let own = &mut self.header;
        if own.kind == alone.kind {
            own.kind = whole.kind;
        }
        if own.detail == alone.detail {
            own.detail = whole.detail;
        }
        if own.frame == alone.frame {
            own.frame = whole.frame;
        }
        own.place = own.place.take().or(whole.place);
        own.hint = own.hint.take().or(whole.hint);
        own.number = own.number.or(whole.number);
        own.tid = own.tid.or(whole.tid);
        self.count(at);
        true
    }

    /// A line that says something has this time. If that is before another one's, the lines are out of order; frames are
    /// put in order again.
    fn seen_at(&mut self, time: Option<u64>, is_frame: bool) {
        if !is_frame && time.is_some() && time < self.time {
            self.mixed = Mixed::Yes;
        }
        self.time = self.time.max(time);
    }

    fn count(&mut self, at: At) {
        self.last = at.number;
        self.lines += at.count;
    }

    fn has_frames(&self) -> bool {
        self.stacks.iter().any(|stack| !stack.frames.is_empty())
    }

    /// Takes another first line in, if it is one of the same report: most have two or three of them.
    pub(super) fn merge(&mut self, header: &Header, time: Option<Stamp>, at: At) -> bool {
        if header.fatal && self.has_frames() {
            // What the kernel says at last: a report whose first lines are missing has nothing better.
            self.fatal = true;
            if self.header.kind == SplatKind::Stack {
                self.header.kind = header.kind;
            }
            self.count(at);
            return true;
        }
        // A line that came twice, at the same time, is one.
        let at_once = time.is_some() && time == self.began;
        let is_again = at_once && *header == self.header && self.last + at.step == at.number;
        if self.has_frames()
            || self.within
            || self.ended
            || !is_again && !fits(self.header.kind, header.kind)
        {
            return false;
        }
        self.fatal |= header.fatal;
        let own = &mut self.header;
        if rank(header.kind) > rank(own.kind) {
            own.kind = header.kind;
            own.detail = header.detail.clone().or_else(|| own.detail.take());
        }
        self.cut &= header.fatal;
        own.place = own.place.take().or_else(|| header.place.clone());
        own.frame = own.frame.take().or_else(|| header.frame.clone());
        own.hint = own.hint.take().or_else(|| header.hint.clone());
        own.number = own.number.or(header.number);
        own.tid = header.tid.or(own.tid);
        own.comm = header.comm.or(own.comm);
        own.cpu = header.cpu.or(own.cpu);
        if own.detail.is_none() && rank(header.kind) == rank(own.kind) {
            own.detail.clone_from(&header.detail);
        }
        self.count(at);
        true
    }

    /// Takes a line within the report in.
    pub(super) fn part(&mut self, text: &[u8], time: Option<Stamp>, at: At) -> Took {
        let part = part::read(text);
        let time = match time {
            Some(Stamp::At(time)) => Some(time),
            _ => None,
        };
        self.signs.fenced |= memchr::memmem::find(text, b"kfence-#").is_some();
        let is_frame = matches!(part, Part::Frame(_) | Part::Call(..));
        let took = self.take(part, time, at);
        if matches!(took, Took::Part) {
            self.seen_at(time, is_frame);
        }
        took
    }

    fn take(&mut self, part: Part, time: Option<u64>, at: At) -> Took {
        if self.ended {
            // The registers are repeated; a stack is of another report.
            return match part {
                Part::Stack(Role::Report, _) => Took::Another,
                _ => Took::Nothing,
            };
        }
        if self.is_disturbed_by(&part) {
            self.mixed = Mixed::Yes;
            return Took::Part;
        }
        match part {
            Part::Frame(None) if self.stacks.is_empty() => return Took::Nothing,
            Part::Frame(None) => self.count(at),
            Part::Frame(Some(frame)) => {
                if !self.frame(frame, time) {
                    return Took::Nothing;
                }
                self.count(at);
            }
            Part::Call(called, frame) => {
                let is_first = self
                    .stacks
                    .last()
                    .is_none_or(|stack| stack.frames.is_empty());
                if is_first {
                    self.frame(called, time);
                }
                if !self.frame(frame, time) {
                    return Took::Nothing;
                }
                self.count(at);
            }
            Part::Stack(Role::Report, _) if self.is_introduced_late(time) => {
                return Took::Nothing;
            }
            Part::Stack(role, tid) => return self.begin_stack(role, tid, at),
            Part::StackAt(role, tid, frame) => {
                self.stack(role, tid);
                self.frame(frame, time);
                if let Some(stack) = self.stacks.last_mut() {
                    stack.names_frame = true;
                }
                self.count(at);
            }
            Part::Interrupted => {
                if self
                    .stacks
                    .last()
                    .is_some_and(|stack| stack.role == Role::Report)
                {
                    self.stack(Role::Interrupted, None);
                }
                return Took::Nothing;
            }
            Part::Task(who) if self.is_followed_by(&who) => return Took::Another,
            Part::Task(who) => {
                self.task(&who);
                self.count(at);
            }
            other => return self.note(other, at),
        }
        Took::Part
    }

    /// Takes in a line that is no part of a stack.
    fn note(&mut self, part: Part, at: At) -> Took {
        match part {
            Part::Registers(_, Some(other)) if self.is_elsewhere(&other) => return Took::Another,
            Part::Registers(machine, frame) => {
                self.registers(machine, frame);
                self.last = at.number;
                return Took::Nothing.or_part(self.place.is_none());
            }
            Part::ProcessRegisters => {
                self.signs.of_process = true;
            }
            Part::Link(frame) if self.signs.astray && self.header.frame.is_none() => {
                self.header.frame = Some(frame);
            }
            Part::Modules(module) => {
                self.module = module.or_else(|| self.module.take());
                return Took::Nothing.or_part(self.place.is_none());
            }
            Part::Code(_) if self.signs.of_process => {}
            Part::Code(reports) => {
                self.signs.reports = self.signs.reports.or(Some(reports));
                self.last = at.number;
            }
            Part::FreeMemory => {
                if let Some(detail) = &mut self.header.detail
                    && !detail.ends_with(FREE_TAG)
                {
                    *detail = Text::from(format!("{detail}, {FREE_TAG}"));
                }
            }
            Part::FaultAddress(address) => {
                self.signs.near_null = address < 1 << 16;
            }
            Part::End => {
                self.ended = true;
                self.last = at.number;
            }
            Part::Rule => {
                self.ended = self.has_frames() && !self.within;
            }
            Part::Bound(begins) => {
                self.within = begins;
                self.left |= !begins;
            }
            _ => {}
        }
        Took::Nothing
    }

    /// A stack begins at this line, unless that is of another report.
    fn begin_stack(&mut self, role: Role, tid: Option<u32>, at: At) -> Took {
        let mut stacks = self.stacks.iter();
        let is_second = role == Role::Report && stacks.any(|stack| stack.role == Role::Report);
        if is_second && self.mixed == Mixed::Perhaps {
            self.mixed = Mixed::Yes;
        }
        // The other access of a data race is of the same report.
        let is_other_access = role == Role::Report && self.is_of_two_accesses();
        if role == Role::Report && self.is_complete() && !is_other_access {
            return Took::Another;
        }
        let is_second_access = is_other_access && self.has_frames();
        self.stack(if is_second_access { Role::Other } else { role }, tid);
        self.last = at.number;
        Took::Nothing.or_part(self.place.is_none())
    }

    /// Takes in which task it was. If that is another one than before, another report is among its lines.
    fn task(&mut self, who: &Who) {
        let known = self.header.tid;
        let is_other = who.tid.is_some() && known.is_some() && known != who.tid;
        if is_other && !self.is_of_several_tasks() {
            self.mixed = Mixed::Yes;
        }
        if !self.has_frames() || self.header.tid.is_none() {
            self.header.tid = who.tid.or(self.header.tid);
            self.header.comm = who.comm.or(self.header.comm);
            self.header.cpu = who.cpu.or(self.header.cpu);
        }
    }

    /// Whether a further stack of what happened would be of another report.
    fn is_complete(&self) -> bool {
        let reported = self
            .stacks
            .iter()
            .any(|stack| stack.role == Role::Report && !stack.frames.is_empty());
        reported && !self.is_of_several_tasks() && self.header.kind != SplatKind::Kfence
    }

    /// Whether such a report shows the stacks of several tasks.
    fn is_of_several_tasks(&self) -> bool {
        self.is_of_two_accesses()
            || matches!(
                self.header.kind,
                SplatKind::Hung | SplatKind::Lockup | SplatKind::Stall | SplatKind::Lockdep
            )
    }

    /// Whether it reports a data race.
    fn is_of_two_accesses(&self) -> bool {
        self.header
            .detail
            .as_deref()
            .is_some_and(|detail| detail.starts_with(KCSAN))
    }

    fn stack(&mut self, role: Role, tid: Option<u32>) {
        if self
            .stacks
            .last()
            .is_some_and(|stack| stack.frames.is_empty())
        {
            self.stacks.pop();
        }
        if self.stacks.len() < MOST_STACKS {
            self.stacks.push(Building::new(role, tid));
        }
    }

    /// Takes a frame in.
    fn frame(&mut self, frame: StackFrame, time: Option<u64>) -> bool {
        if self.stacks.is_empty() {
            self.stack(Role::Report, None);
        }
        self.stacks
            .last_mut()
            .is_some_and(|stack| stack.take(frame, time))
    }

    /// Whether the line that introduces a stack has come behind its first frame.
    fn is_introduced_late(&self, time: Option<u64>) -> bool {
        let last = self.stacks.last();
        last.is_some_and(|stack| stack.role == Role::Report && stack.is_introduced_late(time))
    }

    /// Whether registers are those of another report: a warning's are at the place that its first line names.
    fn is_elsewhere(&self, other: &StackFrame) -> bool {
        let own = self.header.function();
        let names_another = |own: &Function| {
            let other = other.function.as_deref();
            other.is_some_and(|other| own.name != other.name)
        };
        self.header.kind == SplatKind::Warning
            && !self.has_frames()
            && own.is_some_and(names_another)
            && !is_reporting(other)
    }

    fn registers(&mut self, machine: Machine, frame: Option<StackFrame>) {
        let mut frames = self.stacks.iter().flat_map(|stack| &stack.frames);
        // A debugger shows first how it was called.
        if frames.any(|frame| !is_reporting(frame)) {
            return;
        }
        self.signs.machine = self.signs.machine.or(Some(machine));
        self.signs.astray = frame.is_none();
        if self.header.frame.is_none() {
            self.header.frame = frame.filter(|frame| !is_reporting(frame));
        }
    }
}

/// Whether a frame is one of the functions that print the report.
fn is_reporting(frame: &StackFrame) -> bool {
    let function = frame.function.as_deref();
    function
        .and_then(Function::base_name)
        .is_some_and(is_of_reporting)
}

impl Took {
    /// A part after all, where it begins a report.
    fn or_part(self, begins: bool) -> Self {
        if begins { Self::Part } else { self }
    }
}

/// How much a first line says: of several of one report the one that says most says what it is.
const fn rank(kind: SplatKind) -> u8 {
    match kind {
        SplatKind::Stack => 0,
        SplatKind::Panic => 1,
        SplatKind::Warning | SplatKind::Bug => 2,
        SplatKind::Oops => 3,
        SplatKind::Abort => 4,
        _ => 5,
    }
}

/// Whether a first line can be of the same report as the one before it.
fn fits(before: SplatKind, next: SplatKind) -> bool {
    use SplatKind::{
        Abort, Bug, DuplicateName, FreedActive, FreedIrq, Kasan, Kobject, List, LiveIrq, Oops,
        Panic, Refcount, Stack, Warning,
    };
    match next {
        Panic => true,
        FreedIrq | LiveIrq | FreedActive | Refcount | Kobject | DuplicateName | List => {
            matches!(before, Warning | Stack)
        }
        Warning => matches!(
            before,
            FreedIrq | LiveIrq | FreedActive | Refcount | List | Kobject
        ),
        Bug => matches!(
            before,
            FreedIrq | FreedActive | Refcount | Kobject | Oops | Abort | Bug | List | Panic | Stack
        ),
        // syzbot writes one for each function that was put into another.
        Kasan => before == Kasan,
        Oops | Abort => matches!(before, Oops | Abort | Bug | List | Panic | Stack),
        _ => false,
    }
}
