//! A trace file in which one can go to any block.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use super::{
    block::{self, BlockHeader, BlockInfo, HEADER, TRAILER, kind},
    bytes::{Cursor, Malformed, Put as _},
    encode::Plain,
    events::{Events, TraceFileError},
    header::Header,
    input::{Blocks, Next},
};
use crate::event::Time;

/// Collects where a file's blocks of events are.
#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    bytes: Vec<u8>,
    blocks: u64,
    offset: u64,
    time: u64,
    too_long: bool,
}

impl IndexWriter {
    /// Longer indexes are not written: their file's blocks are found one by one.
    const LONGEST: usize = 1 << 20;

    pub(super) fn add(&mut self, offset: u64, plain: &Plain) {
        if self.bytes.len() > Self::LONGEST {
            self.too_long = true;
            return;
        }
        self.bytes.put_varint(offset - self.offset);
        self.bytes.put_varint(u64::from(plain.events));
        self.bytes.put_difference(plain.earliest.0, self.time);
        self.bytes.put_difference(plain.latest.0, plain.earliest.0);
        (self.offset, self.time) = (offset, plain.latest.0);
        self.blocks += 1;
    }

    /// The index, unless it is too long.
    pub(super) fn content(&self) -> Option<Vec<u8>> {
        if self.too_long {
            return None;
        }
        let mut content = Vec::with_capacity(self.bytes.len() + 10);
        content.put_varint(self.blocks);
        content.extend_from_slice(&self.bytes);
        Some(content)
    }
}

/// Reads what [`IndexWriter`] has written.
fn read_index(content: &[u8]) -> Result<Vec<BlockInfo>, Malformed> {
    /// Bytes of a block in the index, at least.
    const LEAST: usize = 4;
    let mut cursor = Cursor::new(content);
    let count = cursor.count(LEAST)?;
    let (mut offset, mut time, mut first_event) = (0_u64, 0, 0_u64);
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        offset = offset.wrapping_add(cursor.varint()?);
        let events = cursor.small()?;
        let earliest = cursor.difference(time)?;
        time = cursor.difference(earliest)?;
        blocks.push(BlockInfo {
            offset,
            first_event,
            events,
            earliest: Time(earliest),
            latest: Time(time),
        });
        first_event = first_event.wrapping_add(u64::from(events));
    }
    Ok(blocks)
}

/// A trace file on a disk, with a list of its blocks.
#[derive(Debug)]
pub struct TraceFile {
    file: Arc<File>,
    number: u64,
    header: Header,
    blocks: Vec<BlockInfo>,
}

/// The file from some place on.
#[derive(Debug)]
pub struct FromOffset {
    file: Arc<File>,
    offset: u64,
}

impl Read for FromOffset {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl TraceFile {
    /// Opens a file and finds its blocks: from its index, or else one by one.
    pub fn open(path: &Path) -> Result<Self, TraceFileError> {
        let file = Arc::new(File::open(path)?);
        let (header, events) = Events::new(FromOffset {
            file: Arc::clone(&file),
            offset: 0,
        })?;
        let number = events.file();
        let blocks = match blocks_of_index(&file, number)? {
            Some(blocks) => blocks,
            None => blocks_found(&file, number)?,
        };
        Ok(Self {
            file,
            number,
            header,
            blocks,
        })
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its blocks of events, in order. Those that are damaged may be among them.
    #[must_use]
    pub fn blocks(&self) -> &[BlockInfo] {
        &self.blocks
    }

    /// All its events.
    pub fn events(&self) -> Result<Events<FromOffset>, TraceFileError> {
        let (_, events) = Events::new(self.reader(0))?;
        Ok(events)
    }

    /// Its events from a block of [`blocks`](Self::blocks) on.
    pub fn events_from(&self, block: &BlockInfo) -> Result<Events<FromOffset>, TraceFileError> {
        let reader = self.reader(block.offset);
        Ok(Events::from(reader, block, self.number)?)
    }

    fn reader(&self, offset: u64) -> FromOffset {
        FromOffset {
            file: Arc::clone(&self.file),
            offset,
        }
    }
}

/// The blocks that the file's index names, if it has one. The index is believed as to where blocks are; what
/// they hold, they say themselves.
fn blocks_of_index(file: &Arc<File>, number: u64) -> io::Result<Option<Vec<BlockInfo>>> {
    let length = file.metadata()?.len();
    let mut trailer = [0; TRAILER];
    let Some(at) = length.checked_sub(TRAILER as u64) else {
        return Ok(None);
    };
    if !read_exactly(file, &mut trailer, at)? {
        return Ok(None);
    }
    let Some(offset) = block::read_trailer(&trailer, number).filter(|offset| *offset > 0) else {
        return Ok(None);
    };
    let reader = FromOffset {
        file: Arc::clone(file),
        offset,
    };
    let mut blocks = Blocks::from(reader, offset, number)?;
    let Next::Block { header, .. } = blocks.next()? else {
        return Ok(None);
    };
    let index = (header.kind == kind::INDEX)
        .then(|| read_index(blocks.content()))
        .and_then(Result::ok)
        .filter(|index| index.iter().all(|block| block.offset < offset));
    Ok(index)
}

/// Finds the blocks from header to header, and where there is none by looking for the next.
fn blocks_found(file: &Arc<File>, number: u64) -> io::Result<Vec<BlockInfo>> {
    let length = file.metadata()?.len();
    let mut found = Vec::new();
    let mut offset = block::PREAMBLE as u64;
    let mut first_event = 0;
    while offset < length {
        let mut bytes = [0; HEADER];
        let header = if read_exactly(file, &mut bytes, offset)? {
            BlockHeader::from_bytes(&bytes, number)
        } else {
            None
        };
        let header = if let Some(header) = header {
            header
        } else {
            let reader = FromOffset {
                file: Arc::clone(file),
                offset,
            };
            let Some((header, place)) = next_block(reader, offset, number)? else {
                break;
            };
            offset = place;
            header
        };
        if header.kind == kind::EVENTS && header.first_event >= first_event {
            first_event = header.first_event;
            found.push(BlockInfo {
                offset,
                first_event,
                events: header.events,
                earliest: header.earliest,
                latest: header.latest,
            });
        }
        offset += HEADER as u64 + u64::from(header.stored);
    }
    Ok(found)
}

/// The next whole block from a place on at which there is none.
fn next_block(
    reader: FromOffset,
    offset: u64,
    number: u64,
) -> io::Result<Option<(BlockHeader, u64)>> {
    let mut blocks = Blocks::from(reader, offset, number)?;
    loop {
        match blocks.next()? {
            Next::Block { header, offset, .. } => return Ok(Some((header, offset))),
            Next::Damage { .. } => {}
            Next::Nothing => return Ok(None),
        }
    }
}

/// Whether so many bytes are there.
fn read_exactly(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
