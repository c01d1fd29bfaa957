//! Messages of the kernel that tell of devres without telling of a node, with the stack that follows them.

use memchr::memmem;

use super::{
    backtrace::{self, Line},
    kernel_log::{self, Who},
    prefix::{self, Prefix, Stamp},
    refusal::{self, REFUSED},
    scan::{around, digits, word},
};
use crate::event::{StackFrame, Text};

/// What such messages contain, or what is left of them in a line that was wrapped.
pub(super) const WORDS: [&str; 16] = [
    REFUSED,
    SOURCE,
    REGISTERS_X86,
    REGISTERS_ARM64,
    REGISTERS_ARM,
    FREED_ACTIVE,
    FAULTS[0],
    FAULTS[1],
    FAULTS[2],
    FAULTS[3],
    FAULTS[4],
    FAULTS[5],
    FAULTS[6],
    refusal::BEGINNING,
    WARNED,
    STOPPED_CUT,
];

const SOURCE: &str = "drivers/base/devres.c:";
const REGISTERS_X86: &str = "RIP: 0010:";
const REGISTERS_ARM64: &str = "pc : ";
const REGISTERS_ARM: &str = "PC is at ";
const FREED_ACTIVE: &str = "ODEBUG: free active";
/// What reports of other kinds begin with: their registers are no warning's.
const FAULTS: [&str; 7] = [
    "BUG: ",
    "Oops",
    "Unable to handle",
    "general protection fault",
    " LOCKUP",
    "detected stall",
    " blocked for more than",
];
/// What a report begins with that the kernel does not survive.
const STOPPED: &str = "kernel BUG at ";
const STOPPED_CUT: &str = "kernel BUG at";
const WARNED: &str = "WARNING: ";

/// Lines behind a report in which its registers and its stack are expected.
const WITHIN: u64 = 80;
/// Lines behind a release within which a message about freed memory is taken for one about it.
const RIGHT_BEHIND: u64 = 8;
/// Frames of a stack that are kept.
const MOST_FRAMES: usize = 64;

/// Functions of drivers/base/devres.c that warn.
const WARNING: [&[u8]; 13] = [
    b"add_dr",
    b"devm_free_pages",
    b"devm_free_percpu",
    b"devm_kfree",
    b"devm_krealloc",
    b"devm_release_action",
    b"devm_remove_action",
    b"devres_close_group",
    b"devres_free",
    b"devres_release_all",
    b"devres_release_group",
    b"devres_remove_group",
    b"remove_nodes",
];

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) what: What,
    /// The device that it names, if any.
    pub(super) who: Option<Who<'a>>,
    pub(super) time: Option<Stamp>,
    pub(super) thread: Option<u32>,
    pub(super) cpu: Option<u16>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// `really_probe()` refused to probe a device that already owned resources.
    ProbeRefused,
    /// A report from drivers/base/devres.c.
    Warning {
        function: Option<Text>,
        line: Option<u64>,
    },
    /// Memory was freed in which something was still active.
    FreedActive { object: Text, hint: Option<Text> },
}

/// What a line has to do with messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// It is one.
    Message(Told<'a>),
    /// It names the function of the last message, or what the active object would have called.
    Function(Text),
    /// It is a frame of the last message's stack; `None` for one that the kernel itself doubts.
    Frame(Option<StackFrame>),
    /// It names the task of the last message.
    Comm(&'a [u8]),
    /// Nothing.
    Nothing,
}

/// Follows messages over several lines.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The line of the last report and its function.
    last: Option<(u64, Option<Text>)>,
    /// The last line ended where a report's function should stand.
    cut: bool,
    /// A stack of this many frames has begun.
    frames: Option<usize>,
    /// The line of the last report of another kind.
    fault: Option<u64>,
}

impl Messages {
    /// Whether the next line may go with the last message, whatever it contains.
    pub(super) fn expects_more(&self) -> bool {
        self.cut || self.last.is_some()
    }

    /// Looks at a line that is no event; `released` is the line of the last event, if that was a release.
    pub(super) fn look<'a>(
        &mut self,
        line: &'a [u8],
        number: u64,
        released: Option<u64>,
    ) -> Look<'a> {
        if std::mem::take(&mut self.cut)
            && let Some(function) = function(prefix::unquote(line))
        {
            return match &self.last {
                // The name of what was to be called, not of what warned.
                Some((_, Some(_))) => Look::Function(function),
                _ => self.name(function),
            };
        }
        if let Some(told) = read(line, number, released) {
            match &told.what {
                What::Warning { function, line } => {
                    self.cut = function.is_none() && line.is_some();
                    self.last = Some((number, function.clone()));
                    self.frames = None;
                }
                What::FreedActive { hint, .. } => {
                    self.cut = hint.is_none() && line.ends_with(b"hint:");
                    // Its registers name no function of devres, its stack is wanted.
                    self.last = Some((number, Some(Text::from(""))));
                    self.frames = None;
                }
                What::ProbeRefused => {}
            }
            return Look::Message(told);
        }
        if FAULTS
            .iter()
            .any(|words| memmem::find(line, words.as_bytes()).is_some())
        {
            self.fault = Some(number);
            // Where a function is still missing, this is what the kernel says of the same report.
            self.last.take_if(|(_, function)| function.is_some());
        }
        if self
            .last
            .as_ref()
            .is_some_and(|(last, _)| number.saturating_sub(*last) > WITHIN)
        {
            self.last = None;
        }
        match self.registers(line, number) {
            Look::Nothing if self.last.is_some() => self.follow(line),
            found => found,
        }
    }

    /// What follows a message that is no message of its own.
    fn follow<'a>(&mut self, line: &'a [u8]) -> Look<'a> {
        match backtrace::read(line) {
            Line::Begin => self.frames = Some(0),
            Line::Frame(frame) => {
                if let Some(count) = &mut self.frames
                    && *count < MOST_FRAMES
                {
                    *count += usize::from(frame.is_some());
                    return Look::Frame(frame);
                }
            }
            Line::Comm(comm) if self.frames.is_none() => return Look::Comm(comm),
            Line::Filling | Line::Comm(_) => {}
            Line::Other => {
                // Behind the frames comes what is not part of it any more.
                if self.frames.is_some_and(|count| count > 0) {
                    self.last = None;
                }
            }
            Line::End => self.last = None,
        }
        Look::Nothing
    }

    fn name<'a>(&mut self, function: Text) -> Look<'a> {
        if let Some((_, known)) = &mut self.last {
            *known = Some(Text::clone(&function));
        }
        Look::Function(function)
    }

    /// `RIP: 0010:devres_release_group+0x362/0x530` names the function of a report, or tells of one whose
    /// first lines were cut off.
    fn registers<'a>(&mut self, line: &'a [u8], number: u64) -> Look<'a> {
        let Some((_, at)) = [REGISTERS_X86, REGISTERS_ARM64, REGISTERS_ARM]
            .iter()
            .find_map(|words| around(line, words.as_bytes()))
        else {
            return Look::Nothing;
        };
        let name = at.split(|byte| *byte == b'+').next().unwrap_or_default();
        if !WARNING.contains(&name) {
            return Look::Nothing;
        }
        match (&self.last, function(at)) {
            (Some((_, None)), Some(function)) => self.name(function),
            (Some((_, Some(known))), _) if known.as_bytes() == name => Look::Nothing,
            _ if self
                .fault
                .is_some_and(|fault| number.saturating_sub(fault) <= WITHIN) =>
            {
                Look::Nothing
            }
            (_, function) => {
                self.last = Some((number, function.clone()));
                self.frames = None;
                let (prefix, line) = (line_prefix(line), None);
                Look::Message(told(prefix, What::Warning { function, line }))
            }
        }
    }
}

fn line_prefix(line: &[u8]) -> Prefix {
    kernel_log::beginning(line).0
}

fn told<'a>(prefix: Prefix, what: What) -> Told<'a> {
    Told {
        what,
        who: None,
        time: prefix.time,
        thread: prefix.thread,
        cpu: prefix.cpu,
    }
}

fn read(line: &[u8], number: u64, released: Option<u64>) -> Option<Told<'_>> {
    if memmem::find(line, REFUSED.as_bytes()).is_some() {
        let (prefix, who) = refusal::read(line)?;
        return Some(Told {
            who: Some(who),
            ..told(prefix, What::ProbeRefused)
        });
    }
    if let Some((_, rest)) = around(line, FREED_ACTIVE.as_bytes()) {
        let behind =
            released.is_some_and(|released| number.saturating_sub(released) <= RIGHT_BEHIND);
        let (_, object) = around(rest, b"object type: ")?;
        let (object, rest) = word(object)?;
        let hint = around(rest, b"hint: ").and_then(|(_, hint)| word(hint));
        let hint = hint.and_then(|(hint, _)| hint.split(|byte| *byte == b'+').next());
        let what = What::FreedActive {
            object: text(object),
            hint: hint.filter(|hint| !hint.starts_with(b"0x")).map(text),
        };
        return behind.then(|| told(line_prefix(line), what));
    }
    let (before, place) = around(line, SOURCE.as_bytes())?;
    let stopped = kernel_log::beginning(before)
        .1
        .starts_with(STOPPED.as_bytes());
    if !stopped && memmem::find(before, WARNED.as_bytes()).is_none() {
        return None;
    }
    let (source_line, rest) = digits(place)?;
    if stopped && !rest.starts_with(b"!") {
        return None;
    }
    let rest = rest.trim_ascii_start();
    // From 6.19 on "at" stands before the function.
    let rest = rest.strip_prefix(b"at ").unwrap_or(rest);
    let number = |name: &[u8]| around(line, name).and_then(|(_, behind)| digits(behind));
    let thread = number(b" PID: ").or_else(|| {
        let (_, task) = around(rest, b"CPU#")?;
        let task = word(task.trim_ascii_end())
            .and_then(|(_, task)| word(task))?
            .0;
        digits(task.rsplit(|byte| *byte == b'/').next()?)
    });
    let cpu = number(b" CPU: ").or_else(|| number(b"CPU#"));
    let prefix = line_prefix(line);
    let what = What::Warning {
        function: function(rest),
        line: Some(source_line),
    };
    Some(Told {
        thread: thread
            .and_then(|(thread, _)| u32::try_from(thread).ok())
            .or(prefix.thread),
        cpu: cpu
            .and_then(|(cpu, _)| u16::try_from(cpu).ok())
            .or(prefix.cpu),
        ..told(prefix, what)
    })
}

/// Whether a line ends where the rest of a message can have been wrapped to the next.
pub(super) fn may_begin(line: &[u8]) -> bool {
    refusal::may_begin(line)
        || line.ends_with(STOPPED_CUT.as_bytes())
        || around(line, WARNED.as_bytes()).is_some_and(is_task)
}

/// Whether this is `CPU: 2 PID: 204 at`, or less of it.
fn is_task((_, text): (&[u8], &[u8])) -> bool {
    text.split(u8::is_ascii_whitespace).all(|word| {
        matches!(word, b"" | b"CPU:" | b"PID:" | b"at") || word.iter().all(u8::is_ascii_digit)
    })
}

/// Whether a line has all that tells of a message.
pub(super) fn is_whole(line: &[u8]) -> bool {
    [REFUSED, SOURCE]
        .iter()
        .any(|words| memmem::find(line, words.as_bytes()).is_some())
}

/// The function of `devm_kfree+0x8c/0xfc`, or `devm_kfree (drivers/base/devres.c:1064)`.
fn function(place: &[u8]) -> Option<Text> {
    let (first, rest) = word(place)?;
    let name = match first.iter().position(|byte| *byte == b'+') {
        Some(plus) => first.get(..plus)?,
        None if rest.starts_with(b" (") => first,
        None => return None,
    };
    let is_name = !name.is_empty() && name.iter().copied().all(backtrace::is_of_symbol);
    is_name.then(|| text(name))
}

fn text(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of these lines: what, in which line, and with how many frames.
    fn messages(lines: &[&str]) -> Vec<(u64, What, usize)> {
        let mut messages = Messages::default();
        let mut found: Vec<(u64, What, usize)> = Vec::new();
        for (line, number) in lines.iter().zip(1..) {
            match messages.look(line.as_bytes(), number, Some(1)) {
                Look::Message(told) => found.push((number, told.what, 0)),
                Look::Function(name) => {
                    let Some((_, What::Warning { function, .. }, _)) = found.last_mut() else {
                        panic!("{line}: no warning before");
                    };
                    *function = Some(name);
                }
                Look::Frame(Some(_)) => found.last_mut().unwrap().2 += 1,
                Look::Frame(None) | Look::Comm(_) | Look::Nothing => {}
            }
        }
        found
    }

    fn warning(line: Option<u64>, function: &str) -> What {
        let function = Some(Text::from(function));
        What::Warning { function, line }
    }

    #[test]
    fn other_reports_are_no_warning() {
        for first in [
            "BUG: unable to handle page fault for address: ffffc900058162a0",
            "BUG: KASAN: slab-use-after-free in devm_kfree+0x8c/0xfc",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [rmmod:123]",
            "Unable to handle kernel NULL pointer dereference at virtual address 0",
            "Oops: 0000 [#1] SMP",
            "general protection fault: 0000 [#1]",
            "INFO: task foo:12 blocked for more than 120 seconds.",
            "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "this is about kernel BUG at drivers/base/devres.c:120!",
            "kernel BUG at drivers/base/devres.c:120 is what I see",
        ] {
            let lines = [
                first,
                "RIP: 0010:devm_kfree+0x8c/0xfc",
                "Call Trace:",
                " foo+0x1/0x2",
            ];
            let lines = if first.contains("devres.c") {
                &lines[..1]
            } else {
                &lines[..]
            };
            assert_eq!(messages(lines), [], "{first}");
        }
        assert_eq!(
            messages(&[
                "kernel BUG at drivers/base/devres.c:135!",
                "Internal error: Oops - BUG: 00000000f2000800 [#1]  SMP",
                "pc : add_dr+0x60/0x64",
                "Call trace:",
                " add_dr+0x60/0x64 (P)",
            ]),
            [(1, warning(Some(135), "add_dr"), 1)]
        );
    }

    #[test]
    fn decoded_stacks_are_read() {
        assert_eq!(
            messages(&[
                "[7.8] WARNING: CPU: 4 PID: 492 at drivers/base/devres.c:1064 devm_kfree (drivers/base/devres.c:1064 (discriminator 1))",
                "[7.9] Call trace:",
                "[7.9] devm_kfree (drivers/base/devres.c:1064)",
                "[7.9] icc_disable (drivers/interconnect/core.c:708) icc_core",
                "[7.9] spi_geni_runtime_suspend+0x3c/0x4c spi_geni_qcom",
            ]),
            [(1, warning(Some(1064), "devm_kfree"), 3)]
        );
    }

    #[test]
    fn warnings_are_told_once_each() {
        assert_eq!(
            messages(&[
                "[ 1.0] WARNING: CPU: 0 PID: 413 at drivers/base/devres.c:1058 devm_kfree+0x2a8/0x330",
                "[ 1.1] RIP: 0010:devm_kfree+0x2a8/0x330",
                "> WARNING: CPU: 39 PID: 3830 at drivers/base/devres.c:1095",
                "> devres_release_group+0x70/0xa0",
                "WARNING: drivers/base/devres.c:691 at devres_close_group+0x1f2/0x2c0, CPU#2: kworker/1",
                "x: see drivers/base/devres.c:691",
                "kernel BUG at drivers/base/devres.c:120!",
                "pc : add_dr+0x70/0xa0",
            ]),
            [
                (1, warning(Some(1058), "devm_kfree"), 0),
                (3, warning(Some(1095), "devres_release_group"), 0),
                (5, warning(Some(691), "devres_close_group"), 0),
                (7, warning(Some(120), "add_dr"), 0),
            ]
        );
    }

    #[test]
    fn registers_alone_tell_of_a_warning_that_was_cut() {
        assert_eq!(
            messages(&[
                "WARNING: CPU: 1 PID: 0 at drivers/base/devres.c:1064 devm_kfree+0x88/0x98",
                "\tRIP: 0010:devres_release_group+0x362/0x530",
                "RIP: 0010:kfree+0x1/0x2"
            ]),
            [
                (1, warning(Some(1064), "devm_kfree"), 0),
                (2, warning(None, "devres_release_group"), 0)
            ]
        );
    }

    #[test]
    fn the_stack_behind_a_warning_is_its_own() {
        assert_eq!(
            messages(&[
                "[ 1.0] WARNING: CPU: 2 PID: 204 at drivers/base/devres.c:1064 devm_kfree+0x8c/0xfc",
                "[ 1.0] Modules linked in: a b c",
                "[ 1.1] x29: ffff800083d1b9c0 x28: ffff000004a0",
                "[ 1.1] Call trace:",
                "[ 1.1]  devm_kfree+0x8c/0xfc",
                "[ 1.1]  ? foo+0x1/0x2",
                "[ 1.1]  bar_release+0x54/0x64 [bar]",
                "[ 1.1] ---[ end trace 0000000000000000 ]---",
                "[ 1.1]  baz+0x54/0x64 [bar]",
            ]),
            [(1, warning(Some(1064), "devm_kfree"), 2)]
        );
    }

    #[test]
    fn freed_objects_are_told_right_behind_a_release() {
        let line = "[ 1.0] ODEBUG: free active (active state 0) object: 00000000b0ee7ae6 object type: timer_list hint: foo_timer+0x0/0x10";
        let what = What::FreedActive {
            object: Text::from("timer_list"),
            hint: Some(Text::from("foo_timer")),
        };
        assert_eq!(messages(&["", line]), [(2, what, 0)]);
        let far = Messages::default().look(line.as_bytes(), 100, Some(1));
        assert_eq!(far, Look::Nothing);
    }

    #[test]
    fn the_task_of_a_warning_is_read() {
        for (line, thread, cpu) in [
            (
                "WARNING: CPU: 3 PID: 413 at drivers/base/devres.c:1058 devm_kfree+0x2a8/0x330",
                413,
                3,
            ),
            (
                "WARNING: drivers/base/devres.c:691 at devres_close_group+0x1f2/0x2c0, CPU#2: kworker/1:2/45",
                45,
                2,
            ),
        ] {
            let Look::Message(told) = Messages::default().look(line.as_bytes(), 1, None) else {
                panic!("{line}");
            };
            assert_eq!((told.thread, told.cpu), (Some(thread), Some(cpu)), "{line}");
        }
    }
}
