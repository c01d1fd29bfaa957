//! Something that was recorded earlier, of whatever kind: what every command that reads opens.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::ControlFlow,
    path::Path,
};

use super::{
    lines::{Lines, LinesError},
    text::{self, Import, ImportError},
};
use crate::{
    escape::Escaped,
    event::Event,
    sink::{LineCounts, SourceInformation},
};

/// A recording that is being read.
pub struct Recording {
    information: SourceInformation,
    content: Content,
}

enum Content {
    /// JSON lines, as `trace --json` writes them.
    Lines(Box<Lines<Box<dyn BufRead>>>),
    /// A pasted log or trace.
    Text(Box<Import>),
}

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be opened.
    #[error("{} can't be opened", Escaped(.name))]
    Open {
        /// What was to be opened.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// Reading failed, or it is damaged from its first line on.
    #[error("{} can't be read", Escaped(.name))]
    Lines {
        /// What was being read.
        name: String,
        /// Why not.
        source: LinesError,
    },
    /// It holds nothing that is an event.
    #[error("{}", Escaped(.name))]
    Text {
        /// What was being read.
        name: String,
        /// Why not.
        source: ImportError,
    },
}

impl Recording {
    /// Opens a file, or standard input where the path is `-`, and finds out what it is.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::read(Box::new(BufReader::new(io::stdin())), name);
        }
        match File::open(path) {
            Ok(file) => Self::read(Box::new(BufReader::with_capacity(1 << 16, file)), name),
            Err(source) => Err(RecordingError::Open { name, source }),
        }
    }

    /// Reads from any reader; `name` is what errors call it.
    pub fn read(mut reader: Box<dyn BufRead>, name: String) -> Result<Self, RecordingError> {
        let beginning = match beginning(&mut reader) {
            Ok(beginning) => beginning,
            Err(source) => return Err(RecordingError::Open { name, source }),
        };
        let is_json = beginning.trim_ascii_start().starts_with(b"{");
        let reader: Box<dyn BufRead> = Box::new(io::Cursor::new(beginning).chain(reader));
        if is_json {
            let lines =
                Lines::new(reader).map_err(|source| RecordingError::Lines { name, source })?;
            Ok(Self {
                information: lines.information().clone(),
                content: Content::Lines(Box::new(lines)),
            })
        } else {
            let text =
                text::read(reader).map_err(|source| RecordingError::Text { name, source })?;
            Ok(Self {
                information: SourceInformation {
                    tool: env!("CARGO_PKG_VERSION").to_owned(),
                    kernel: None,
                    machine: None,
                    coverage: text.coverage().clone(),
                },
                content: Content::Text(Box::new(text)),
            })
        }
    }

    /// What its beginning says of the source.
    #[must_use]
    pub fn information(&self) -> &SourceInformation {
        &self.information
    }

    /// How much of a text was recognised.
    #[must_use]
    pub fn line_counts(&self) -> Option<LineCounts> {
        match &self.content {
            Content::Lines(_) => None,
            Content::Text(text) => Some(LineCounts {
                lines: text.statistics().lines,
                event_lines: text.statistics().event_lines,
            }),
        }
    }

    /// Shows `each` every event, in order, until it says that this is enough.
    pub fn for_each(
        &mut self,
        mut each: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), RecordingError> {
        match &mut self.content {
            Content::Lines(lines) => loop {
                let event = lines.next_event().map_err(|source| RecordingError::Lines {
                    name: "the recording".to_owned(),
                    source,
                })?;
                match event {
                    Some(event) if each(&event).is_continue() => {}
                    _ => return Ok(()),
                }
            },
            Content::Text(text) => {
                for event in text.events() {
                    if each(&event).is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// As much of the beginning as tells what it is.
fn beginning(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
