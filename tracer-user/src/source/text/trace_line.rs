//! Lines of traces, as ftrace, `trace-cmd report` and `perf script` print them: `insmod-123 [000] d..1.
//! 6.445839: devres_log: QEMU0001:00 ADD 00000000d1791502 devm_kzalloc_release (40 bytes)`.

use memchr::memmem;

use super::{
    Parsed,
    resource::{self, Operation, Resource},
    scan::{decimal, digits, last_word, seconds, word},
};
use crate::event::{Comm, Task};

/// The tracepoint's name.
pub(super) const EVENT: &[u8] = b"devres_log: ";

/// What stands before an event's name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Nanoseconds.
    pub(super) time: Option<u64>,
    pub(super) cpu: u16,
    pub(super) task: Task,
}

/// A line of the tracepoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TraceLine<'a> {
    pub(super) head: Head,
    /// The device's name; `None` for `(null)`.
    pub(super) device: Option<&'a [u8]>,
    pub(super) operation: Operation,
    pub(super) resource: Resource<'a>,
}

/// Reads a line in which [`EVENT`] begins at `at`.
pub(super) fn read(line: &[u8], at: usize) -> Parsed<TraceLine<'_>> {
    let Some((before, rest)) = line.split_at_checked(at) else {
        return Parsed::Other;
    };
    // Some tools write the trace system and a colon before the name.
    let before = match last_word(before) {
        Some((before_system, system))
            if before.ends_with(system) && system.ends_with(b":") && !is_time(system) =>
        {
            before_system
        }
        _ => before,
    };
    let words = rest.get(EVENT.len() - 1..).unwrap_or_default();
    let Some((device, operation, rest)) = operation(words) else {
        // Cut within or before the operation: short, and without the end.
        return if memmem::find(words, b" bytes)").is_none() {
            Parsed::Cut
        } else {
            Parsed::Other
        };
    };
    match resource::read(rest) {
        Some(resource) => Parsed::Event(TraceLine {
            head: head(before),
            device: (!device.is_empty() && device != b"(null)").then_some(device),
            operation,
            resource,
        }),
        None => Parsed::Cut,
    }
}

fn is_time(word: &[u8]) -> bool {
    word.strip_suffix(b":").and_then(time).is_some()
}

/// The device's name, which may contain blanks, the operation and what follows it.
fn operation(words: &[u8]) -> Option<(&[u8], Operation, &[u8])> {
    let mut rest = words;
    while let Some((first, behind)) = word(rest) {
        if let Some(operation) = Operation::named(first) {
            let device = words.get(..words.len() - behind.len() - first.len())?;
            return Some((device.trim_ascii(), operation, behind));
        }
        rest = behind;
    }
    None
}

/// Reads as much as there is of `comm-pid (tgid) [cpu] flags time:`.
pub(super) fn head(before: &[u8]) -> Head {
    let mut head = Head::default();
    let mut rest = before.trim_ascii_end();
    // In the latency format the colon stands apart.
    rest = rest.strip_suffix(b":").unwrap_or(rest).trim_ascii_end();
    let Some((behind, last)) = last_word(rest) else {
        return head;
    };
    head.time = time(last);
    if last == b"/*" {
        return graph(behind);
    }
    let (mut behind, mut last) = (behind, last);
    if head.time.is_none()
        && decimal(last).is_some()
        && let Some((before, earlier)) = last_word(behind)
        && let Some(earlier) = earlier.strip_suffix(b":")
        && time(earlier).is_some()
    {
        // perf's period stands between the time and the event.
        (behind, last) = (before, earlier);
        head.time = time(last);
    }
    if head.time.is_some() {
        rest = behind;
    }
    let without_cpu = rest;
    // Flags, and in the latency format the CPU in front of them.
    for _ in 0..2 {
        let Some((behind, last)) = last_word(rest) else {
            return head;
        };
        if let [b'[', cpu @ .., b']'] = last {
            head.cpu = decimal(cpu)
                .and_then(|cpu| u16::try_from(cpu).ok())
                .unwrap_or_default();
            head.task = task(behind);
            return head;
        }
        if let Some((cpu, flags)) = digits(last)
            && flags.len() >= 4
        {
            head.cpu = u16::try_from(cpu).unwrap_or_default();
            head.task = task(behind);
            return head;
        }
        if last.len() > 8 {
            break;
        }
        rest = behind;
    }
    // perf may have been told to leave out the CPU.
    if head.time.is_some() {
        head.task = task(without_cpu);
    }
    head
}

/// The columns that the function graph has in front of an event, as far as they are there: `6.445839 |   0)
/// insmod-123   |               |`.
fn graph(columns: &[u8]) -> Head {
    let mut head = Head::default();
    let words = columns.split(|byte| matches!(byte, b' ' | b'|' | b'\t'));
    for word in words.filter(|word| !word.is_empty()) {
        if let Some(cpu) = word.strip_suffix(b")").and_then(decimal) {
            head.cpu = u16::try_from(cpu).unwrap_or_default();
        } else if let Some(time) = time(word) {
            head.time = Some(time);
        } else if word.contains(&b'-') {
            head.task = task(word);
        }
    }
    head
}

/// `6.445839`, or `439us` with a mark for long delays.
fn time(word: &[u8]) -> Option<u64> {
    let (_, rest) = digits(word)?;
    match rest {
        [b'.', ..] => seconds(word),
        [b'u', b's', marks @ ..] if marks.iter().all(u8::is_ascii_punctuation) => {
            digits(word)?.0.checked_mul(1_000)
        }
        _ => None,
    }
}

/// `comm-pid`, `comm-pid (tgid)`, or perf's `comm pid`.
fn task(before: &[u8]) -> Task {
    let mut rest = before.trim_ascii_end();
    let mut process = None;
    if let Some(inner) = rest.strip_suffix(b")")
        && let Some(open) = inner.iter().rposition(|byte| *byte == b'(')
    {
        let (outer, inner) = inner.split_at(open);
        process = decimal(inner.get(1..).unwrap_or_default().trim_ascii());
        rest = outer.trim_ascii_end();
    }
    let Some((before, last)) = last_word(rest) else {
        return Task::default();
    };
    let (comm, thread) = if let Some(dash) = last.iter().rposition(|byte| *byte == b'-') {
        let (comm, thread) = last.split_at(dash);
        (comm, thread.get(1..).unwrap_or_default())
    } else {
        let comm = last_word(before).map(|(_, comm)| comm);
        let thread = last.rsplit(|byte| *byte == b'/').next();
        (comm.unwrap_or_default(), thread.unwrap_or_default())
    };
    let number = |number: u64| u32::try_from(number).ok();
    let Some(tid) = decimal(thread).and_then(number) else {
        return Task::default();
    };
    let comm = if comm == b"<...>" { b"" } else { comm };
    Task {
        tid,
        tgid: process.and_then(number).unwrap_or(tid),
        comm: Comm::new(&String::from_utf8_lossy(comm)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::resource::Pointer;

    fn task(comm: &str, thread: u32, process: u32) -> Task {
        Task {
            tid: thread,
            tgid: process,
            comm: Comm::new(comm),
        }
    }

    #[test]
    fn heads_of_all_tools_are_read() {
        let time = 439_921_733_000;
        for (text, cpu, time, task) in [
            (
                "     sh-124     [001] d..1.   439.921733: ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (
                "  sh-124 (    99) [001] .N..   439.921733: ",
                1,
                Some(time),
                task("sh", 124, 99),
            ),
            (
                "  sh-124 (-------) [001] ....   439.921733: ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (
                "  sh-124   [001]   439.921733: ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (
                "sh   124 [001]   439.921733:   ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (
                "sh   99/124 [001]   439.921733000:   ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (
                "  sh-124     1d..1.   439us+: ",
                1,
                Some(439_000),
                task("sh", 124, 124),
            ),
            (
                "  sh-124     1d..1.   439us : ",
                1,
                Some(439_000),
                task("sh", 124, 124),
            ),
            (
                "<idle>-0 [000] d.h1. 1.000000: ",
                0,
                Some(1_000_000_000),
                task("<idle>", 0, 0),
            ),
            (
                "<...>-7 [000] d.h1. 1.000000: ",
                0,
                Some(1_000_000_000),
                task("", 7, 7),
            ),
            (
                "kworker/u8:2-45 [000] ..... 1.000000: ",
                0,
                Some(1_000_000_000),
                task("kworker/u8:2", 45, 45),
            ),
            (
                "PNP0103:00 pcspkr insmod-123 [000] ..... 1.000000: ",
                0,
                Some(1_000_000_000),
                task("insmod", 123, 123),
            ),
            (
                "> sh-124 [000] d..1. 1.000000: ",
                0,
                Some(1_000_000_000),
                task("sh", 124, 124),
            ),
            ("1.000000: ", 0, Some(1_000_000_000), Task::default()),
            (
                "sh   124 [001]   439.921733:          1   ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            ("sh 124 439.921733: ", 0, Some(time), task("sh", 124, 124)),
            (
                "  439.921733 |   1)     sh-124    |               |  /* ",
                1,
                Some(time),
                task("sh", 124, 124),
            ),
            (" 1)               |  /* ", 1, None, Task::default()),
            ("", 0, None, Task::default()),
        ] {
            assert_eq!(head(text.as_bytes()), Head { time, cpu, task }, "{text}");
        }
    }

    #[test]
    fn the_tracepoint_is_read_with_and_without_its_system() {
        for event in ["devres_log: ", "dev:devres_log: ", "devres_log:      "] {
            for (device, name) in [
                ("0-0048", Some("0-0048")),
                (
                    "regulator:regulator.0--i2c:0-0048",
                    Some("regulator:regulator.0--i2c:0-0048"),
                ),
                ("a name", Some("a name")),
                ("(null)", None),
                ("", None),
            ] {
                let line = format!(
                    "sh-124 [000] d..1. 1.000000: {event}{device} REL 0000000012345678 x (8 bytes)"
                );
                let at = line.find("devres_log").unwrap();
                let Parsed::Event(found) = read(line.as_bytes(), at) else {
                    panic!("{line}");
                };
                assert_eq!(found.head.task.tid, 124, "{line}");
                assert_eq!(found.head.time, Some(1_000_000_000), "{line}");
                assert_eq!(found.device, name.map(str::as_bytes), "{line}");
                assert_eq!(found.operation, Operation::Release);
                assert_eq!(found.resource.node, Pointer::Long(0x1234_5678));
            }
        }
    }
}
