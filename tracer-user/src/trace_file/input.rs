//! From a file to whole blocks, whatever the file is like.

use std::io::{self, Read};

use zstd::bulk::Decompressor;

use super::block::{
    self, BlockHeader, HEADER, MARK, PREAMBLE, Preamble, TRAILER, compression, kind, read_trailer,
};

/// A buffer over a reader, of which as much as wanted can be looked at.
struct Buffered<R> {
    reader: R,
    bytes: Vec<u8>,
    begin: usize,
    /// Where in the file the buffer begins.
    offset: u64,
    ended: bool,
}

impl<R: Read> Buffered<R> {
    /// So much is read at once.
    const CHUNK: usize = 1 << 16;

    fn new(reader: R, offset: u64) -> Self {
        Self {
            reader,
            bytes: Vec::new(),
            begin: 0,
            offset,
            ended: false,
        }
    }

    /// What comes next: at least so many bytes, unless the file ends.
    fn look(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.bytes.len() - self.begin < wanted && !self.ended {
            self.bytes.drain(..self.begin);
            self.begin = 0;
            while self.bytes.len() < wanted && !self.ended {
                let missing = wanted - self.bytes.len();
                let most = missing.max(Self::CHUNK) as u64;
                let read = self
                    .reader
                    .by_ref()
                    .take(most)
                    .read_to_end(&mut self.bytes)?;
                self.ended = read == 0;
            }
        }
        Ok(&self.bytes[self.begin..])
    }

    fn pass(&mut self, length: usize) {
        let length = length.min(self.bytes.len() - self.begin);
        self.begin += length;
        self.offset += length as u64;
    }
}

/// Reads blocks.
pub(super) struct Blocks<R> {
    input: Buffered<R>,
    /// The file's number.
    file: u64,
    /// The number of the next block; `None` where any will do.
    expected: Option<u64>,
    decompressor: Decompressor<'static>,
    plain: Vec<u8>,
}

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A whole block; [`Blocks::content`] is what it holds.
    Block {
        header: BlockHeader,
        offset: u64,
        /// Whether there should be another one before it.
        missing: bool,
    },
    /// Something is wrong here. If there was a block, this is what its header says.
    Damage {
        offset: u64,
        what: &'static str,
        block: Option<BlockHeader>,
    },
    /// Nothing.
    Nothing,
}

/// Why a file can't be read at all.
pub(super) enum Unreadable {
    Read(io::Error),
    Newer(u16),
    Damaged,
}

impl<R: Read> Blocks<R> {
    /// Reads what the file begins with.
    pub(super) fn new(reader: R) -> Result<Self, Unreadable> {
        let mut input = Buffered::new(reader, 0);
        let preamble = block::read_preamble(input.look(PREAMBLE).map_err(Unreadable::Read)?);
        let file = match preamble {
            Preamble::Readable(file) => file,
            Preamble::Newer(version) => return Err(Unreadable::Newer(version)),
            Preamble::Damaged => return Err(Unreadable::Damaged),
        };
        input.pass(PREAMBLE);
        Self::with(input, file, Some(0)).map_err(Unreadable::Read)
    }

    /// Reads on from the block that begins at this place of a file.
    pub(super) fn from(reader: R, offset: u64, file: u64) -> io::Result<Self> {
        Self::with(Buffered::new(reader, offset), file, None)
    }

    fn with(input: Buffered<R>, file: u64, expected: Option<u64>) -> io::Result<Self> {
        Ok(Self {
            input,
            file,
            expected,
            decompressor: Decompressor::new()?,
            plain: Vec::new(),
        })
    }

    /// The file's number.
    pub(super) fn file(&self) -> u64 {
        self.file
    }

    /// What the last block holds.
    pub(super) fn content(&self) -> &[u8] {
        &self.plain
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let offset = self.input.offset;
        let damage = |what, block| Next::Damage {
            offset,
            what,
            block,
        };
        let bytes = self.input.look(HEADER)?;
        if bytes.is_empty() {
            return Ok(Next::Nothing);
        }
        let Some(header) = bytes
            .first_chunk()
            .and_then(|bytes| BlockHeader::from_bytes(bytes, self.file))
        else {
            let cut = bytes.len() < HEADER;
            self.find_mark()?;
            return Ok(damage(
                if cut {
                    "it ends in the middle of a block"
                } else {
                    "no block starts here"
                },
                None,
            ));
        };
        let length = HEADER + header.stored as usize;
        let content = self.input.look(length)?.get(HEADER..length);
        let whole = match content {
            None => Err("it ends in the middle of a block"),
            Some(stored) if crc32fast::hash(stored) != header.checksum => {
                Err("a block's checksum is wrong")
            }
            Some(_) if header.kind > kind::MODULES => {
                self.plain.clear();
                Ok(())
            }
            Some(stored) => unpack(&mut self.decompressor, &mut self.plain, header, stored),
        };
        self.input.pass(length);
        if let Err(what) = whole {
            return Ok(damage(what, Some(header)));
        }
        match self.expected {
            Some(expected) if header.sequence < expected => {
                return Ok(damage("a block is duplicated or out of place", None));
            }
            _ => {}
        }
        let missing = self
            .expected
            .is_some_and(|expected| header.sequence > expected);
        self.expected = header.sequence.checked_add(1);
        Ok(Next::Block {
            header,
            offset,
            missing,
        })
    }

    /// Passes over bytes up to what may be the next block.
    fn find_mark(&mut self) -> io::Result<()> {
        self.input.pass(1);
        loop {
            let bytes = self.input.look(HEADER)?;
            if let Some(position) = memchr::memmem::find(bytes, &MARK) {
                self.input.pass(position);
                return Ok(());
            }
            // The mark's beginning may be at the end.
            let passed = bytes.len().saturating_sub(MARK.len() - 1);
            if bytes.len() < HEADER {
                let all = bytes.len();
                self.input.pass(all);
                return Ok(());
            }
            self.input.pass(passed);
        }
    }

    /// Whether nothing but what a cleanly finished file ends with follows the last block.
    pub(super) fn ends(&mut self) -> io::Result<bool> {
        let file = self.file;
        let bytes = self.input.look(TRAILER + 1)?;
        Ok(
            <&[u8; TRAILER]>::try_from(bytes)
                .is_ok_and(|bytes| read_trailer(bytes, file).is_some()),
        )
    }
}

/// Puts a block's content into `plain`, which never grows beyond what a block may have.
fn unpack(
    decompressor: &mut Decompressor<'_>,
    plain: &mut Vec<u8>,
    header: BlockHeader,
    stored: &[u8],
) -> Result<(), &'static str> {
    const WRONG: &str = "a block's content can't be decompressed";
    plain.clear();
    match header.compression {
        compression::NONE => plain.extend_from_slice(stored),
        compression::ZSTD => {
            plain.reserve(header.plain as usize);
            decompressor
                .decompress_to_buffer(stored, plain)
                .map_err(|_| WRONG)?;
        }
        _ => return Err("a block is compressed in an unknown way"),
    }
    if plain.len() == header.plain as usize {
        Ok(())
    } else {
        Err(WRONG)
    }
}
