//! Lines of the kernel's log: `snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 grp< (0 bytes)`.

use memchr::{memchr, memmem, memrchr};

use super::{
    message,
    resource::{self, Operation, Resource},
};
use crate::{
    finding,
    source::text::{
        Parsed,
        envelope::prefix::{self, Prefix},
        scan::{last_word, word},
    },
};

/// The word that the kernel begins such a message with.
pub(in crate::source::text) const WORD: &[u8] = b"DEVRES";

/// A line of the kernel's log that reports a node.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::text) struct KernelLine<'a> {
    pub(in crate::source::text) prefix: Prefix,
    pub(in crate::source::text) who: Who<'a>,
    pub(in crate::source::text) operation: Operation,
    pub(in crate::source::text) resource: Resource<'a>,
}

/// The device that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Who<'a> {
    /// The driver's name; of a device without one its bus's or class's.
    pub(in crate::source::text) driver: Option<&'a [u8]>,
    /// The device's name; `None` for `(null)`.
    pub(in crate::source::text) device: Option<&'a [u8]>,
}

/// What a device is called whose name was cut off.
const UNKNOWN: &[u8] = finding::UNKNOWN.as_bytes();

/// A device that has no name.
const NOBODY: Who<'static> = Who {
    driver: None,
    device: None,
};

/// Reads a line in which [`WORD`] begins at `at`.
pub(in crate::source::text) fn read(line: &[u8], at: usize) -> Parsed<KernelLine<'_>> {
    let Some((before, message)) = line.split_at_checked(at) else {
        return Parsed::Other;
    };
    let message = message.get(WORD.len()..).unwrap_or_default();
    let Some((prefix, who)) = subject(before).or_else(|| without_subject(before, message)) else {
        return Parsed::Other;
    };
    let Some((operation, rest)) = word(message) else {
        return Parsed::Cut;
    };
    let Some(operation) = Operation::named(operation) else {
        let is_cut = rest.trim_ascii().is_empty() && Operation::begins_with(operation);
        return if is_cut { Parsed::Cut } else { Parsed::Other };
    };
    match resource::read(rest) {
        Some(resource) => Parsed::Event(KernelLine {
            prefix,
            who,
            operation,
            resource,
        }),
        None => Parsed::Cut,
    }
}

/// What follows the line's event, if that reports another one, or may begin one: lines that lost their ends.
pub(super) fn behind(line: &[u8], at: usize) -> Option<&[u8]> {
    let rest = line.get(at..)?;
    let end = resource::end(rest)?;
    let rest = rest.get(end..).filter(|rest| !rest.is_empty())?;
    let tells = memmem::find(rest, WORD).is_some() || message::is_whole(rest) || may_begin(rest);
    tells.then_some(rest)
}

/// Parts a line after the end of an event that began in the line before, where another one follows in it.
pub(in crate::source::text) fn part(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = resource::end(line)?;
    let (first, rest) = line.split_at_checked(end)?;
    let parts = memmem::find(first, WORD).is_none() && !rest.trim_ascii().is_empty();
    parts.then_some((first, rest))
}

/// Longest beginning of a message that does not say yet that it is one.
const LONGEST_HEAD: usize = 160;

/// Whether a line can be the beginning of a message that was wrapped before its first telling word: a prefix with a time,
/// and of the rest nothing, only a driver, or a driver and a device.
pub(in crate::source::text) fn may_begin(line: &[u8]) -> bool {
    if line.len() > LONGEST_HEAD {
        return false;
    }
    let (prefix, rest) = prefix::split(line);
    if prefix.time.is_none() {
        return false;
    }
    let mut words = rest.split(u8::is_ascii_whitespace);
    let second = (words.next(), words.next()).1;
    words.next().is_none()
        && second.is_none_or(|device| device.ends_with(b":"))
        // A frame of a stack is one word, too.
        && memmem::find(rest, b"+0x").is_none()
}

/// A whole event of a device that the line does not name: its beginning was taken off.
fn without_subject<'a>(before: &'a [u8], message: &[u8]) -> Option<(Prefix, Who<'a>)> {
    let (prefix, rest) = prefix::split(before);
    let (operation, resource) = word(message)?;
    Operation::named(operation)?;
    let known = resource::read(resource)?;
    let who = Who {
        driver: None,
        device: Some(UNKNOWN),
    };
    (rest.is_empty() && known.node.value() != 0).then_some((prefix, who))
}

/// The prefix and the device in what stands before a message: `[    1.000000] lm75 0-0048: `.
pub(in crate::source::text) fn subject(before: &[u8]) -> Option<(Prefix, Who<'_>)> {
    let (prefix, rest) = beginning(before);
    let mut rest = rest.trim_ascii_end();
    while let Some((before, last)) = last_word(rest)
        && resource::pointer(last).is_some()
    {
        rest = before.trim_ascii_end();
    }
    let named = rest.strip_suffix(b":")?.trim_ascii_end();
    if named.ends_with(b"(NULL device *)") {
        return Some((prefix, NOBODY));
    }
    let (driver, device) = last_word(named)?;
    // The kernel writes one blank between them: more of them part lines that lost their ends.
    let driver = if driver.ends_with(b"  ") {
        &b""[..]
    } else {
        driver_alone(driver.trim_ascii())
    };
    let device = match device
        .iter()
        .rposition(|byte| matches!(byte, b'"' | b'=' | b'`'))
    {
        Some(at) => device.get(at + 1..).unwrap_or_default(),
        None => device,
    };
    let who = Who {
        driver: (!driver.is_empty()).then_some(driver),
        device: (device != b"(null)").then_some(device),
    };
    Some((prefix, who))
}

/// The last prefix with a time in a line, and what follows it: something unknown may stand before it, even
/// another line that lost its end.
pub(in crate::source::text) fn beginning(line: &[u8]) -> (Prefix, &[u8]) {
    let (prefix, rest) = prefix::split(line);
    let mut before = rest;
    // Behind the time's brackets are the thread's, and those of a frame's module.
    for _ in 0..4 {
        let Some(bracket) = memrchr(b'[', before) else {
            break;
        };
        let (outside, _) = before.split_at(bracket);
        let (behind, inner) = prefix::split(rest.get(bracket..).unwrap_or_default());
        if behind.time.is_some() && is_time(before.get(bracket..).unwrap_or_default()) {
            return (behind, inner);
        }
        before = outside;
    }
    if prefix.time.is_none()
        && let Some(behind) = prefix::behind_unknown(line)
    {
        return behind;
    }
    (prefix, rest)
}

/// Whether brackets have a time and no other number.
fn is_time(bracket: &[u8]) -> bool {
    let end = memchr(b']', bracket).unwrap_or(bracket.len());
    let content = bracket.get(..end).unwrap_or_default();
    content.iter().any(|byte| matches!(byte, b'.' | b':'))
}

/// Leaves out what is no driver's name: what other formats write in front of the message, a shell's prompt, the
/// name of a file.
fn driver_alone(driver: &[u8]) -> &[u8] {
    let is_no_part = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'\'' | b'`' | b'=' | b':' | b'$' | b'#' | b'>' | b')' | b']' | b'|'
        )
    };
    match driver.iter().rposition(is_no_part) {
        Some(at) => driver.get(at + 1..).unwrap_or_default().trim_ascii_start(),
        None => driver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::{envelope::prefix::Stamp, record::resource::Pointer};

    fn found(line: &str) -> KernelLine<'_> {
        let at = line.find("DEVRES").unwrap();
        match read(line.as_bytes(), at) {
            Parsed::Event(found) => found,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn who<'a>(driver: &'a str, device: &'a str) -> Who<'a> {
        let some = |text: &'a str| (!text.is_empty()).then_some(text.as_bytes());
        Who {
            driver: some(driver),
            device: some(device),
        }
    }

    #[test]
    fn devices_are_named_with_and_without_drivers() {
        for (before, expected) in [
            ("[    1.000000] lm75 0-0048: ", who("lm75", "0-0048")),
            ("mlx: ", who("", "mlx")),
            ("[ 1.0] (NULL device *): ", who("", "")),
            (
                r#"{"_X":"1","MESSAGE":"lm75 0-0048: "#,
                who("lm75", "0-0048"),
            ),
            ("MESSAGE=lm75 0-0048: ", who("lm75", "0-0048")),
            ("  mlx: ", who("", "mlx")),
            (
                "Mar 10 21:52:21 pc kernel: mei 0000:00:16.0-fbf6-96cf: ",
                who("mei", "0000:00:16.0-fbf6-96cf"),
            ),
            ("> [ ] platform foo: ", who("platform", "foo")),
            ("[ 1.0] platform (null): ", who("platform", "")),
            ("Generic PHY fixed-0:00: ", who("Generic PHY", "fixed-0:00")),
            (
                "ci-console | x y: [ 1.0] lm75 0-0048: ",
                who("lm75", "0-0048"),
            ),
            (
                "[ 1.0] lm75 0-0048: ffff888103b2c000 ",
                who("lm75", "0-0048"),
            ),
        ] {
            let line = format!("{before}DEVRES ADD 00000000323ccdc5 x (8 bytes)");
            assert_eq!(found(&line).who, expected, "{line}");
        }
    }

    #[test]
    fn what_stands_before_a_driver_is_no_part_of_it() {
        for before in [
            "[ 1.0] usb 1-1: new device[ 1.1] ",
            "[ 1.0] usb 1-1: new device[ 1.1][  T12] ",
            "time=\"2023-03-10T21:52:21Z\" level=error msg=\"",
            "2023-03-10T21:52:21Z,pc,kernel,err,\"",
            "root@pc:~# ",
            "user@pc:/tmp$ ",
            "dmesg.txt:12:",
            "<td>",
            "Mar 10 21:52:21 pc kernel[123]: ",
            "`",
            "{\"log\":\"",
        ] {
            let line = format!("{before}lm75 0-0048: DEVRES ADD 00000000323ccdc5 x (8 bytes)");
            assert_eq!(found(&line).who, who("lm75", "0-0048"), "{line}");
        }
        let line = found(
            "[ 1.0] a b: c[ 1.5][  T12] lm75 0-0048: DEVRES ADD 00000000323ccdc5 x (8 bytes)",
        );
        assert_eq!(line.prefix.time, Some(Stamp::At(1_500_000_000)));
    }

    #[test]
    fn a_time_is_found_behind_what_is_unknown() {
        let line = b"console/3: [    1.500000][  T12]  demo_off+0x14/0x40 [demo]";
        let (prefix, rest) = beginning(line);
        assert_eq!(prefix.time, Some(Stamp::At(1_500_000_000)));
        assert_eq!(prefix.thread, Some(12));
        assert_eq!(rest, b"demo_off+0x14/0x40 [demo]");
    }

    #[test]
    fn a_line_without_its_subject_is_of_an_unknown_device() {
        for before in ["", "> ", "[ 1.0] "] {
            let line = format!("{before}DEVRES ADD 00000000323ccdc5 x (8 bytes)");
            assert_eq!(found(&line).who, who("", "an unknown device"), "{line}");
        }
    }

    #[test]
    fn what_follows_an_event_is_found() {
        let line = b"a b: DEVRES ADD 0000000000000001 x (8 bytes)[ 2.0] a b: DEVRES REL";
        assert_eq!(behind(line, 5), Some(&b"[ 2.0] a b: DEVRES REL"[..]));
        assert_eq!(behind(line, 50), None);
    }

    #[test]
    fn a_line_is_read_whole() {
        let line =
            found("[  126.886032] snd 0000:00:1f.3: DEVRES REL 00000000323ccdc5 grp< (0 bytes)");
        assert_eq!(line.prefix.time, Some(Stamp::At(126_886_032_000)));
        assert_eq!(line.operation, Operation::Release);
        let resource = Resource {
            node: Pointer::Long(0x323c_cdc5),
            name: Some(b"grp<"),
            size: 0,
        };
        assert_eq!(line.resource, resource);
    }

    #[test]
    fn prose_and_cut_lines_are_told_apart() {
        for (line, cut) in [
            ("as the DEVRES lines show", false),
            ("x: DEVRES lines (3 bytes)", false),
            ("DEVRES ADD lines (8 bytes)", false),
            ("x: DEVRES RE", true),
            ("x: DEVRES", true),
            ("x: DEVRES ADD", true),
            ("x: DEVRES ADD 00000000323ccdc5 devm_", true),
        ] {
            let at = line.find("DEVRES").unwrap();
            let is_cut = match read(line.as_bytes(), at) {
                Parsed::Cut => true,
                Parsed::Other => false,
                Parsed::Event(event) => panic!("{event:?}"),
            };
            assert_eq!(is_cut, cut, "{line}");
        }
    }
}
