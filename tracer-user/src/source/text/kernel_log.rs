//! Lines of the kernel's log: `snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 grp< (0 bytes)`.

use memchr::{memmem, memrchr};

use super::{
    Parsed,
    prefix::{self, Prefix},
    resource::{self, Operation, Resource},
    scan::{last_word, word},
};

/// The word that the kernel begins such a message with.
pub(super) const WORD: &[u8] = b"DEVRES";

/// A line of the kernel's log that tells of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KernelLine<'a> {
    pub(super) prefix: Prefix,
    pub(super) who: Who<'a>,
    pub(super) operation: Operation,
    pub(super) resource: Resource<'a>,
}

/// The device that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who<'a> {
    /// The driver's name; of a device without one its bus's or class's.
    pub(super) driver: Option<&'a [u8]>,
    /// The device's name; `None` for `(null)`.
    pub(super) device: Option<&'a [u8]>,
}

/// Reads a line in which [`WORD`] begins at `at`.
pub(super) fn read(line: &[u8], at: usize) -> Parsed<KernelLine<'_>> {
    let Some((before, message)) = line.split_at_checked(at) else {
        return Parsed::Other;
    };
    let Some((prefix, who)) = subject(before) else {
        return Parsed::Other;
    };
    let message = message.get(WORD.len()..).unwrap_or_default();
    let Some((operation, rest)) = word(message) else {
        return Parsed::Cut;
    };
    let Some(operation) = Operation::named(operation) else {
        return Parsed::Other;
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

/// The prefix and the device in what stands before a message: `[    1.000000] lm75 0-0048: `.
pub(super) fn subject(before: &[u8]) -> Option<(Prefix, Who<'_>)> {
    let (mut prefix, mut rest) = prefix::split(before);
    if prefix.time.is_none()
        && let Some(bracket) = memrchr(b'[', rest)
        && let Some(inner) = rest.get(bracket..)
    {
        // Something unknown stands before the time.
        let (behind, inner) = prefix::split(inner);
        if behind.time.is_some() {
            (prefix, rest) = (behind, inner);
        }
    }
    let mut rest = rest.trim_ascii_end();
    while let Some((before, last)) = last_word(rest)
        && resource::pointer(last).is_some()
    {
        rest = before.trim_ascii_end();
    }
    let named = rest.strip_suffix(b":")?.trim_ascii_end();
    if named.ends_with(b"(NULL device *)") {
        let who = Who {
            driver: None,
            device: None,
        };
        return Some((prefix, who));
    }
    let (driver, device) = last_word(named)?;
    let driver = journal(driver.trim_ascii());
    let driver = memmem::rfind(driver, b": ")
        .and_then(|colon| driver.get(colon + 2..))
        .unwrap_or(driver);
    let who = Who {
        driver: (!driver.is_empty()).then_some(driver),
        device: (device != b"(null)").then_some(device),
    };
    Some((prefix, who))
}

/// `{"MESSAGE":"lm75`, `MESSAGE=lm75`: what the journal's other formats write in front.
fn journal(driver: &[u8]) -> &[u8] {
    match memmem::rfind(driver, b"MESSAGE") {
        Some(at) => {
            let rest = driver.get(at + b"MESSAGE".len()..).unwrap_or_default();
            let is_mark = |byte: &u8| matches!(byte, b'"' | b' ' | b':' | b'=');
            let start = rest.iter().position(|byte| !is_mark(byte));
            start
                .and_then(|start| rest.get(start..))
                .unwrap_or_default()
        }
        None => driver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::{prefix::Stamp, resource::Pointer};

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
            ("DEVRES ADD 00000000323ccdc5 x (8 bytes)", false),
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
