//! The words of `devres_log`, the same in the kernel's log and in traces: `ADD 00000000c79e61af
//! devm_kzalloc_release (40 bytes)`.

use memchr::memchr_iter;

use crate::source::text::scan::{decimal, hexadecimal, word};

/// What stands at the end of a node.
pub(in crate::source::text) const END: &[u8] = b"bytes)";

/// What happened to a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::text) enum Operation {
    #[default]
    Add,
    Remove,
    Release,
    Replace,
}

impl Operation {
    pub(in crate::source::text) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"ADD" => Some(Self::Add),
            b"REM" => Some(Self::Remove),
            b"REL" => Some(Self::Release),
            b"REPLACE" => Some(Self::Replace),
            _ => None,
        }
    }

    /// Whether this is the beginning of an operation's name.
    pub(in crate::source::text) fn begins_with(beginning: &[u8]) -> bool {
        [&b"ADD"[..], b"REM", b"REL", b"REPLACE"]
            .iter()
            .any(|name| name.starts_with(beginning))
    }
}

/// How a pointer was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum Pointer {
    /// Not at all, or as `(ptrval)`.
    Absent,
    /// In eight digits: a hash, or the address on a 32-bit kernel.
    Short(u64),
    /// In sixteen digits, or with `0x`.
    Long(u64),
}

impl Pointer {
    /// The value; zero where there is none.
    pub(in crate::source::text) fn value(self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Short(value) | Self::Long(value) => value,
        }
    }
}

/// A node, as `devres_log` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Resource<'a> {
    pub(in crate::source::text) node: Pointer,
    pub(in crate::source::text) name: Option<&'a [u8]>,
    pub(in crate::source::text) size: u64,
}

impl Resource<'_> {
    /// Whether it looks as the kernel prints it: with an address, and a name of one word or of a cast.
    pub(in crate::source::text) fn is_plausible(&self) -> bool {
        let one_word = |name: &[u8]| name.starts_with(b"(") || !name.contains(&b' ');
        self.node != Pointer::Absent && self.name.is_some_and(one_word)
    }
}

/// Where the first node in a text ends.
pub(in crate::source::text) fn end(text: &[u8]) -> Option<usize> {
    let mut ends = memchr_iter(b')', text).map(|at| at + 1);
    ends.find(|end| text.get(..*end).is_some_and(|node| node.ends_with(END)))
}

/// Reads what follows the operation. Text behind the size is somebody's remark, or another address.
pub(in crate::source::text) fn read(text: &[u8]) -> Option<Resource<'_>> {
    let end = end(text)? - END.len();
    let counted = text.get(..end)?.trim_ascii_end();
    let open = counted.iter().rposition(|byte| *byte == b'(')?;
    let size = decimal(counted.get(open + 1..)?.trim_ascii())?;
    let mut name = counted.get(..open)?.trim_ascii();
    let mut node = Pointer::Absent;
    // There may be another address beside the node's.
    while let Some((first, rest)) = word(name) {
        let no_node = first == b"(null)" && node == Pointer::Absent && !rest.is_empty();
        let pointer = match pointer(first) {
            Some(pointer) => pointer,
            None if no_node => Pointer::Absent,
            None => break,
        };
        if node == Pointer::Absent {
            node = pointer;
        }
        name = rest.trim_ascii_start();
    }
    Some(Resource {
        node,
        name: (!name.is_empty() && name != b"(null)").then_some(trusted(name)),
        size,
    })
}

/// The name in `(0xffffffffc060e715:ata_host_stop)[UNSAFE-MEMORY]`: up to 6.12 the kernel prints so what a module's string
/// says, because it may not be there any more.
fn trusted(name: &[u8]) -> &[u8] {
    let inner = name
        .strip_suffix(b")[UNSAFE-MEMORY]")
        .and_then(|name| name.strip_prefix(b"(0x"));
    let text = inner.and_then(|inner| {
        let colon = inner.iter().position(|byte| *byte == b':')?;
        inner.get(colon + 1..)
    });
    text.filter(|text| !text.is_empty()).unwrap_or(name)
}

/// A pointer, if the word is one.
pub(in crate::source::text) fn pointer(word: &[u8]) -> Option<Pointer> {
    if matches!(
        word,
        b"(ptrval)" | b"(____ptrval____)" | b"____ptrval____" | b"(efault)"
    ) {
        return Some(Pointer::Absent);
    }
    let bare = match word {
        [b'(', inner @ .., b')'] | [b'[', inner @ .., b']'] | [b'<', inner @ .., b'>'] => inner,
        _ => word,
    };
    if let Some(digits) = bare.strip_prefix(b"0x") {
        return hexadecimal(digits).map(Pointer::Long);
    }
    match bare.len() {
        8 => hexadecimal(bare).map(Pointer::Short),
        16 => hexadecimal(bare).map(Pointer::Long),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(node: Pointer, name: &str, size: u64) -> Resource<'_> {
        Resource {
            node,
            name: (!name.is_empty()).then_some(name.as_bytes()),
            size,
        }
    }

    #[test]
    fn nodes_are_read_in_all_forms() {
        use Pointer::{Absent, Long, Short};
        for (text, expected) in [
            (
                " 00000000323ccdc5 grp< (0 bytes)",
                resource(Long(0x323c_cdc5), "grp<", 0),
            ),
            (
                " f0ecfb01 devm_action_release (8 bytes)",
                resource(Short(0xf0ec_fb01), "devm_action_release", 8),
            ),
            (
                " ffff800081443800 x (22 bytes)",
                resource(Long(0xffff_8000_8144_3800), "x", 22),
            ),
            (
                " 0xff1100000690 x (22 bytes)",
                resource(Long(0xff11_0000_0690), "x", 22),
            ),
            (" (ptrval) x (22 bytes)", resource(Absent, "x", 22)),
            (" (____ptrval____) x (22 bytes)", resource(Absent, "x", 22)),
            (" x (22 bytes) (no new code)", resource(Absent, "x", 22)),
            (
                " 00000000323ccdc5 ffff888103b2c000 x (8 bytes)",
                resource(Long(0x323c_cdc5), "x", 8),
            ),
            (
                " 00000000323ccdc5 (ffff888103b2c000) x (8 bytes)",
                resource(Long(0x323c_cdc5), "x", 8),
            ),
            (
                " (ptrval) ffff888103b2c000 x (8 bytes)",
                resource(Long(0xffff_8881_03b2_c000), "x", 8),
            ),
            (
                " 00000000323ccdc5 (null) (0 bytes)",
                resource(Long(0x323c_cdc5), "", 0),
            ),
            (" (null) (0 bytes)", resource(Absent, "", 0)),
            (" (null) (null) (0 bytes)", resource(Absent, "", 0)),
            (" (null) x (8 bytes)", resource(Absent, "x", 8)),
            (
                " 00000000323ccdc5 (0 bytes)",
                resource(Long(0x323c_cdc5), "", 0),
            ),
            (
                " 00000000323ccdc5 (void(*)(void *))put_device (64 bytes)",
                resource(Long(0x323c_cdc5), "(void(*)(void *))put_device", 64),
            ),
            (
                " 00000000323ccdc5 &rmi_irq_teardown (64 bytes)",
                resource(Long(0x323c_cdc5), "&rmi_irq_teardown", 64),
            ),
            (
                " 00000000323ccdc5 a release with blanks (1 bytes)",
                resource(Long(0x323c_cdc5), "a release with blanks", 1),
            ),
        ] {
            assert_eq!(read(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn names_that_the_kernel_distrusts_are_names() {
        let read =
            read(b"000000003543aa6c (0xffffffffc060e715:ata_host_stop)[UNSAFE-MEMORY] (0 bytes)");
        assert_eq!(
            read.and_then(|found| found.name),
            Some(&b"ata_host_stop"[..])
        );
        assert_eq!(
            trusted(b"(0x10:)[UNSAFE-MEMORY]"),
            b"(0x10:)[UNSAFE-MEMORY]"
        );
        assert_eq!(trusted(b"(void (*)(void *))x"), b"(void (*)(void *))x");
    }

    #[test]
    fn what_is_cut_is_none() {
        for text in [
            "",
            " 00000000323ccdc5",
            " 00000000323ccdc5 x (",
            " x (9",
            " x 9 bytes)",
            " x (-1 bytes)",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
