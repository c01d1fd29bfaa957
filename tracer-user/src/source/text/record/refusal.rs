//! The message with which the driver core refuses to probe a device that has resources already.

use memchr::memmem;

use super::{
    buses::is_bus,
    kernel_log::{self, Who},
    message::{self, BEGINNING, REFUSED},
};
use crate::source::text::envelope::prefix::Prefix;

/// `really_probe()` refused to probe a device that already owned resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Refused<'a> {
    pub(in crate::source::text) prefix: Prefix,
    /// The device.
    pub(in crate::source::text) who: Who<'a>,
}

/// Reads the message, with the device that it names.
pub(in crate::source::text) fn read(line: &[u8]) -> Option<Refused<'_>> {
    let at = memmem::find(line, REFUSED.as_bytes())?;
    let (before, behind) = line.split_at_checked(at)?;
    let (prefix, who) = kernel_log::subject(before)?;
    let behind = behind.get(REFUSED.len()..)?;
    names_a_device(before, &prefix, who, behind).then_some(Refused { prefix, who })
}

/// Whether what stands before and behind the words of a refusal is a message, and no prose or source about one.
/// The kernel writes the bus, in one word, and the device. A log's prefix says that they are those; without it they must
/// look like them, and nothing else may be there.
fn names_a_device(before: &[u8], prefix: &Prefix, who: Who<'_>, behind: &[u8]) -> bool {
    let parts = [who.driver, who.device].into_iter().flatten();
    if parts
        .flatten()
        .any(|byte| matches!(byte, b'%' | b'(' | b'"'))
    {
        return false;
    }
    let (_, subject) = kernel_log::beginning(before);
    let words = subject.trim_ascii_start().split(u8::is_ascii_whitespace);
    let words = words.filter(|word| !word.is_empty()).count();
    let Some(device) = who.device else {
        return false;
    };
    let Some(bus) = who.driver else {
        return prefix.logged && words == 1;
    };
    if is_in_a_sentence(subject, bus) {
        return false;
    }
    let first = bus.split(u8::is_ascii_whitespace).next().unwrap_or(bus);
    let is_known = |bus: &[u8]| std::str::from_utf8(bus).is_ok_and(is_bus);
    let can_be_bus = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    let possible = words == 2 && bus.iter().all(can_be_bus);
    if prefix.logged {
        // Some devices have names of several words: `platform Fixed MDIO bus.0`.
        let has_long_name = is_known(first) && subject.trim_ascii_start().starts_with(bus);
        return is_known(bus) || possible || has_long_name;
    }
    let is_mark = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b'.' | b',' | b')' | b' ');
    let ends = behind.first() == Some(&b'<') || behind.iter().all(is_mark);
    let has_number = device.iter().any(u8::is_ascii_digit);
    ends && (is_known(bus) || possible && has_number)
}

/// Whether the bus is quoted in the middle of a sentence: then somebody writes about the message, perhaps that it is gone.
fn is_in_a_sentence(subject: &[u8], bus: &[u8]) -> bool {
    let before = memmem::rfind(subject, bus).and_then(|at| subject.get(..at));
    let Some([said @ .., b'"' | b'\'' | b'`']) = before else {
        return false;
    };
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b',';
    said.ends_with(b" ") && said.trim_ascii_end().last().is_some_and(is_word)
}

/// Whether a line ends where the rest of the message can have been wrapped to the next.
pub(in crate::source::text) fn may_begin(line: &[u8]) -> bool {
    [
        &b"Resources"[..],
        b"Resources present",
        b"Resources present before",
    ]
    .iter()
    .any(|beginning| line.ends_with(beginning))
        && memmem::find(line, BEGINNING.as_bytes()).is_some()
}

/// Whether a line begins with the end of the message that was wrapped.
pub(in crate::source::text) fn goes_on(line: &[u8]) -> bool {
    ["present before probing", "before probing", "probing"]
        .iter()
        .any(|end| line.starts_with(end.as_bytes()))
}

/// What follows the first message of a line, if that reports another one: lines that lost their ends.
pub(in crate::source::text) fn behind(line: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(line, REFUSED.as_bytes())?;
    let rest = line.get(at + REFUSED.len()..)?;
    message::is_whole(rest).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_probes_name_their_device() {
        for (line, driver, device) in [
            (
                "  pci 0000:00:00.2: Resources present before probing",
                "pci",
                "0000:00:00.2",
            ),
            (
                "[ 7550.642171] platform thinkpad_acpi: Resources present before probing",
                "platform",
                "thinkpad_acpi",
            ),
            (
                "[    3.252885] platform Fixed MDIO bus.0: Resources present before probing",
                "platform Fixed MDIO",
                "bus.0",
            ),
            (
                "  CRIT KERN spi spi0.0: Resources present before probing",
                "spi",
                "spi0.0",
            ),
        ] {
            let Some(Refused { who, .. }) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(who.driver, Some(driver.as_bytes()), "{line}");
            assert_eq!(who.device, Some(device.as_bytes()), "{line}");
        }
    }

    #[test]
    fn prose_and_source_are_no_refusal() {
        for line in [
            "Subject: Re: spi: Resources present before probing",
            "Subject: [PATCH] driver core: Resources present before probing",
            "Bug 1234: Resources present before probing",
            "following error: Resources present before probing",
            "[PATCH] driver core: Resources present before probing",
            "The second probe fails with: Resources present before probing",
            "+\tdev_crit(dev, \"%s: Resources present before probing\\n\", drv->name);",
            "pci 0000:00:00.2: Resources present before probing it again",
            "it says `pci 0000:00:00.2: Resources present before probing'.",
            "With this there is no \"pci 0000:00:00.2: Resources present before probing\"",
            "[12:31:05] bob: I see pci 0000:00:00.2: Resources present before probing",
            "2026-11-30 11:22 bob: the log says demo.0: Resources present before probing",
            "Nov 30 11:22:33 bot: bob says spi spi0.0: Resources present before probing",
            "<4>I see here: spi0.0: Resources present before probing",
            "[   12.345678] is when it says pci 0000:00:00.2: Resources present before probing",
            "ERROR: test failed because of spi spi0.0: Resources present before probing",
            "Nov 30 11:22:33 host test[12]: checking for: Resources present before probing",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        for line in [
            "\"pci 0000:00:00.2: Resources present before probing\"",
            "new_bus 0000:00:00.2: Resources present before probing",
            "<td>pci 0000:00:00.2: Resources present before probing</td>",
            "[    1.000000] foo 0000:00:00.2: Resources present before probing, says it",
        ] {
            let Some(Refused { who, .. }) = read(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(who.device, Some(&b"0000:00:00.2"[..]), "{line}");
        }
    }
}
