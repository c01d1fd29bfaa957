//! Lines of any input: of any length, in any encoding.

use std::io::{self, BufRead};

use memchr::{memchr_iter, memchr2};

/// Bytes of a line that are looked at. What is longer is no line of a log or trace.
const LONGEST: usize = 64 * 1024;

/// Calls `line` with each line of the input, without its end and at most [`LONGEST`] bytes of it.
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
        let mut start = 0;
        for end in memchr_iter(b'\n', buffer) {
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

fn extend(begun: &mut Vec<u8>, piece: &[u8]) {
    let room = LONGEST.saturating_sub(begun.len());
    begun.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

/// Leaves out what is no text: the terminal's colours, the mark at the beginning of a file that tells its
/// encoding, and the zeros by which UTF-16 makes two bytes of one.
pub(super) fn plain<'a>(line: &'a [u8], space: &'a mut Vec<u8>) -> &'a [u8] {
    let line = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"]
        .iter()
        .find_map(|mark| line.strip_prefix(*mark))
        .unwrap_or(line);
    if memchr2(b'\x1b', 0, line).is_none() {
        return line;
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
            other => space.extend(other),
        }
    }
    space
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
    fn colours_are_left_out() {
        let mut space = Vec::new();
        let coloured = b"\x1b[32m[ 1.0] \x1b[0;1mx\x1b[0m: y";
        assert_eq!(plain(coloured, &mut space), b"[ 1.0] x: y");
        assert_eq!(plain(b"x\x1b", &mut Vec::new()), b"x");
        assert_eq!(plain(b"x\x1b[", &mut Vec::new()), b"x");
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
