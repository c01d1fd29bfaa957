//! A block's header: what it is, how long, and what shows that it is whole.

use crc32fast::Hasher;

use super::{MAGIC, MOST_CONTENT, VERSION};
use crate::event::Time;

/// Length of what a file begins with: magic, version, two zero bytes, the file's number, checksum.
pub(super) const PREAMBLE: usize = 24;
/// Length of a block's header.
pub(super) const HEADER: usize = 60;
/// Length of what follows the last block of a file that was cleanly finished.
pub(super) const TRAILER: usize = 16;
/// What every block begins with.
pub(super) const MARK: [u8; 4] = *b"DVRB";
/// What a file that was cleanly finished ends with.
const LAST: [u8; 4] = *b"DVRE";

/// What a block holds. Kinds that a reader doesn't know are passed over.
pub(super) mod kind {
    /// What the file says of itself: JSON.
    pub(in crate::trace_file) const HEADER: u8 = 1;
    /// Events.
    pub(in crate::trace_file) const EVENTS: u8 = 2;
    /// Where the blocks of events are.
    pub(in crate::trace_file) const INDEX: u8 = 3;
    /// That the file was cleanly finished, and what was lost: JSON.
    pub(in crate::trace_file) const END: u8 = 4;
    /// Which modules were loaded, and where: JSON.
    pub(in crate::trace_file) const MODULES: u8 = 5;
}

/// How a block's content is stored.
pub(super) mod compression {
    /// As it is.
    pub(in crate::trace_file) const NONE: u8 = 0;
    /// One zstd frame.
    pub(in crate::trace_file) const ZSTD: u8 = 1;
}

/// A block of events in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockInfo {
    /// Where it begins, in bytes from the file's beginning.
    pub offset: u64,
    /// How many events the file has before it.
    pub first_event: u64,
    /// How many events it has.
    pub events: u32,
    /// The earliest time of its events.
    pub earliest: Time,
    /// The latest time of its events.
    pub latest: Time,
}

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) kind: u8,
    pub(super) compression: u8,
    /// Its number in the file, from zero.
    pub(super) sequence: u64,
    /// Bytes of content that follow.
    pub(super) stored: u32,
    /// Bytes of content when it is not compressed.
    pub(super) plain: u32,
    /// Events in it.
    pub(super) events: u32,
    /// CRC-32 of the content as it is stored.
    pub(super) checksum: u32,
    /// Events in the file before it.
    pub(super) first_event: u64,
    pub(super) earliest: Time,
    pub(super) latest: Time,
}

impl BlockHeader {
    /// The header as it stands in the file with this number.
    pub(super) fn to_bytes(self, file: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = Fields(&mut bytes[..]);
        put.next(MARK);
        put.next([self.kind, self.compression, 0, 0]);
        put.next(self.sequence.to_le_bytes());
        put.next(self.stored.to_le_bytes());
        put.next(self.plain.to_le_bytes());
        put.next(self.events.to_le_bytes());
        put.next(self.checksum.to_le_bytes());
        put.next(self.first_event.to_le_bytes());
        put.next(self.earliest.0.to_le_bytes());
        put.next(self.latest.0.to_le_bytes());
        let checksum = checksum(file, &bytes[..HEADER - 4]);
        Fields(&mut bytes[HEADER - 4..]).next(checksum.to_le_bytes());
        bytes
    }

    /// The header, if these bytes are one of the file with this number.
    pub(super) fn from_bytes(bytes: &[u8; HEADER], file: u64) -> Option<Self> {
        let mut get = Fields(&bytes[..]);
        if get.next::<4>()? != MARK {
            return None;
        }
        let [kind, compression, 0, 0] = get.next()? else {
            return None;
        };
        let header = Self {
            kind,
            compression,
            sequence: u64::from_le_bytes(get.next()?),
            stored: u32::from_le_bytes(get.next()?),
            plain: u32::from_le_bytes(get.next()?),
            events: u32::from_le_bytes(get.next()?),
            checksum: u32::from_le_bytes(get.next()?),
            first_event: u64::from_le_bytes(get.next()?),
            earliest: Time(u64::from_le_bytes(get.next()?)),
            latest: Time(u64::from_le_bytes(get.next()?)),
        };
        let right = u32::from_le_bytes(get.next()?) == checksum(file, &bytes[..HEADER - 4]);
        (right && header.stored <= MOST_CONTENT && header.plain <= MOST_CONTENT).then_some(header)
    }
}

/// What a file begins with.
pub(super) fn preamble(file: u64) -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    let mut put = Fields(&mut bytes[..]);
    put.next(MAGIC);
    put.next(VERSION.to_le_bytes());
    put.next([0, 0]);
    put.next(file.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..PREAMBLE - 4]);
    Fields(&mut bytes[PREAMBLE - 4..]).next(checksum.to_le_bytes());
    bytes
}

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preamble {
    /// The file can be read, and its number is this.
    Readable(u64),
    /// Its version is one that didn't exist when this was written.
    Newer(u16),
    /// It is no trace file, or its first bytes are damaged.
    Damaged,
}

/// Reads what a file begins with.
pub(super) fn read_preamble(bytes: &[u8]) -> Preamble {
    let mut get = Fields(bytes);
    let mut read = || {
        let magic: [u8; 8] = get.next()?;
        let version = u16::from_le_bytes(get.next()?);
        get.next::<2>()?;
        let file = u64::from_le_bytes(get.next()?);
        let checksum = u32::from_le_bytes(get.next()?);
        let right = magic == MAGIC && checksum == crc32fast::hash(&bytes[..PREAMBLE - 4]);
        right.then_some((version, file))
    };
    match read() {
        Some((1..=VERSION, file)) => Preamble::Readable(file),
        Some((version, _)) if version > VERSION => Preamble::Newer(version),
        _ => Preamble::Damaged,
    }
}

/// What follows the last block: where the index block begins, or zero where there is none.
pub(super) fn trailer(index: u64, file: u64) -> [u8; TRAILER] {
    let mut bytes = [0; TRAILER];
    let mut put = Fields(&mut bytes[..]);
    put.next(index.to_le_bytes());
    let checksum = checksum(file, &index.to_le_bytes());
    put.next(checksum.to_le_bytes());
    put.next(LAST);
    bytes
}

/// Where the index block begins, if these bytes are a trailer.
pub(super) fn read_trailer(bytes: &[u8; TRAILER], file: u64) -> Option<u64> {
    let index = u64::from_le_bytes(Fields(&bytes[..]).next()?);
    (trailer(index, file) == *bytes).then_some(index)
}

/// CRC-32 of the file's number and these bytes: what belongs to another file doesn't fit.
fn checksum(file: u64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&file.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Fields one behind the other.
struct Fields<Bytes>(Bytes);

impl Fields<&mut [u8]> {
    /// Writes the next field.
    fn next<const LENGTH: usize>(&mut self, field: [u8; LENGTH]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *place = field;
            self.0 = rest;
        }
    }
}

impl Fields<&[u8]> {
    /// Reads the next field.
    fn next<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}
