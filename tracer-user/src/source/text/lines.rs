//! Lines of any input: of any length, in any encoding.

use std::io::{self, BufRead};

use memchr::memchr2_iter;

/// Bytes of a line that are looked at. What is longer is no line of a log or trace.
const LONGEST: usize = 64 * 1024;

/// Calls `line` with each line of the input, without its end and at most [`LONGEST`] bytes of it. A carriage
/// return ends a line where text follows it.
pub(super) fn for_each(mut reader: impl BufRead, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    let mut begun = Vec::new();
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            if !begun.is_empty() {
                line(&begun);
            }
            return Ok(());
        }
        if begun.last() == Some(&b'\r') && is_text(buffer.first()) {
            line(&begun);
            begun.clear();
        }
        let mut start = 0;
        for end in memchr2_iter(b'\n', b'\r', buffer) {
            if buffer.get(end) == Some(&b'\r') && !is_text(buffer.get(end + 1)) {
                continue;
            }
            let piece = buffer.get(start..end).unwrap_or_default();
            if begun.is_empty() {
                line(piece.get(..LONGEST).unwrap_or(piece));
            } else {
                extend(&mut begun, piece);
                line(&begun);
                begun.clear();
            }
            start = end + 1;
        }
        extend(&mut begun, buffer.get(start..).unwrap_or_default());
        let length = buffer.len();
        reader.consume(length);
    }
}

/// Whether what follows a carriage return is more text, and not the rest of the line's end.
fn is_text(byte: Option<&u8>) -> bool {
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

    fn lines(input: &[u8], buffer: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let reader = BufReader::with_capacity(buffer, Cursor::new(input));
        for_each(reader, |line| lines.push(line.to_vec())).unwrap();
        lines
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
