//! From a trace file to events.

use std::io::{self, Read};

use super::{
    VERSION,
    block::{BlockHeader, BlockInfo, kind},
    bytes::Cursor,
    decode::Decoder,
    header::{End, Header},
    input::{Blocks, Next, Unreadable},
};
use crate::{
    event::{Event, LossCause, Time},
    kernel::LoadedModule,
    trace_file::integrity::Integrity,
};

/// Why a trace file can't be read at all. What is damaged further on is no error: see [`Integrity`].
#[derive(Debug, thiserror::Error)]
pub enum TraceFileError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A newer version of the tool has made it.
    #[error(
        "it has trace format version {0}; this devres-tracer reads versions up to {VERSION}: use a newer one"
    )]
    Newer(u16),
    /// Its first bytes are not those of a trace file, or damaged.
    #[error("it does not start like a trace file, or its start is damaged")]
    NoTraceFile,
    /// What it says of itself can't be read, and nothing can be judged without that.
    #[error("its header is damaged or cut off")]
    NoHeader,
    /// What it says of itself makes no sense to this version.
    #[error("its header can't be parsed: {0}")]
    Header(serde_json::Error),
}

impl From<Unreadable> for TraceFileError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Read(error) => Self::Read(error),
            Unreadable::Newer(version) => Self::Newer(version),
            Unreadable::Damaged => Self::NoTraceFile,
        }
    }
}

/// Reads the events of a trace file, in order.
///
/// Where the file is damaged or was cut off, a loss with the cause [`LossCause::Input`] comes instead of
/// what is missing, and the reading goes on with the next block that is whole.
pub struct Events<R> {
    blocks: Blocks<R>,
    decoder: Decoder,
    /// How much of the block has been decoded.
    position: usize,
    /// Events of the block that are still to come.
    left: u32,
    /// Where the block begins.
    offset: u64,
    /// How many events the file has before the next one.
    number: u64,
    time: Time,
    /// What is missing was not reported yet.
    missing: Option<Missing>,
    ending: Integrity,
    over: bool,
    /// Modules that the events from here on are of.
    modules: Vec<LoadedModule>,
}

/// Something is missing: nobody knows how much, but at least up to this event if that is known.
#[derive(Debug, Clone, Copy, Default)]
struct Missing {
    up_to: u64,
}

/// After so many places the rest of a file is not read.
const MOST_DAMAGES: u64 = 1000;

impl<R: Read> Events<R> {
    /// Reads what the file says of itself.
    pub fn new(reader: R) -> Result<(Header, Self), TraceFileError> {
        let mut blocks = Blocks::new(reader)?;
        match blocks.next()? {
            Next::Block {
                header: BlockHeader {
                    kind: kind::HEADER, ..
                },
                missing: false,
                ..
            } => {}
            _ => return Err(TraceFileError::NoHeader),
        }
        let header = serde_json::from_slice(blocks.content()).map_err(TraceFileError::Header)?;
        Ok((header, Self::reading(blocks, 0)))
    }

    /// Reads on from a block.
    pub(super) fn from(reader: R, block: &BlockInfo, file: u64) -> io::Result<Self> {
        let blocks = Blocks::from(reader, block.offset, file)?;
        let mut events = Self::reading(blocks, block.first_event);
        events.time = block.earliest;
        Ok(events)
    }

    fn reading(blocks: Blocks<R>, number: u64) -> Self {
        Self {
            blocks,
            decoder: Decoder::default(),
            position: 0,
            left: 0,
            offset: 0,
            number,
            time: Time::default(),
            missing: None,
            ending: Integrity::default(),
            over: false,
            modules: Vec::new(),
        }
    }

    /// The file's number.
    pub(super) fn file(&self) -> u64 {
        self.blocks.file()
    }

    /// Which modules were loaded, as far as the file has said that before the last event and it was not taken yet.
    pub fn take_modules(&mut self) -> Vec<LoadedModule> {
        std::mem::take(&mut self.modules)
    }

    /// How the file ended, once there are no more events; until then, what was wrong so far.
    #[must_use]
    pub fn ending(&self) -> &Integrity {
        &self.ending
    }

    /// The next event, or `None` at the end.
    pub fn next_event(&mut self) -> Result<Option<Event>, TraceFileError> {
        loop {
            if self.left > 0 {
                if let Some(event) = self.decode() {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.over {
                return Ok(self.loss(None));
            }
            if let Some(loss) = self.next_block()? {
                return Ok(Some(loss));
            }
        }
    }

    fn decode(&mut self) -> Option<Event> {
        let content = self.blocks.content();
        let mut cursor = Cursor::new(content.get(self.position..).unwrap_or_default());
        let decoded = self.decoder.event(&mut cursor);
        self.position = content.len() - cursor.left();
        match decoded {
            Ok(event) => {
                self.left -= 1;
                self.number += 1;
                self.time = event.time;
                if self.left == 0 && cursor.left() > 0 {
                    self.damaged(self.offset, "a block has extra bytes after its events", 0);
                }
                Some(event)
            }
            Err(malformed) => {
                let up_to = self.number.saturating_add(u64::from(self.left));
                self.left = 0;
                self.damaged(self.offset, malformed.0, up_to);
                None
            }
        }
    }

    /// Takes the next block up. Yields the loss of what should be before it.
    fn next_block(&mut self) -> Result<Option<Event>, TraceFileError> {
        if self.ending.damage_count >= MOST_DAMAGES {
            self.over = true;
            self.ending.given_up = true;
            self.missing.get_or_insert_default();
            return Ok(None);
        }
        match self.blocks.next()? {
            Next::Nothing => {
                self.over = true;
                self.ending.cut_off = true;
                self.missing.get_or_insert_default();
                Ok(None)
            }
            Next::Damage {
                offset,
                what,
                block,
            } => {
                let up_to = block.map_or(0, |block| {
                    block.first_event.saturating_add(u64::from(block.events))
                });
                self.damaged(offset, what, up_to);
                Ok(None)
            }
            Next::Block {
                header,
                offset,
                missing,
            } => {
                let gap = header.first_event != self.number;
                if (missing || gap) && self.missing.is_none() {
                    self.damaged(offset, "blocks are missing before this one", 0);
                }
                let loss = self.loss(Some(&header));
                self.number = header.first_event;
                match header.kind {
                    kind::EVENTS => {
                        self.decoder.begin_block();
                        (self.position, self.left, self.offset) = (0, header.events, offset);
                        if header.events == 0 {
                            self.damaged(offset, "a block of events has none", 0);
                        }
                    }
                    kind::END => self.end(offset)?,
                    // What is in another form is of no use, and nothing else depends on it.
                    kind::MODULES => self.modules.extend(
                        serde_json::from_slice::<Vec<LoadedModule>>(self.blocks.content())
                            .unwrap_or_default(),
                    ),
                    _ => {}
                }
                Ok(loss)
            }
        }
    }

    fn end(&mut self, offset: u64) -> Result<(), TraceFileError> {
        self.over = true;
        match serde_json::from_slice::<End>(self.blocks.content()) {
            Ok(end) if end.events == self.number => self.ending.end = Some(end),
            _ => self.damaged(offset, "the end block does not match the file", 0),
        }
        if !self.blocks.ends()? {
            self.damaged(offset, "unexpected data follows the last block", 0);
        }
        Ok(())
    }

    fn damaged(&mut self, offset: u64, what: &'static str, up_to: u64) {
        self.ending.damaged(offset, what);
        let missing = self.missing.get_or_insert_default();
        missing.up_to = missing.up_to.max(up_to);
    }

    /// What is missing before the next block, or at the end, if that was not reported yet.
    fn loss(&mut self, next: Option<&BlockHeader>) -> Option<Event> {
        let missing = self.missing.take()?;
        let up_to = next.map_or(missing.up_to, |header| header.first_event);
        let count = up_to.saturating_sub(self.number).max(1);
        Some(Event::loss(self.time, count, LossCause::Input))
    }
}
