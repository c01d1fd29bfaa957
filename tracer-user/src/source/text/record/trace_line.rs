//! Lines of traces, as ftrace, `trace-cmd report` and `perf script` print them: `insmod-123 [000] d..1.
//! 6.445839: devres_log: QEMU0001:00 ADD 00000000d1791502 devm_kzalloc_release (40 bytes)`.

mod perf_trace;

use memchr::memmem::{self, Finder};

use super::{
    operation_word::OperationWord,
    resource::{self, Resource},
};
use crate::source::text::{
    Parsed,
    envelope::{
        prefix::{self, Stamp},
        trace_head::{self, Head},
    },
    scan::{last_word, word},
};

/// The tracepoint's name.
pub(in crate::source::text) const EVENT: &[u8] = b"devres_log";

/// A line of the tracepoint.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::text) struct TraceLine<'a> {
    pub(in crate::source::text) head: Head,
    /// The device's name; `None` for `(null)`.
    pub(in crate::source::text) device: Option<&'a [u8]>,
    pub(in crate::source::text) operation: OperationWord,
    pub(in crate::source::text) resource: Resource<'a>,
}

impl TraceLine<'_> {
    /// The address of the operation's name, where that stands in its place.
    pub(in crate::source::text) fn address(&self) -> Option<u64> {
        match self.operation {
            OperationWord::At(address) => Some(address),
            OperationWord::Named(_) => None,
        }
    }
}

/// Where [`EVENT`], which `finder` finds, stands as an event's name.
pub(in crate::source::text) fn find(line: &[u8], finder: &Finder<'_>) -> Option<usize> {
    finder
        .find_iter(line)
        .find(|at| matches!(line.get(at + EVENT.len()), Some(b':' | b'(')))
}

/// Reads a line in which [`EVENT`] begins at `at`.
pub(in crate::source::text) fn read(line: &[u8], at: usize) -> Parsed<TraceLine<'_>> {
    let Some((before, rest)) = line.split_at_checked(at) else {
        return Parsed::Other;
    };
    let words = match rest.get(EVENT.len()..).unwrap_or_default() {
        [b'(', fields @ ..] if memmem::find(fields, b"op: ").is_some() => {
            return perf_trace::read(before, fields);
        }
        [b':' | b'(', words @ ..] => words,
        _ => return Parsed::Other,
    };
    // Some tools write the trace system and a colon before the name.
    let before = match last_word(before) {
        Some((before_system, system))
            if before.ends_with(system)
                && system.ends_with(b":")
                && !trace_head::is_time(system) =>
        {
            before_system
        }
        _ => before,
    };
    let Some((device, operation, rest)) = operation(words) else {
        // Cut within or before the operation: short, and without the end.
        return if resource::end(words).is_none() {
            Parsed::Cut
        } else {
            Parsed::Other
        };
    };
    match resource::read(rest) {
        Some(resource) => Parsed::Event(TraceLine {
            head: trace_head::head_of_any(before),
            device: (!device.is_empty() && device != b"(null)").then_some(device),
            operation,
            resource,
        }),
        None => Parsed::Cut,
    }
}

/// What follows the line's event, if that reports another one: lines that lost their ends.
pub(in crate::source::text) fn behind(line: &[u8], at: usize) -> Option<&[u8]> {
    let rest = line.get(at..)?;
    let end = resource::end(rest)?;
    let rest = rest.get(end..)?;
    memmem::find(rest, EVENT).is_some().then_some(rest)
}

/// What stands in a line of which only the event's own words are left.
pub(in crate::source::text) const BARE: &str = " bytes)";

/// Reads a line of which only the event's own words are left, as `perf script -F trace` prints them.
pub(in crate::source::text) fn read_bare(line: &[u8]) -> Option<TraceLine<'_>> {
    let (prefix, words) = prefix::split(line);
    let (device, operation, rest) = operation(words)?;
    // Without anything that names the event, two addresses in a row may be anybody's.
    let is_named = matches!(operation, OperationWord::Named(_));
    let resource = resource::read(rest).filter(|node| is_named && node.is_plausible())?;
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b')' | b'{');
    let named = !device.is_empty() && device.iter().all(is_name);
    (named && rest.ends_with(resource::END)).then(|| TraceLine {
        head: Head {
            time: match prefix.time {
                Some(Stamp::At(time)) => Some(time),
                _ => None,
            },
            ..Head::default()
        },
        device: Some(device),
        operation,
        resource,
    })
}

/// The device's name, which may contain blanks, the operation and what follows it.
fn operation(words: &[u8]) -> Option<(&[u8], OperationWord, &[u8])> {
    let mut rest = words;
    let mut unnamed = None;
    while let Some((first, behind)) = word(rest) {
        let device = words.get(..words.len() - behind.len() - first.len())?;
        let device = device.trim_ascii();
        match OperationWord::read(first) {
            Some(operation @ OperationWord::Named(_)) => return Some((device, operation, behind)),
            Some(operation) if begins_with_node(behind) => {
                if !device.is_empty() {
                    return Some((device, operation, behind));
                }
                // The device has no name, or one that looks like an address.
                unnamed = Some((device, operation, behind));
            }
            Some(_) | None => {}
        }
        rest = behind;
    }
    unnamed
}

/// Whether words begin with an address. Otherwise the address in front of them is the node's, and the operation is missing.
fn begins_with_node(words: &[u8]) -> bool {
    word(words).is_some_and(|(first, _)| resource::pointer(first).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Comm, Task},
        source::text::record::resource::{Operation, Pointer},
    };

    fn task(comm: &str, thread: u32, process: u32) -> Task {
        Task {
            tid: thread,
            tgid: process,
            comm: Comm::new(comm),
        }
    }

    #[test]
    fn an_events_own_words_are_enough() {
        for (line, is_event) in [
            ("x ADD 0000000000000001 a (8 bytes)", true),
            ("> [ 1.5] x REL 0000000000000001 a (8 bytes)", true),
            ("x ADD a (8 bytes)", false),
            ("x y ADD 0000000000000001 a (8 bytes)", false),
            ("ADD 0000000000000001 a (8 bytes)", false),
            ("x ADD 0000000000000001 a (8 bytes) and more", false),
            ("x add 0000000000000001 a (8 bytes)", false),
        ] {
            assert_eq!(read_bare(line.as_bytes()).is_some(), is_event, "{line}");
        }
    }

    #[test]
    fn other_heads_are_read_before_the_tracepoint() {
        for (before, time, task) in [
            ("[    2.000010] ", 2_000_010_000, Task::default()),
            ("[    2.000010][  T171] ", 2_000_010_000, task("", 171, 171)),
            (
                "     0.010 kworker/u8:3/171 dev:",
                10_000,
                task("kworker/u8:3", 171, 171),
            ),
        ] {
            let line = format!("{before}devres_log:x ADD 0000000000000001 a (8 bytes)");
            let at = line.find("devres_log").unwrap();
            let Parsed::Event(found) = read(line.as_bytes(), at) else {
                panic!("{line}");
            };
            assert_eq!(found.head.time, Some(time), "{line}");
            assert_eq!(found.head.task, task, "{line}");
            assert_eq!(found.device, Some(&b"x"[..]), "{line}");
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
                assert_eq!(found.operation, OperationWord::Named(Operation::Release));
                assert_eq!(found.resource.node, Pointer::Long(0x1234_5678));
            }
        }
    }
}
