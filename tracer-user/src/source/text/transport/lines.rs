//! Lines of any input: of any length, in any encoding.

use std::io::{self, BufRead};

use memchr::memchr2_iter;

/// Bytes of a line that are looked at. What is longer is no line of a log or trace.
pub(super) const LONGEST: usize = 64 * 1024;

/// Takes the lines of an input.
pub(in crate::source::text) trait Lines {
    /// A line without its end, at most [`LONGEST`] bytes of it.
    fn line(&mut self, line: &[u8]);

    /// Passes over whole lines at the beginning of what comes next. Returns their bytes.
    fn skip(&mut self, _text: &[u8]) -> usize {
        0
    }
}

/// Hands over each line of the input. A carriage return ends a line where text follows it.
pub(in crate::source::text) fn for_each(
    mut reader: impl BufRead,
    lines: &mut impl Lines,
) -> io::Result<()> {
    let mut begun = Vec::new();
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            if !begun.is_empty() {
                lines.line(&begun);
            }
            return Ok(());
        }
        if begun.last() == Some(&b'\r') && is_text(buffer.first()) {
            lines.line(&begun);
            begun.clear();
        }
        let mut rest = buffer;
        loop {
            if begun.is_empty() {
                rest = rest.get(lines.skip(rest)..).unwrap_or_default();
            }
            let Some(end) = end_of_line(rest) else {
                break;
            };
            let (piece, behind) = rest.split_at(end);
            if begun.is_empty() {
                lines.line(piece.get(..LONGEST).unwrap_or(piece));
            } else {
                extend(&mut begun, piece);
                lines.line(&begun);
                begun.clear();
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        extend(&mut begun, rest);
        let length = buffer.len();
        reader.consume(length);
    }
}

/// Where the first line ends, if its end has come.
fn end_of_line(text: &[u8]) -> Option<usize> {
    memchr2_iter(b'\n', b'\r', text)
        .find(|end| text.get(*end) == Some(&b'\n') || is_text(text.get(end + 1)))
}

/// Whether what follows a carriage return is more text, and not the rest of the line's end.
pub(in crate::source::text) fn is_text(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| !matches!(byte, b'\n' | b'\r' | 0))
}

fn extend(begun: &mut Vec<u8>, piece: &[u8]) {
    let room = LONGEST.saturating_sub(begun.len());
    begun.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    #[derive(Default)]
    struct Kept(Vec<Vec<u8>>);

    impl Lines for Kept {
        fn line(&mut self, line: &[u8]) {
            self.0.push(line.to_vec());
        }
    }

    fn lines(input: &[u8], buffer: usize) -> Vec<Vec<u8>> {
        let mut lines = Kept::default();
        let reader = BufReader::with_capacity(buffer, Cursor::new(input));
        for_each(reader, &mut lines).unwrap();
        lines.0
    }

    #[test]
    fn lines_are_whole_whatever_the_buffer() {
        for buffer in 1..12 {
            let found = lines(b"one\n\ntwo three\nfour", buffer);
            assert_eq!(found, [&b"one"[..], b"", b"two three", b"four"], "{buffer}");
        }
        assert_eq!(lines(b"", 8), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn endless_lines_are_cut() {
        let input = [vec![b'x'; 3 * LONGEST], b"\ny".to_vec()].concat();
        for buffer in [7, LONGEST, 8 * LONGEST] {
            let found = lines(&input, buffer);
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].len(), LONGEST);
            assert_eq!(found[1], b"y");
        }
    }

    #[test]
    fn a_carriage_return_alone_ends_a_line() {
        for buffer in 1..12 {
            let found = lines(b"one\rtwo\r\nthree\r\r\nfour\r", buffer);
            let found: Vec<_> = found.iter().map(|line| line.trim_ascii_end()).collect();
            assert_eq!(found, [&b"one"[..], b"two", b"three", b"four"], "{buffer}");
        }
    }
}
