//! Splats: reports of the kernel about a fault, with the stacks that come with them.
//!
//! [`Splats`] follows the lines of a log and makes a [`Splat`] of each report: whole or cut at either end, decoded
//! by `scripts/decode_stacktrace.sh` or not, several at once where each line says who wrote it. `table` is the
//! table of their first lines, `part` reads those within.

mod apart;
mod complaint;
mod fault;
mod forms;
mod margin;
mod meaning;
mod memory;
mod part;
mod report;
mod stuck;
mod table;
mod warning;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use smallvec::SmallVec;

use self::{
    apart::{Before, rejoined, unwrapped},
    forms::Header,
    margin::Margin,
    part::Part,
    report::{Mixed, Open, Took},
    table::First,
};
use super::kernel_log;
use crate::{
    event::{
        Comm, StackFrame,
        splat::{Role, Splat, is_devres},
    },
    source::text::{
        envelope::prefix::{Prefix, Stamp, unquote},
        scan::{around, word},
    },
};
pub(in crate::source::text) use apart::apart;
pub(in crate::source::text) use meaning::meaning;

/// Lines that a report may have between two that say something of it.
const WITHIN: u64 = 80;
/// Lines behind the end of a report within which the kernel may say that it stops.
const BEHIND: u64 = 40;
/// Reports that are followed at once.
const MOST_OPEN: usize = 4;

/// What a line contains that belongs to a report whose first lines are missing.
const WITHOUT_BEGINNING: [&str; 23] = [
    "Modules linked in:",
    " Comm: ",
    "Call Trace:",
    "Call trace:",
    "Backtrace:",
    "RIP: 0010:",
    "pc : ",
    "PC is at ",
    "NIP [",
    "Krnl PSW : ",
    "Allocated by task",
    "Freed by task",
    "[exception RIP: ",
    SHOWN[0],
    SHOWN[1],
    SHOWN[2],
    "release_nodes+",
    "devres_release_all+",
    "devres_release_group+",
    "devm_action_release+",
    "release_nodes (",
    "devres_release_all (",
    "release_nodes at ",
];

/// In front of what a CPU or a task was doing: because another CPU asks, or somebody by sysrq.
const SHOWN: [&str; 3] = [
    "NMI backtrace for cpu ",
    "sysrq: Show ",
    // As older kernels write it.
    "SysRq : Show ",
];
static SHOWN_WORDS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| SHOWN.map(Finder::new));
/// Lines between that and the first of the registers and the stack.
const BEHIND_SHOWN: u64 = 4;

/// What lines contain that are looked at, while no report is open.
pub(in crate::source::text) fn telling() -> impl Iterator<Item = &'static str> {
    table::all().map(|form| form.words).chain(WITHOUT_BEGINNING)
}

/// Whether a line can be nothing but the beginning of a report or a stack.
pub(in crate::source::text) fn introduces(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.ends_with(b"race:") || !matches!(table::read(line), First::No)
}

/// Who wrote a line (`CONFIG_PRINTK_CALLER`): a thread or a CPU.
pub(in crate::source::text) type Caller = (Option<u32>, Option<u16>);

/// A line's place in the input, and how many lines it was there.
#[derive(Debug, Clone, Copy)]
struct At {
    number: u64,
    count: u64,
    /// How many lines behind the one before it is: none, where that is in the same one.
    step: u64,
    /// What of other records stands in front of it in the same line, in bytes.
    before: usize,
}

/// Where and when a report began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Beginning {
    pub(in crate::source::text) time: Option<Stamp>,
    /// Who writes it.
    pub(in crate::source::text) caller: Caller,
}

/// What a line has to do with reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum Seen {
    /// One begins: [`Splats::placed`] wants to know where it is kept.
    Begins(Beginning),
    /// It is a part of one.
    Part,
    /// Nothing.
    Nothing,
}

/// A report that is over.
#[derive(Debug)]
pub(in crate::source::text) struct Over {
    /// Where it is kept.
    pub(in crate::source::text) place: u32,
    pub(in crate::source::text) splat: Splat,
    /// The frames of its first stack.
    pub(in crate::source::text) frames: Vec<StackFrame>,
    pub(in crate::source::text) tid: Option<u32>,
    pub(in crate::source::text) comm: Option<Comm>,
    pub(in crate::source::text) cpu: Option<u16>,
    /// How many lines it had that report it.
    pub(in crate::source::text) lines: u64,
}

/// Follows the reports of a log.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Splats {
    open: SmallVec<[Box<Open>; 1]>,
    over: Vec<Over>,
    /// The last line that only says that a report begins.
    cut_here: Option<u64>,
    /// The last line that says that a CPU or task shows what it was doing.
    shown: Option<u64>,
    /// The last line, if it is a first one of a report: its rest may have been wrapped to the next.
    begun: Option<Begun>,
    before: Before,
    margin: Margin,
    /// The last line, if it has a time and says nothing: its rest may have been wrapped to the next.
    idle: Option<(Vec<u8>, At)>,
}

/// A first line of a report whose end may have been wrapped to the next line.
#[derive(Debug)]
struct Begun {
    text: Vec<u8>,
    /// What it says alone; nothing if it only contains the words of a form.
    says: Option<Header>,
    prefix: Prefix,
    number: u64,
    /// How long the line was up to its end.
    length: usize,
}

/// Shortest first line that is wrapped, together with the word that had no room in it.
const FULL: usize = 60;

/// Shortest first line that is wrapped, whatever follows.
const FULL_ALONE: usize = 40;

impl Splats {
    /// Whether the next line may belong to a report, whatever it contains.
    pub(in crate::source::text) fn expects_more(&self) -> bool {
        !self.open.is_empty() || self.begun.is_some()
    }

    /// Notes a line that is neither an event nor, by itself, a line of a report: it may be the first frame of one.
    pub(in crate::source::text) fn pass(&mut self, line: &[u8], number: u64, count: u64) {
        let place = At {
            number,
            count,
            step: count,
            before: 0,
        };
        self.before.pass(line, place);
    }

    /// Looks at a line without an event, or at one of the records in it, which begins `before` bytes into the line. The last
    /// record counts for all the `lines` that the line was in the input.
    pub(in crate::source::text) fn look(
        &mut self,
        line: &[u8],
        number: u64,
        before: usize,
        (lines, is_last): (u64, bool),
    ) -> Seen {
        let place = At {
            number,
            count: if is_last { lines } else { 0 },
            step: if before == 0 { lines } else { 0 },
            before,
        };
        if let Some((before, at)) = self.idle.take()
            && let Some(whole) = unwrapped(&before, at, line, place)
        {
            return self.read(&whole, place);
        }
        self.read(line, place)
    }

    /// The same for a line that is whole.
    fn read(&mut self, line: &[u8], place: At) -> Seen {
        let number = place.number;
        let (prefix, whole) = kernel_log::beginning(line);
        let text = self.margin.off(whole);
        let caller = (prefix.thread, prefix.cpu);
        let time = prefix.time;
        if memchr::memmem::find(text, b"[ cut here ]").is_some() {
            self.cut_here = Some(number);
        }
        if SHOWN_WORDS.iter().any(|words| words.find(text).is_some()) {
            self.shown = Some(number);
        }
        self.close_old(number);
        if let Some(begun) = self.begun.take()
            && prefix.time.is_none()
            && let Some(seen) = self.goes_on(&begun, unquote(line), place)
        {
            return seen;
        }
        let known = self.position(caller);
        let first = match table::read(line) {
            // Some forms have nothing in front but what is known.
            First::Begun => match table::read(text) {
                First::No => First::Begun,
                first => first,
            },
            first => first,
        };
        let begins = !matches!(first, First::No);
        let header = first.header();
        if begins {
            self.begun = Some(Begun {
                text: line.to_vec(),
                says: header.clone(),
                prefix,
                number,
                length: place.before + line.len(),
            });
        }
        if let Some(header) = header {
            if let Some(open) = known.and_then(|known| self.open.get_mut(known))
                && open.merge(&header, time, place)
            {
                return Seen::Part;
            }
            let open = Open::new(header, caller, place);
            return self.begin_behind(open, known, time);
        }
        // Nobody reported it: somebody asked how often it was seen.
        if is_end_of_count(text)
            && let Some(open) = known.and_then(|known| self.open.get_mut(known))
            && open.is_bare()
        {
            open.is_only_shown();
        }
        let known = self.leave(known, text, caller);
        let before = known.and_then(|known| self.open.get(known));
        let behind = |at: u64| number.saturating_sub(at) <= BEHIND_SHOWN;
        let is_shown =
            before.is_some_and(|open| open.shows_others()) || self.shown.is_some_and(behind);
        let mut mixed = Mixed::No;
        match known.and_then(|known| self.open.get_mut(known)) {
            Some(open) => match open.part(text, time, place) {
                Took::Part => {
                    if open.nested && open.mixed == Mixed::Yes {
                        open.nested = false;
                        self.end_interrupted();
                    }
                    return Seen::Part;
                }
                Took::Nothing => {
                    self.idle = time.map(|_| (line.to_vec(), place));
                    return Seen::Nothing;
                }
                Took::Another => {
                    // Whose lines those before were can't be told, nor can it of what follows.
                    if open.mixed == Mixed::Yes && !open.ended {
                        mixed = Mixed::Yes;
                    }
                    self.close(known);
                }
            },
            None if !is_part(text) => return Seen::Nothing,
            None => {}
        }
        let mut open = Open::new(Header::default(), caller, place);
        open.cut = true;
        open.lines = 0;
        open.mixed = mixed;
        // So only /proc/PID/stack writes frames.
        if is_shown || memchr::memmem::find(line, b"[<0>] ").is_some() {
            open.is_only_shown();
        }
        for (line, at) in self.before.take(place) {
            let (prefix, text) = kernel_log::beginning(&line);
            open.part(text, prefix.time, at);
        }
        if matches!(open.part(text, time, place), Took::Part) {
            return self.begin(open, time);
        }
        Seen::Nothing
    }

    /// Begins a report. If that is within another one, whose stack has begun and not ended, the rest of that may follow
    /// behind it.
    fn begin_behind(&mut self, mut open: Open, known: Option<usize>, time: Option<Stamp>) -> Seen {
        let before = known.and_then(|known| self.open.get_mut(known));
        match before {
            Some(before) if before.is_within_stack() => {
                before.interrupted = true;
                open.nested = true;
            }
            before => {
                if let Some(before) = before
                    && open.caller == (None, None)
                {
                    open.mixed = before.cut_into();
                }
                self.close(known);
            }
        }
        self.begin(open, time)
    }

    /// The report of this writer that a line belongs to: one that was within another is over where the rest of that
    /// follows.
    fn leave(&mut self, known: Option<usize>, text: &[u8], caller: Caller) -> Option<usize> {
        let is_over = |known: usize| {
            self.open
                .get(known)
                .is_some_and(|open| open.is_left_at(text))
        };
        if !known.is_some_and(is_over) {
            return known;
        }
        self.close(known);
        self.position(caller)
    }

    /// Lines of the report around this one are among its own: what is whose can't be told.
    fn end_interrupted(&mut self) {
        let around = self.open.iter().rposition(|open| open.interrupted);
        self.close(around);
    }

    /// Takes the line together with the one before, which begins a report, if it is the rest of that.
    fn goes_on(&mut self, begun: &Begun, text: &[u8], place: At) -> Option<Seen> {
        // Among lines that have a time nothing else has none, and nothing else begins with a module.
        let certain = begun.prefix.time.is_some() || begins_with_module(text);
        let follows = begun.number + place.step == place.number;
        let (next, _) = word(text)?;
        let had_room = begun.length < FULL_ALONE && begun.length + 1 + next.len() < FULL;
        // What begins a report is no rest of another line, nor does it begin with a frame's address.
        if !follows
            || had_room
            || text.starts_with(b"[<")
            || !matches!(table::read(text), First::No)
        {
            return None;
        }
        let (whole_text, whole) = rejoined(&begun.text, text)?;
        let caller = (begun.prefix.thread, begun.prefix.cpu);
        let seen = match (&begun.says, self.position(caller)) {
            (Some(alone), Some(known)) => {
                let open = self.open.get_mut(known)?;
                open.complete(alone, whole.clone(), certain, place)
                    .then_some(Seen::Part)?
            }
            (Some(_), None) => return None,
            (None, known) => {
                self.close(known);
                self.begin(Open::new(whole.clone(), caller, place), begun.prefix.time)
            }
        };
        self.begun = Some(Begun {
            length: whole_text.len(),
            text: whole_text,
            says: Some(whole),
            prefix: begun.prefix,
            number: place.number,
        });
        Some(seen)
    }

    /// Where the report that has just begun is kept.
    pub(in crate::source::text) fn placed(&mut self, place: u32) {
        if let Some(open) = self.open.last_mut() {
            open.place = Some(place);
        }
    }

    /// The reports that are over.
    pub(in crate::source::text) fn over(&mut self) -> std::vec::Drain<'_, Over> {
        self.over.drain(..)
    }

    /// Nothing comes any more.
    pub(in crate::source::text) fn finish(&mut self) {
        while !self.open.is_empty() {
            self.close(Some(0));
        }
    }

    fn begin(&mut self, mut open: Open, time: Option<Stamp>) -> Seen {
        if self.open.len() >= MOST_OPEN {
            self.close(Some(0));
        }
        let caller = open.caller;
        open.began = time;
        self.open.push(Box::new(open));
        Seen::Begins(Beginning { time, caller })
    }

    /// The report of the same writer; where nobody is named, the one that there is.
    fn position(&self, caller: Caller) -> Option<usize> {
        let is_named = caller != (None, None);
        self.open
            .iter()
            .rposition(|open| open.caller == caller)
            .or_else(|| {
                self.open
                    .iter()
                    .rposition(|open| !is_named || open.caller == (None, None))
            })
    }

    fn close_old(&mut self, number: u64) {
        let mut at = 0;
        while let Some(open) = self.open.get(at) {
            let most = if open.ended { BEHIND } else { WITHIN };
            if !open.interrupted && number.saturating_sub(open.last) > most {
                self.close(Some(at));
            } else {
                at += 1;
            }
        }
    }

    fn close(&mut self, at: Option<usize>) {
        if let Some(at) = at
            && at < self.open.len()
        {
            let open = self.open.remove(at);
            if open.nested
                && let Some(around) = at.checked_sub(1).and_then(|at| self.open.get_mut(at))
            {
                around.interrupted = false;
                around.last = open.last;
            }
            self.over.extend(open.over());
        }
    }
}

/// Whether a line begins with a module in brackets, and not with the address of a frame.
fn begins_with_module(text: &[u8]) -> bool {
    let Some((name, _)) = text.strip_prefix(b"[").and_then(|text| around(text, b"]")) else {
        return false;
    };
    let is_address = name.len() >= 8 && name.iter().all(u8::is_ascii_hexdigit);
    !is_address && !name.starts_with(b"<")
}

/// Whether a line ends a stack of which bpftrace has counted how often it was seen: `]: 3`.
fn is_end_of_count(text: &[u8]) -> bool {
    let count = text.trim_ascii().strip_prefix(b"]: ");
    count.is_some_and(|count| !count.is_empty() && count.iter().all(u8::is_ascii_digit))
}

/// Whether a line belongs to a report whose first lines are missing.
fn is_part(text: &[u8]) -> bool {
    match part::read(text) {
        Part::Stack(role, _) => role != Role::Other,
        Part::Registers(..) | Part::Modules(_) | Part::Task(_) => true,
        Part::Frame(Some(frame)) | Part::Call(_, frame) => {
            frame.function.as_deref().is_some_and(is_devres)
        }
        _ => false,
    }
}
