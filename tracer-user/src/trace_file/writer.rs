//! From events to a trace file.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{self, Write},
};

use zstd::bulk::Compressor;

use super::{
    block::{self, BlockHeader, HEADER, compression, kind},
    encode::{Encoder, Plain, TooLarge},
    header::{End, Header},
    index::IndexWriter,
};
use crate::{
    event::{Event, Time},
    kernel::LoadedModule,
};

/// How hard zstd tries: its default would take twice the time for a tenth less.
const LEVEL: i32 = 1;

/// Makes the bytes of a file's blocks, one after the other.
pub(super) struct Composer {
    file: u64,
    sequence: u64,
    events: u64,
    offset: u64,
    index: IndexWriter,
    compressor: Compressor<'static>,
}

impl Composer {
    /// A new file, and the bytes that it begins with.
    pub(super) fn begin(header: &Header) -> io::Result<(Self, Vec<u8>)> {
        let mut composer = Self {
            // Random, as far as telling files apart goes.
            file: RandomState::new().build_hasher().finish(),
            sequence: 0,
            events: 0,
            offset: 0,
            index: IndexWriter::default(),
            compressor: Compressor::new(LEVEL)?,
        };
        let mut bytes = block::preamble(composer.file).to_vec();
        composer.offset = bytes.len() as u64;
        let content = serde_json::to_vec(header)?;
        bytes.extend(composer.block(kind::HEADER, &Plain::of(content))?);
        Ok((composer, bytes))
    }

    /// The bytes of the next block of events.
    pub(super) fn events(&mut self, plain: &Plain) -> io::Result<Vec<u8>> {
        self.index.add(self.offset, plain);
        self.block(kind::EVENTS, plain)
    }

    /// The bytes of a block that says which modules were loaded.
    pub(super) fn modules(&mut self, modules: &[LoadedModule]) -> io::Result<Vec<u8>> {
        let content = serde_json::to_vec(modules)?;
        self.block(kind::MODULES, &Plain::of(content))
    }

    /// The bytes that the file ends with.
    pub(super) fn end(mut self, mut end: End) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut index = 0;
        if let Some(content) = self.index.content() {
            index = self.offset;
            bytes = self.block(kind::INDEX, &Plain::of(content))?;
        }
        end.events = self.events;
        let content = serde_json::to_vec(&end)?;
        bytes.extend(self.block(kind::END, &Plain::of(content))?);
        bytes.extend(block::trailer(index, self.file));
        Ok(bytes)
    }

    /// How many bytes the file has so far.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    /// About how many bytes the file will have if it ends now: at least as many as that.
    pub(super) fn length_at_end(&self) -> u64 {
        /// What the end says without numbers that depend on the file.
        const END: u64 = 512;
        /// What the index has of a block.
        const INDEXED: u64 = 32;
        self.offset + END + self.sequence * INDEXED
    }

    /// How many events the file has so far.
    pub(super) fn event_count(&self) -> u64 {
        self.events
    }

    fn block(&mut self, kind: u8, plain: &Plain) -> io::Result<Vec<u8>> {
        let mut bytes =
            Vec::with_capacity(HEADER + zstd::zstd_safe::compress_bound(plain.bytes.len()));
        bytes.resize(HEADER, 0);
        let compressed = self.compressor.compress(&plain.bytes)?;
        let compression = if compressed.len() < plain.bytes.len() {
            bytes.extend_from_slice(&compressed);
            compression::ZSTD
        } else {
            bytes.extend_from_slice(&plain.bytes);
            compression::NONE
        };
        let content = &bytes[HEADER..];
        let header = BlockHeader {
            kind,
            compression,
            sequence: self.sequence,
            stored: length(content)?,
            plain: length(&plain.bytes)?,
            events: plain.events,
            checksum: crc32fast::hash(content),
            first_event: self.events,
            earliest: plain.earliest,
            latest: plain.latest,
        };
        if let Some(place) = bytes.first_chunk_mut() {
            *place = header.to_bytes(self.file);
        }
        self.sequence += 1;
        self.events += u64::from(plain.events);
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}

fn length(content: &[u8]) -> io::Result<u32> {
    u32::try_from(content.len())
        .ok()
        .filter(|length| *length <= super::MOST_CONTENT)
        .ok_or_else(|| io::Error::other("the data is too large for a block"))
}

impl Plain {
    /// Content without events.
    fn of(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            events: 0,
            earliest: Time::default(),
            latest: Time::default(),
        }
    }
}

/// Writes events to a trace file as they come, waiting for whatever it is written to.
pub struct TraceFileWriter<W> {
    writer: W,
    composer: Composer,
    encoder: Encoder,
}

impl<W: Write> TraceFileWriter<W> {
    /// Begins a file.
    pub fn begin(mut writer: W, header: &Header) -> io::Result<Self> {
        let (composer, bytes) = Composer::begin(header)?;
        writer.write_all(&bytes)?;
        Ok(Self {
            writer,
            composer,
            encoder: Encoder::default(),
        })
    }

    /// Writes an event.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.encoder.push(event) == Err(TooLarge) {
            self.close_block()?;
            if self.encoder.push(event) == Err(TooLarge) {
                self.encoder.take();
                return Err(io::Error::other("an event is too large for a trace file"));
            }
        }
        if self.encoder.is_full() {
            self.close_block()?;
        }
        Ok(())
    }

    /// Writes which modules were loaded, before the stacks that go through them.
    pub fn modules(&mut self, modules: &[LoadedModule]) -> io::Result<()> {
        self.close_block()?;
        let bytes = self.composer.modules(modules)?;
        self.writer.write_all(&bytes)
    }

    /// Ends the block: what was written so far can be read.
    pub fn close_block(&mut self) -> io::Result<()> {
        let plain = self.encoder.take();
        if plain.events > 0 {
            let bytes = self.composer.events(&plain)?;
            self.writer.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Finishes the file cleanly. How many events there are is counted here.
    pub fn finish(mut self, end: End) -> io::Result<W> {
        self.close_block()?;
        let bytes = self.composer.end(end)?;
        self.writer.write_all(&bytes)?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}
