//! The table of what goes on in the next line.

use crate::source::text::{
    envelope::{prefix, trace_head},
    record::{
        function_line, kernel_log,
        line::{Ending, EventFinder},
        message, refusal, splat,
    },
};

/// How a line can begin that goes on in the next.
pub(super) struct Form {
    /// Whether a line begins so; of one that ends [`Open`](Ending::Open) it is known that its event is cut off.
    begins: fn(line: &[u8], ending: Ending) -> bool,
    pub(super) rest: Rest,
    /// Such lines, and which rest follows them.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is tested by"))]
    examples: &'static [[&'static str; 2]],
}

/// What the rest of such a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// It says nothing of what begins an event.
    Silent,
    /// It says something of an event: what the line before lacks to be one.
    Telling,
    /// It begins with an argument.
    Arguments,
}

/// The first form that a line has is its own.
static FORMS: [Form; 5] = [
    // An event is cut off: anywhere behind the words that it is known by.
    Form {
        begins: |_, ending| ending == Ending::Open,
        rest: Rest::Silent,
        examples: &[
            [
                "[  1.0] snd 0-1f: DEVRES ADD",
                "00000000323ccdc5 devm_component_match_release (24 bytes)",
            ],
            [
                "> [  1.0] snd 0-1f: DEVRES ADD 00000000323ccdc5 devm_compo",
                "> nent_match_release (24 bytes)",
            ],
            [
                "sh-1 [000] d..1. 1.0: devres_log:",
                "x ADD 0000000000000001 a (8 bytes)",
            ],
            [
                "sh-1 [000] ..... 1.0: p: (device_del+0x4/0x3e0",
                "<ffffffff8191a634>) dev=0x10",
            ],
        ],
    },
    // The arguments of a call are on the next line.
    Form {
        begins: |_, ending| ending == Ending::Arguments,
        rest: Rest::Arguments,
        examples: &[
            [
                "sh-1 [000] ..... 1.0: p: (device_del+0x4/0x3e0)",
                "dev=0x10",
            ],
            [
                "sh-1 [000] ..... 1.0: p_device_del_0: __probe_ip=0xffffffffb7725404 (-1217244156)",
                "dev=0xff1290f47e674c00 (-66831664690017280)",
            ],
        ],
    },
    // A message has only its time, and perhaps its driver and its device.
    Form {
        begins: |line, _| kernel_log::may_begin(line) && !splat::introduces(line),
        rest: Rest::Telling,
        examples: &[
            [
                "[  1.0] snd 0-1f:",
                "DEVRES ADD 00000000323ccdc5 a (24 bytes)",
            ],
            [
                "[  1.0] snd",
                "0-1f: DEVRES ADD 00000000323ccdc5 a (24 bytes)",
            ],
            [
                "[  1.0]",
                "snd 0-1f: DEVRES ADD 00000000323ccdc5 a (24 bytes)",
            ],
            ["[  1.0] pci", "0-1f: Resources present before probing"],
        ],
    },
    // A trace line has no event: only the time, perhaps the event's name behind it, or not even the time.
    Form {
        begins: |line, _| trace_head::may_begin(line),
        rest: Rest::Telling,
        examples: &[
            [
                "> sh-1 [000] d..1. 1.0:",
                "> devres_log: x ADD 0000000000000001 a (8 bytes)",
            ],
            [
                "sh-1 [000] d..1.",
                "1.0: devres_log: x ADD 0000000000000001 a (8 bytes)",
            ],
            [
                "sh-1 [000] ..... 1.0: p:",
                "(device_del+0x4/0x3e0 <ffffffff8191a634>) dev=0x10",
            ],
        ],
    },
    // A refused probe is reported by four words.
    Form {
        begins: |line, _| refusal::may_begin(line),
        rest: Rest::Telling,
        examples: &[
            ["[  1.0] pci 0-1f: Resources", "present before probing"],
            ["[  1.0] pci 0-1f: Resources present before", "probing"],
        ],
    },
];

/// The form of a line that may go on in the next.
pub(super) fn begun(line: &[u8], ending: Ending) -> Option<&'static Form> {
    if ending == Ending::Whole {
        return None;
    }
    FORMS.iter().find(|form| (form.begins)(line, ending))
}

/// Whether a line, of which `rest` has no marks of quotation, looks like this rest of the one before.
pub(super) fn is_rest(finder: &EventFinder, form: Rest, line: &[u8], rest: &[u8]) -> bool {
    if form == Rest::Arguments {
        return function_line::goes_on_with_argument(rest);
    }
    let timed = trace_head::begins_with_time(rest);
    let tells = timed
        || finder.names_node(line)
        || message::is_whole(line)
        || function_line::goes_on(rest)
        || refusal::goes_on(rest);
    let is_own = !timed && prefix::split(line).0.logged || finder.is_whole_call(line);
    !is_own && tells == (form == Rest::Telling)
}

#[cfg(test)]
mod tests {
    use super::{super::Wrapped, *};

    fn joined(lines: &[&str]) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut each =
            |line: &[u8], count| found.push((String::from_utf8_lossy(line).into_owned(), count));
        let mut wrapped = Wrapped::default();
        for line in lines {
            wrapped.line(line.as_bytes(), 1, &mut each);
        }
        wrapped.finish(&mut each);
        found
    }

    #[test]
    fn every_example_is_one_line_and_has_its_form() {
        for form in &FORMS {
            for lines in form.examples {
                let found = joined(lines);
                let [(whole, 2)] = &found[..] else {
                    panic!("{lines:?}: {found:?}");
                };
                assert!(whole.starts_with(lines[0]), "{whole}");
                let finder = EventFinder::default();
                let ending = finder.ending(lines[0].as_bytes());
                let own = begun(lines[0].as_bytes(), ending);
                let own = own.map(|own| own.examples);
                assert_eq!(own, Some(form.examples), "{lines:?}");
            }
        }
    }

    #[test]
    fn what_has_a_beginning_of_its_own_is_no_rest() {
        let next = "[  2.0] usb 1-1: new device";
        for form in &FORMS {
            for [first, _] in form.examples {
                let expected = [first, next].map(|line| (line.to_owned(), 1));
                assert_eq!(joined(&[first, next]), expected);
            }
        }
    }

    #[test]
    fn a_call_does_not_grow_without_end() {
        let call = "sh-1 [000] ..... 1.0: p: (device_del+0x4/0x3e0)";
        let lines = [&[call][..], &["dev=0x10"; 1000]].concat();
        let found = joined(&lines);
        assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 1001);
        assert!(found.iter().all(|(line, _)| line.len() < 4096));
    }

    #[test]
    fn nothing_is_lost_at_the_end_or_behind_too_many_lines() {
        let begun = "[  1.0] snd 0-1f: DEVRES ADD 00000000323ccdc5";
        assert_eq!(joined(&[begun]), [(begun.to_owned(), 1)]);
        let lines = [&[begun][..], &["more"; 9]].concat();
        let found = joined(&lines);
        assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 10);
        assert_eq!(found[0].1, 5, "{found:?}");
    }
}
