//! Lines that a mail's quoted-printable encoding has broken: `... d=` and `evm_kfree+0x8c/0xfc`.

use memchr::memchr_iter;

use crate::source::text::envelope::prefix;

/// Lengths between which a line can have been broken: the encoding allows 76 bytes, marks of quotation may have
/// come in front of that, and nobody breaks what is short.
const SHORTEST: usize = 20;
const LONGEST: usize = 100;
/// Lines that one may have become.
const MOST_JOINED: u64 = 16;

/// Joins such lines.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Mail {
    /// What was read so far of a broken line, with the mark at its end.
    held: Vec<u8>,
    lines: u64,
}

impl Mail {
    /// Takes a line. Calls `each` with every whole one and the number of lines that it was.
    pub(in crate::source::text) fn line(&mut self, line: &[u8], mut each: impl FnMut(&[u8], u64)) {
        if let Some(line) = ended(line) {
            self.whole(line, &mut each);
            return;
        }
        if self.lines > 0 {
            if prefix::split(line).0.time.is_none() {
                self.held.pop();
                let rest = continuation(&self.held, line);
                self.held.extend_from_slice(rest);
                self.lines += 1;
                if !is_broken(line) || self.lines >= MOST_JOINED {
                    self.finish(each);
                }
                return;
            }
            self.finish(&mut each);
        }
        if is_broken(line) {
            self.held.extend_from_slice(line);
            self.lines = 1;
        } else {
            each(line, 1);
        }
    }

    /// Takes a line that the next one does not go on with.
    fn whole(&mut self, line: &[u8], each: &mut impl FnMut(&[u8], u64)) {
        if self.lines == 0 {
            return each(line, 1);
        }
        self.held.pop();
        let rest = continuation(&self.held, line);
        self.held.extend_from_slice(rest);
        self.lines += 1;
        self.finish(each);
    }

    /// Whether no line is held back.
    pub(in crate::source::text) fn is_idle(&self) -> bool {
        self.lines == 0
    }

    /// Nothing comes any more.
    pub(in crate::source::text) fn finish(&mut self, mut each: impl FnMut(&[u8], u64)) {
        if self.lines > 0 {
            each(&self.held, self.lines);
            self.held.clear();
            self.lines = 0;
        }
    }
}

/// A line whose end some mail programs encode, and break the encoded line behind it.
fn ended(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"=0A=")?;
    Some(line.strip_suffix(b"=0D").unwrap_or(line))
}

fn is_broken(line: &[u8]) -> bool {
    line.ends_with(b"=") && !line.ends_with(b"==") && (SHORTEST..=LONGEST).contains(&line.len())
}

/// What a line adds to the one before: marks of quotation are taken off if that has the same, as they were put
/// there later.
fn continuation<'a>(begun: &[u8], line: &'a [u8]) -> &'a [u8] {
    let (mut marks, rest) = marks(line);
    // The mark may be the end of a name: `grp>`.
    if marks > 0 && begun.ends_with(b"grp") && rest.trim_ascii_start().starts_with(b"(") {
        marks -= 1;
    }
    if marks == 0 || marks != self::marks(begun).0 {
        return line;
    }
    let mut left = marks;
    let end = line.iter().position(|byte| {
        left -= usize::from(*byte == b'>');
        left == 0
    });
    let rest = end.and_then(|end| line.get(end + 1..)).unwrap_or_default();
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// How many marks of quotation a line begins with, and what follows them.
fn marks(line: &[u8]) -> (usize, &[u8]) {
    let end = line
        .iter()
        .position(|byte| !matches!(byte, b'>' | b' '))
        .unwrap_or(line.len());
    let (marks, rest) = line.split_at(end);
    (memchr_iter(b'>', marks).count(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&str]) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut mail = Mail::default();
        let mut each =
            |line: &[u8], count| found.push((String::from_utf8_lossy(line).into_owned(), count));
        for line in lines {
            mail.line(line.as_bytes(), &mut each);
        }
        mail.finish(&mut each);
        found
    }

    #[test]
    fn broken_lines_are_joined() {
        let begun = "[ 1.0] x y: Resources present before pro";
        for (first, second, whole) in [
            ("", "bing", "bing"),
            ("> ", "bing", "bing"),
            ("> > ", "> > bing", "bing"),
            ("> ", "> > bing", "> > bing"),
            ("", "> bing", "> bing"),
        ] {
            let lines = [format!("{first}{begun}="), second.to_owned()];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(
                joined(&lines),
                [(format!("{first}{begun}{whole}"), 2)],
                "{first}{second}"
            );
        }
        let three = [
            "a line that is long enough=",
            "another of that kind =",
            "end",
            "x",
        ];
        assert_eq!(
            joined(&three),
            [
                (
                    "a line that is long enoughanother of that kind end".to_owned(),
                    3
                ),
                ("x".to_owned(), 1)
            ]
        );
    }

    #[test]
    fn an_encoded_end_of_a_line_ends_it() {
        let lines = [
            "[ 1.0] x y: Resources present before pro=",
            "bing=0A=",
            "[ 2.0] a line that is long enough=0D=0A=",
            "=0A=",
            "x",
        ];
        assert_eq!(
            joined(&lines),
            [
                ("[ 1.0] x y: Resources present before probing".to_owned(), 2),
                ("[ 2.0] a line that is long enough".to_owned(), 1),
                (String::new(), 1),
                ("x".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn the_end_of_a_marker_is_no_mark_of_quotation() {
        for quote in ["", "> "] {
            let first = format!("{quote}[ 1.0] x y: DEVRES ADD 01 grp=");
            let second = format!("{}> (0 bytes)", if quote.is_empty() { "" } else { quote });
            let whole = format!("{quote}[ 1.0] x y: DEVRES ADD 01 grp> (0 bytes)");
            assert_eq!(joined(&[&first, &second]), [(whole, 2)], "{quote}");
        }
    }

    #[test]
    fn what_is_not_broken_stays() {
        for lines in [
            ["a line that is long enough=", "[    1.000000] x"],
            ["==========================", "x"],
            ["root=", "x"],
        ] {
            let expected = lines.map(|line| (line.to_owned(), 1));
            assert_eq!(joined(&lines), expected);
        }
        assert_eq!(joined(&["a line that is long enough="]).len(), 1);
    }
}
