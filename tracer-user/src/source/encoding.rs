//! The encodings in which JSON lines come back from an editor or a shell: with a mark, or in UTF-16.

use std::io::{self, BufRead, BufReader, Read};

/// How a text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8.
    Plain,
    /// UTF-8 with a mark that says so.
    Marked,
    /// UTF-16, the low byte first.
    LittleEndian,
    /// UTF-16, the high byte first.
    BigEndian,
}

/// The mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// As much of the beginning of a text as is ASCII, in whatever encoding.
pub(super) fn ascii(beginning: &[u8]) -> Vec<u8> {
    let text = beginning.iter().copied();
    text.filter(|byte| (1..0x80).contains(byte)).collect()
}

impl Encoding {
    /// The encoding of a text that begins like this.
    pub(super) fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0xef, 0xbb, 0xbf, ..] => Self::Marked,
            [0xff, 0xfe, ..] | [b'{', 0, ..] => Self::LittleEndian,
            [0xfe, 0xff, ..] | [0, b'{', ..] => Self::BigEndian,
            _ => Self::Plain,
        }
    }

    /// The text in UTF-8, without a mark.
    pub(super) fn decoded(self, mut reader: Box<dyn BufRead>) -> Box<dyn BufRead> {
        match self {
            Self::Plain => reader,
            Self::Marked => {
                let length = MARK.len() as u64;
                // What can't be read here can't be read by whoever reads on, either.
                let _ = io::copy(&mut reader.by_ref().take(length), &mut io::sink());
                reader
            }
            Self::LittleEndian => {
                Box::new(BufReader::new(Decoder::new(reader, u16::from_le_bytes)))
            }
            Self::BigEndian => Box::new(BufReader::new(Decoder::new(reader, u16::from_be_bytes))),
        }
    }
}

/// Makes UTF-8 of UTF-16.
struct Decoder<R> {
    reader: R,
    unit: fn([u8; 2]) -> u16,
    /// Bytes that are not decoded yet.
    encoded: Vec<u8>,
    decoded: io::Cursor<Vec<u8>>,
}

impl<R: Read> Decoder<R> {
    fn new(reader: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self {
            reader,
            unit,
            encoded: Vec::new(),
            decoded: io::Cursor::default(),
        }
    }

    /// Decodes some more; false at the end.
    fn decode(&mut self) -> io::Result<bool> {
        let read = self
            .reader
            .by_ref()
            .take(1 << 14)
            .read_to_end(&mut self.encoded)?;
        let mut units: Vec<u16> = self
            .encoded
            .chunks_exact(2)
            .map(|pair| (self.unit)([pair[0], pair[1]]))
            .collect();
        // Its other half may be still to come.
        if read > 0
            && units
                .last()
                .is_some_and(|unit| (0xd800..0xdc00).contains(unit))
        {
            units.pop();
        }
        self.encoded.drain(..2 * units.len());
        let text: String = char::decode_utf16(units)
            .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
            .filter(|character| *character != '\u{feff}')
            .collect();
        let more = read > 0 || !text.is_empty();
        self.decoded = io::Cursor::new(text.into_bytes());
        Ok(more)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.decoded.read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.decode()? {
                return Ok(read);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: Vec<u8>) -> String {
        let encoding = Encoding::of(&bytes);
        assert!(ascii(&bytes).starts_with(b"{"), "{encoding:?}");
        let mut text = String::new();
        let reader = Box::new(io::Cursor::new(bytes));
        encoding.decoded(reader).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn every_encoding_is_taken_off() {
        let text = format!("{{\"a\": \"{}Gerät 𝄞\"}}\n", "x".repeat(20_000));
        let marked = format!("\u{feff}{text}");
        assert_eq!(decoded(text.clone().into_bytes()), text);
        assert_eq!(decoded(marked.clone().into_bytes()), text);
        for input in [&text, &marked] {
            let units = || input.encode_utf16();
            assert_eq!(decoded(units().flat_map(u16::to_le_bytes).collect()), text);
            assert_eq!(decoded(units().flat_map(u16::to_be_bytes).collect()), text);
        }
    }
}
