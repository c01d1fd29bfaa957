//! What tools print in front of an event: `insmod-123 [000] d..1. 6.445839: `.

use memchr::memmem;

use super::prefix::{self, Stamp};
use crate::{
    event::{Comm, Task},
    source::text::scan::{around, decimal, digits, last_word, nanoseconds, seconds, word},
};

/// Bytes that a task's name may have.
const LONGEST_COMM: usize = 15;

/// What stands before an event's name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Head {
    /// Nanoseconds.
    pub(in crate::source::text) time: Option<u64>,
    pub(in crate::source::text) cpu: u16,
    pub(in crate::source::text) task: Task,
}

/// Reads as much as there is of `comm-pid (tgid) [cpu] flags time:`.
pub(in crate::source::text) fn head(before: &[u8]) -> Head {
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
    if last.starts_with(b"(+")
        && let Some((before, earlier)) = last_word(behind)
    {
        // trace-cmd's time since the event before.
        (behind, last) = (before, earlier);
        head.time = time(last.strip_suffix(b":").unwrap_or(last));
    }
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
pub(in crate::source::text) fn graph(columns: &[u8]) -> Head {
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
    let mut rest = prefix::unquote(before).trim_ascii_end();
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
        let thread = last.get(dash + 1..).unwrap_or_default();
        (rest.get(..before.len() + dash).unwrap_or_default(), thread)
    } else {
        let thread = last.rsplit(|byte| *byte == b'/').next();
        (before.trim_ascii_end(), thread.unwrap_or_default())
    };
    // A name may have blanks; what is too long for one has something else in front.
    let is_one = |word: &[u8]| {
        word.len() <= LONGEST_COMM
            && memmem::find(word, b"  ").is_none()
            && memmem::find(word, b": ").is_none()
    };
    let comm = if is_one(comm) {
        comm
    } else {
        last_word(comm).map_or(comm, |(_, comm)| comm)
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

/// Whether a line can be the beginning of a trace line that was wrapped before or behind the event's name.
pub(in crate::source::text) fn may_begin(line: &[u8]) -> bool {
    let Some(line) = line.strip_suffix(b":") else {
        return ends_with_flags(line);
    };
    last_word(line).is_some_and(|(before, last)| {
        time(last).is_some()
            || last_word(before)
                .is_some_and(|(_, earlier)| earlier.strip_suffix(b":").and_then(time).is_some())
    })
}

/// Whether a line ends with `[001] d..1.`, behind which the time stands.
fn ends_with_flags(line: &[u8]) -> bool {
    let is_flag = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'#');
    last_word(line).is_some_and(|(before, flags)| {
        (4..=8).contains(&flags.len())
            && flags.iter().all(is_flag)
            && flags.contains(&b'.')
            && last_word(before).is_some_and(
                |(_, cpu)| matches!(cpu, [b'[', cpu @ .., b']'] if decimal(cpu).is_some()),
            )
    })
}

/// Whether a line begins with the time of an event.
pub(in crate::source::text) fn begins_with_time(line: &[u8]) -> bool {
    word(line).is_some_and(|(first, _)| is_time(first))
}

/// The head as tools print it; in the kernel's log (`tp_printk`) and in `perf trace` there are others.
pub(in crate::source::text) fn head_of_any(before: &[u8]) -> Head {
    let (prefix, rest) = prefix::split(before);
    match prefix.time {
        Some(Stamp::At(time)) if rest.trim_ascii().is_empty() => {
            let tid = prefix.thread.unwrap_or_default();
            Head {
                time: Some(time),
                cpu: prefix.cpu.unwrap_or_default(),
                task: Task {
                    tid,
                    tgid: tid,
                    comm: Comm::default(),
                },
            }
        }
        _ => of_perf_trace(before).unwrap_or_else(|| head(before)),
    }
}

/// `0.010 kworker/u8:3/171 dev:`, as `perf trace` prints: milliseconds, which no colon follows, and the task.
pub(in crate::source::text) fn of_perf_trace(before: &[u8]) -> Option<Head> {
    let (time, rest) = word(before)?;
    let (milliseconds, fraction) = digits(time)?;
    let fraction = nanoseconds(fraction.strip_prefix(b".")?)? / 1_000;
    let time = milliseconds.checked_mul(1_000_000)?.checked_add(fraction)?;
    let rest = rest.trim_ascii();
    // How long a system call took, which an event has not.
    let rest = match rest.strip_prefix(b"(") {
        Some(duration) => around(duration, b"):")?.1.trim_ascii(),
        None => rest,
    };
    // The trace system, where it was not taken off.
    let rest = match last_word(rest) {
        Some((before, system)) if system.ends_with(b":") => before.trim_ascii_end(),
        _ => rest,
    };
    let slash = rest.iter().rposition(|byte| *byte == b'/')?;
    let (comm, thread) = rest.split_at(slash);
    let tid = u32::try_from(decimal(thread.get(1..)?)?).ok()?;
    Some(Head {
        time: Some(time),
        cpu: 0,
        task: Task {
            tid,
            tgid: tid,
            comm: Comm::new(&String::from_utf8_lossy(comm)),
        },
    })
}

pub(in crate::source::text) fn is_time(word: &[u8]) -> bool {
    word.strip_suffix(b":").and_then(time).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn names_of_tasks_may_have_blanks() {
        let time = 1_000_000_000;
        for (text, name, thread) in [
            ("  Web Content-7 [000] ..... 1.000000: ", "Web Content", 7),
            ("Web Content     7 [000] 1.000000: ", "Web Content", 7),
            ("guest:   sh-7 [000] 1.000000: (+10)  ", "sh", 7),
        ] {
            let found = head(text.as_bytes());
            assert_eq!(found.task, task(name, thread, thread), "{text}");
            assert_eq!(found.time, Some(time), "{text}");
        }
    }

    #[test]
    fn heads_may_be_all_that_is_left_in_a_line() {
        for (line, may) in [
            ("sh-1 [000] d..1. 1.000000:", true),
            ("sh-1 [000] d..1. 1.000000: device_del:", true),
            ("sh-1 [000] d..1.", true),
            ("see [1] here", false),
            ("[ 1.0] x:", false),
            ("1.000000: x y:", false),
            ("x:", false),
        ] {
            assert_eq!(may_begin(line.as_bytes()), may, "{line}");
        }
    }
}
