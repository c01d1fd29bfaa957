//! Trace files: events as they were recorded, for later. `docs/trace-format.md` describes every byte.
//!
//! A file is a sequence of blocks, each checked and compressed by itself and each with tables of its own, so
//! that any block can be read without those before it. A file is whole as far as its blocks are: what ends
//! without an end block was not cleanly finished, and says so.

mod block;
pub(crate) mod bytes;
pub(crate) mod continuation;
mod create;
mod decode;
mod encode;
mod events;
mod header;
mod index;
mod input;
mod integrity;
mod modules;
mod numbers;
mod recorder;
mod rotation;
mod splat;
mod tables;
mod writer;
mod writing;

pub use block::BlockInfo;
pub use create::create;
pub use events::{Events, TraceFileError};
pub use header::{Clock, End, EndedBy, Header, LostAt};
pub use index::TraceFile;
pub use integrity::{Damage, Integrity};
pub use recorder::{Recorded, Recorder, RecorderError, RecorderOptions};
pub use rotation::Rotation;
pub use writer::TraceFileWriter;

/// The suffix of a trace file's name.
pub const SUFFIX: &str = "dvrt";

/// The first bytes of every trace file. The first is no text, and the others show a copy that changed line
/// ends.
pub const MAGIC: [u8; 8] = *b"\x89DVRT\r\n\x1a";

/// Whether something that begins like this is a trace file, perhaps with a damaged beginning.
#[must_use]
pub fn is_one(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC[..1]) || beginning.get(1..5) == Some(&MAGIC[1..5])
}

/// The version of the format that is written. Every version up to it can be read.
pub const VERSION: u16 = 2;

/// The most bytes that a block's content may have, compressed or not: a reader never takes more memory than
/// that for a block, whatever its header says.
const MOST_CONTENT: u32 = 8 << 20;

/// A block of events is closed when its content has this many bytes.
const FULL_BLOCK: usize = 256 << 10;
