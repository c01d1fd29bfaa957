//! Kinds of files of which other tools make the text that can be read.

use std::fmt;

/// Such a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    kind: &'static str,
    tool: &'static str,
}

impl fmt::Display for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: use the output of `{}`",
            self.kind, self.tool
        )
    }
}

/// What a file begins with, what it is, and what makes text of it.
const KNOWN: [(&[u8], &str, &str); 10] = [
    (b"\x1f\x8b", "compressed with gzip", "zcat FILE"),
    (b"BZh", "compressed with bzip2", "bzcat FILE"),
    (b"\xfd7zXZ\0", "compressed with xz", "xzcat FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstdcat FILE"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4cat FILE"),
    (b"PK\x03\x04", "a zip archive", "unzip -p FILE"),
    (
        b"\x17\x08\x44tracing",
        "a recording of trace-cmd",
        "trace-cmd report FILE",
    ),
    (b"PERFILE2", "a recording of perf", "perf script -i FILE"),
    (b"PERFFILE", "a recording of perf", "perf script -i FILE"),
    (b"LPKSHHRH", "a journal file", "journalctl -k --file FILE"),
];

/// What begins so, if it is of such a kind.
pub(super) fn known(beginning: &[u8]) -> Option<Packed> {
    KNOWN
        .iter()
        .find(|(magic, ..)| beginning.starts_with(magic))
        .map(|(_, kind, tool)| Packed { kind, tool })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_text_of_a_file_is_told() {
        let found = known(b"\x1f\x8b\x08\0").map(|packed| packed.to_string());
        assert_eq!(
            found.as_deref(),
            Some("compressed with gzip: use the output of `zcat FILE`")
        );
        assert_eq!(known(b"[    1.000000] x"), None);
        assert_eq!(known(b"BZ"), None);
    }
}
