//! What a line is without what terminals, encodings, web pages and mail programs have made of it.

use std::sync::LazyLock;

use memchr::{memchr, memchr_iter, memchr2, memchr3, memmem::Finder};

use crate::source::text::scan::last_word;

/// Leaves out what is no text: the terminal's colours, the mark at the beginning of a file that names its
/// encoding, and the zeros by which UTF-16 makes two bytes of one.
pub(in crate::source::text) fn plain<'a>(line: &'a [u8], space: &'a mut Vec<u8>) -> &'a [u8] {
    let line = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"]
        .iter()
        .find_map(|mark| line.strip_prefix(*mark))
        .unwrap_or(line);
    if memchr2(b'\x1b', 0, line).is_none() {
        return without_bare_colours(line, space);
    }
    space.clear();
    let mut bytes = line.iter().copied().filter(|byte| *byte != 0);
    while let Some(byte) = bytes.next() {
        if byte != b'\x1b' {
            space.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'[') => {
                bytes.find(|byte| (0x40..=0x7e).contains(byte));
            }
            // A command to a terminal, or what a test machine has put in its place, up to its end.
            Some(begin @ (b']' | b'_')) => {
                let mut ahead = bytes.clone();
                match ahead.find(|byte| matches!(byte, 7 | b'\x1b')) {
                    Some(7) => bytes = ahead,
                    Some(_) if ahead.next() == Some(b'\\') => bytes = ahead,
                    _ => space.push(begin),
                }
            }
            other => space.extend(other),
        }
    }
    space
}

/// How a colour ends, where the character before it was lost, as in what is copied from a terminal.
static BARE_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"[0m"));

/// Leaves out colours that have lost their first character: `[33mdemo demo.0[0m: …`.
fn without_bare_colours<'a>(line: &'a [u8], space: &'a mut Vec<u8>) -> &'a [u8] {
    if BARE_END.find(line).is_none() {
        return line;
    }
    space.clear();
    let mut rest = line;
    while let Some((byte, behind)) = rest.split_first() {
        let codes = behind
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b';'));
        let after = codes
            .filter(|length| *length > 0)
            .and_then(|length| behind.get(length..));
        rest = match after.and_then(|after| after.strip_prefix(b"m")) {
            Some(after) if *byte == b'[' => after,
            _ => {
                space.push(*byte);
                behind
            }
        };
    }
    space
}

/// What web pages and JSON write for characters that mean something to them.
const ESCAPES: [(&[u8], u8); 14] = [
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&amp;", b'&'),
    (b"&quot;", b'"'),
    (b"&#34;", b'"'),
    (b"&#39;", b'\''),
    (b"&#x27;", b'\''),
    (b"&apos;", b'\''),
    (b"&nbsp;", b' '),
    (b"\\u003c", b'<'),
    (b"\\u003e", b'>'),
    (b"\\u0026", b'&'),
    (b"\xc2\xa0", b' '),
    (b"\t", b' '),
];

/// Undoes escapes, and the quoted-printable encoding of mails; makes blanks of all kinds one.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Escapes {
    decoded: Vec<u8>,
    coloured: Vec<u8>,
    text: Vec<u8>,
    /// The mail says that its body is quoted-printable.
    quoted_printable: bool,
}

impl Escapes {
    pub(in crate::source::text) fn undo<'a>(&'a mut self, line: &'a [u8]) -> &'a [u8] {
        if matches!(line.first(), Some(b'C' | b'c' | b'F')) {
            self.header(line);
        }
        if memchr2(b'=', b'\\', line).is_none() && !has_other_escapes(line) {
            return line;
        }
        let line = if self.is_quoted_printable(line) {
            decode(line, &mut self.decoded);
            plain(&self.decoded, &mut self.coloured)
        } else {
            line
        };
        if memchr(b'\\', line).is_none() && !has_other_escapes(line) {
            return line;
        }
        self.text.clear();
        let mut rest = line;
        while let Some((first, behind)) = rest.split_first() {
            let escape = matches!(first, b'&' | b'\t' | 0xc2 | b'\\')
                .then(|| ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape)))
                .flatten();
            let (byte, next) = match escape {
                Some((escape, byte)) => (*byte, rest.get(escape.len()..).unwrap_or_default()),
                None => (*first, behind),
            };
            self.text.push(byte);
            rest = next;
        }
        &self.text
    }

    /// Whether lines are read without regard to those before them.
    pub(in crate::source::text) fn is_idle(&self) -> bool {
        !self.quoted_printable
    }

    fn header(&mut self, line: &[u8]) {
        const HEADER: &[u8] = b"content-transfer-encoding:";
        if let Some((name, value)) = line.split_at_checked(HEADER.len())
            && name.eq_ignore_ascii_case(HEADER)
        {
            self.quoted_printable = value.trim_ascii().eq_ignore_ascii_case(b"quoted-printable");
        } else if line.starts_with(b"From ") {
            // The next mail of a mailbox begins.
            self.quoted_printable = false;
        }
    }

    /// Whether a line has what only this encoding writes. A number that an argument has is none of that.
    fn is_quoted_printable(&self, line: &[u8]) -> bool {
        let mut marks = memchr_iter(b'=', line);
        self.quoted_printable
            || marks.any(|at| {
                let (before, escape) = line.split_at_checked(at).unwrap_or_default();
                match escape.get(1..3) {
                    Some(b"3D" | b"3C" | b"3E") => true,
                    Some(b"1B") => escape.get(3) == Some(&b'['),
                    Some(b"C2") => escape.get(3..6) == Some(b"=A0"),
                    Some(b"20" | b"09") => escape.len() == 3 && !is_argument(before),
                    _ => false,
                }
            })
    }
}

/// Whether a line has what begins an escape of [`ESCAPES`], without a backslash.
fn has_other_escapes(line: &[u8]) -> bool {
    memchr3(b'&', b'\t', 0xc2, line).is_some()
}

/// Whether the last word is an argument's name, as function events have.
fn is_argument(before: &[u8]) -> bool {
    last_word(before).is_some_and(|(_, name)| {
        matches!(
            name,
            b"ret"
                | b"retval"
                | b"cnt"
                | b"size"
                | b"id"
                | b"group"
                | b"data"
                | b"dev"
                | b"node"
                | b"res"
                | b"ptr"
                | b"p"
                | b"action"
                | b"fn"
                | b"func"
                | b"pmd"
                | b"detach"
                | b"flags"
                | b"off"
        )
    })
}

fn decode(line: &[u8], decoded: &mut Vec<u8>) {
    decoded.clear();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let mut rest = line;
    while let Some((first, behind)) = rest.split_first() {
        let byte = match behind {
            [high, low, ..] if *first == b'=' => digit(*high)
                .zip(digit(*low))
                .map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = byte.and_then(|_| rest.get(3..)).unwrap_or(behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_also_where_they_lost_their_first_character() {
        for (line, expected) in [
            (
                "[32m[   52.100100] [0m[33mdemo demo.0[0m: DEVRES ADD",
                "[   52.100100] demo demo.0: DEVRES ADD",
            ),
            ("[0;1;31mx[0m", "x"),
            ("\x1b[33mdemo\x1b[0m: x", "demo: x"),
            // What only looks like it.
            (
                "[   52.100100] demo [12m] [0]",
                "[   52.100100] demo [12m] [0]",
            ),
            ("[m[0m [mem 0x0] [33;", "[m [mem 0x0] [33;"),
        ] {
            let mut space = Vec::new();
            let found = plain(line.as_bytes(), &mut space);
            assert_eq!(String::from_utf8_lossy(found), expected, "{line}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (line, expected) in [
            (
                "grp&lt; grp&gt; &amp;x &quot;y&quot; &#39;",
                "grp< grp> &x \"y\" '",
            ),
            ("\\u003cffff\\u003e \\u0026x", "<ffff> &x"),
            ("a\tb\u{a0}c", "a b c"),
            ("[=C2=A0 2.0] x", "[  2.0] x"),
            ("dev=3D0x10 ret=3D20", "dev=0x10 ret=20"),
            ("=1B[32m[ 2.0] =1B[0mx", "[ 2.0] x"),
            ("DEVRES ADD=20", "DEVRES ADD "),
            ("grp=3C (0 bytes)", "grp< (0 bytes)"),
            // What only looks like it.
            ("dev=0x10 ret=20", "dev=0x10 ret=20"),
            ("&rmi_irq_teardown & x", "&rmi_irq_teardown & x"),
            ("a=AB c", "a=AB c"),
            ("C\u{e4}sar", "C\u{e4}sar"),
        ] {
            let mut escapes = Escapes::default();
            assert_eq!(
                String::from_utf8_lossy(escapes.undo(line.as_bytes())),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn a_mails_header_tells_how_it_is_encoded() {
        let mut escapes = Escapes::default();
        escapes.undo(b"Content-Transfer-Encoding: Quoted-Printable");
        assert_eq!(escapes.undo(b"a=2Cb"), b"a,b");
        escapes.undo(b"Content-Transfer-Encoding: 8bit");
        assert_eq!(escapes.undo(b"a=2Cb"), b"a=2Cb");
    }

    #[test]
    fn colours_are_left_out() {
        let mut space = Vec::new();
        let coloured = b"\x1b[32m[ 1.0] \x1b[0;1mx\x1b[0m: y";
        assert_eq!(plain(coloured, &mut space), b"[ 1.0] x: y");
        assert_eq!(plain(b"x\x1b", &mut Vec::new()), b"x");
        assert_eq!(plain(b"x\x1b[", &mut Vec::new()), b"x");
        for (line, expected) in [
            (&b"\x1b_bk;t=1678485141000\x07x: y"[..], &b"x: y"[..]),
            (b"\x1b]8;;http://a\x1b\\x\x1b]8;;\x1b\\: y", b"x: y"),
            (b"\x1b_x: y", b"_x: y"),
        ] {
            assert_eq!(plain(line, &mut Vec::new()), expected);
        }
    }

    #[test]
    fn encodings_are_left_out() {
        for line in [
            &b"\xef\xbb\xbfx: y"[..],
            b"\xff\xfex\0:\0 \0y\0",
            b"\xfe\xff\0x\0:\0 \0y",
            b"\0x\0:\0\x1b\0[\x001\0m\0 \0y\0",
        ] {
            assert_eq!(plain(line, &mut Vec::new()), b"x: y", "{line:?}");
        }
    }
}
