//! The records of a text, in the order of its lines: the last ones as they are, since later lines may still say
//! something of them; those before them encoded, and beyond [`MOST_MEMORY`] in a file, so that the memory doesn't grow
//! with the text.

use std::{
    borrow::Cow, collections::VecDeque, env, fs::File, io, os::unix::fs::FileExt as _,
    path::PathBuf,
};

use super::{
    codec::{Decoder, Encoder},
    entry::{Record, RecordKind},
};

/// Records that are kept as they are.
const RECENT: usize = 4096;
/// Encoded bytes that make up a block.
const BLOCK: usize = 1 << 18;
/// Encoded bytes that are kept in memory.
const MOST_MEMORY: usize = 16 << 20;

/// The records of a text.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Spool {
    recent: VecDeque<Record>,
    blocks: Vec<Block>,
    open: Encoder,
    open_records: u32,
    /// Records that are no more.
    gone: u32,
    encoded: u32,
    /// Bytes of the blocks in memory.
    memory: usize,
    file: Option<File>,
    /// Bytes in the file.
    filed: u64,
    /// No file can be had, or written any more: what comes stays in memory.
    without_file: bool,
}

#[derive(Debug)]
struct Block {
    records: u32,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Here(Vec<u8>),
    /// So many bytes at a place in the file.
    Filed(u64, usize),
}

impl Spool {
    /// How many records there have been; the number of the next one.
    pub(in crate::source::text) fn len(&self) -> u32 {
        let recent = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        self.gone
            .saturating_add(self.encoded)
            .saturating_add(recent)
    }

    pub(in crate::source::text) fn push(&mut self, record: Record) {
        if self.recent.len() >= RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.encode(oldest);
        }
        self.recent.push_back(record);
    }

    /// The last records, the last one first.
    pub(in crate::source::text) fn latest(&self) -> impl Iterator<Item = &Record> {
        self.recent.iter().rev()
    }

    /// The record with this number, unless many have come since.
    pub(in crate::source::text) fn recent_mut(&mut self, number: u32) -> Option<&mut Record> {
        let first = self.gone + self.encoded;
        self.recent.get_mut(number.checked_sub(first)? as usize)
    }

    /// Lets go of the records so far.
    pub(in crate::source::text) fn forget(&mut self) {
        *self = Self {
            gone: self.len(),
            recent: std::mem::take(&mut self.recent),
            ..Self::default()
        };
        self.recent.clear();
    }

    /// The records that are still there, with their numbers.
    pub(in crate::source::text) fn iter(&self) -> Records<'_> {
        Records {
            spool: self,
            next: self.gone,
            block: 0,
            left: 0,
            decoder: Decoder::default(),
        }
    }

    fn encode(&mut self, mut record: Record) {
        self.open.record(&mut record);
        self.open_records += 1;
        self.encoded = self.encoded.saturating_add(1);
        if self.open.len() >= BLOCK {
            let bytes = std::mem::take(&mut self.open).into_bytes();
            self.memory += bytes.len();
            self.blocks.push(Block {
                records: std::mem::take(&mut self.open_records),
                bytes: Bytes::Here(bytes),
            });
            if self.memory > MOST_MEMORY && !self.without_file {
                self.without_file = self.file_blocks().is_err();
            }
        }
    }

    /// Moves the blocks in memory to the file.
    fn file_blocks(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(temporary()?),
        };
        for block in &mut self.blocks {
            let Bytes::Here(bytes) = &block.bytes else {
                continue;
            };
            file.write_all_at(bytes, self.filed)?;
            let length = bytes.len();
            self.memory -= length;
            block.bytes = Bytes::Filed(self.filed, length);
            self.filed += length as u64;
        }
        Ok(())
    }

    /// The bytes of a block; none where the file can't be read any more.
    fn bytes<'a>(&self, block: &'a Block) -> Option<Cow<'a, [u8]>> {
        match &block.bytes {
            Bytes::Here(bytes) => Some(Cow::Borrowed(bytes)),
            Bytes::Filed(at, length) => {
                let mut bytes = vec![0; *length];
                let file = self.file.as_ref()?;
                file.read_exact_at(&mut bytes, *at).ok()?;
                Some(Cow::Owned(bytes))
            }
        }
    }
}

/// A file that nobody else sees and that goes with its last use. Where temporary files lie in memory, one that is meant
/// to be large does not.
fn temporary() -> io::Result<File> {
    match env::var_os("TMPDIR") {
        Some(directory) => tempfile::tempfile_in(PathBuf::from(directory)),
        None => tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile()),
    }
}

/// The records of a [`Spool`].
#[derive(Debug)]
pub(in crate::source::text) struct Records<'a> {
    spool: &'a Spool,
    next: u32,
    /// The block that comes next.
    block: usize,
    /// Records that are left in the one before.
    left: u32,
    decoder: Decoder<'a>,
}

impl Records<'_> {
    /// Goes on with the next block. Returns a loss in place of its records where they can't be read.
    fn begin_block(&mut self) -> Option<Record> {
        let spool = self.spool;
        let lost = |records: u32| Record {
            kind: RecordKind::Lost(u64::from(records)),
            ..Record::default()
        };
        if let Some(block) = spool.blocks.get(self.block) {
            self.block += 1;
            let Some(bytes) = spool.bytes(block) else {
                self.next = self.next.saturating_add(block.records - 1);
                return Some(lost(block.records));
            };
            self.decoder = Decoder::new(bytes);
            self.left = block.records;
        } else if self.block == spool.blocks.len() {
            self.block += 1;
            self.decoder = Decoder::new(Cow::Borrowed(spool.open.bytes()));
            self.left = spool.open_records;
        }
        None
    }
}

impl Iterator for Records<'_> {
    type Item = (u32, Record);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 && self.block <= self.spool.blocks.len() {
            if let Some(lost) = self.begin_block() {
                let number = self.next;
                self.next = self.next.saturating_add(1);
                return Some((number, lost));
            }
        }
        let number = self.next;
        let record = if self.left > 0 {
            self.left -= 1;
            self.decoder.record()
        } else {
            let first = self.spool.gone + self.spool.encoded;
            let recent = number.checked_sub(first)? as usize;
            *self.spool.recent.get(recent)?
        };
        self.next = self.next.saturating_add(1);
        Some((number, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Record {
        Record {
            time: number,
            kind: RecordKind::Lost(number),
            ..Record::default()
        }
    }

    fn numbers(spool: &Spool) -> Vec<(u32, u64)> {
        spool
            .iter()
            .map(|(number, record)| (number, record.time))
            .collect()
    }

    #[test]
    fn records_come_back_in_order_from_wherever_they_are() {
        let mut spool = Spool::default();
        let count = 5_000_000;
        for number in 0..count {
            assert_eq!(u64::from(spool.len()), number);
            spool.push(record(number));
        }
        assert!(spool.file.is_some(), "{} bytes are in memory", spool.memory);
        assert!(spool.memory <= MOST_MEMORY + BLOCK);
        assert!(spool.open_records > 0);
        let mut next = 0;
        for (number, record) in spool.iter() {
            assert_eq!((u64::from(number), record.time), (next, next));
            next += 1;
        }
        assert_eq!(next, count);
    }

    #[test]
    fn what_can_not_be_read_again_is_lost() {
        let mut spool = Spool::default();
        for number in 0..5_000_000 {
            spool.push(record(number));
        }
        spool.file = Some(tempfile::tempfile().unwrap());
        let lost: u64 = spool
            .iter()
            .filter(|(_, record)| record.time == 0)
            .map(|(_, record)| match record.kind {
                RecordKind::Lost(count) => count,
                other => panic!("{other:?}"),
            })
            .sum();
        let read = spool.iter().filter(|(_, record)| record.time != 0).count();
        assert!(lost > 1_000_000, "{lost}");
        assert_eq!(lost + read as u64, 5_000_000);
        assert_eq!(spool.iter().last().unwrap().0, 4_999_999);
    }

    #[test]
    fn the_last_records_can_be_completed_and_all_be_forgotten() {
        let mut spool = Spool::default();
        for number in 0..3 {
            spool.push(record(number));
        }
        spool.recent_mut(1).unwrap().time = 7;
        assert_eq!(numbers(&spool), [(0, 0), (1, 7), (2, 2)]);
        spool.forget();
        spool.push(record(8));
        assert_eq!(numbers(&spool), [(3, 8)]);
        assert!(spool.recent_mut(2).is_none());
        assert_eq!(spool.recent_mut(3).map(|record| record.time), Some(8));
        for number in 0..RECENT as u64 {
            spool.push(record(number));
        }
        assert!(spool.recent_mut(3).is_none());
    }
}
