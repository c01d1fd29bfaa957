//! Something that was recorded earlier, of whatever kind: what every command that reads opens.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::ControlFlow,
    path::Path,
};

use super::{
    chain,
    encoding::{self, Encoding},
    lines::{Lines, LinesError},
    packed::{self, Packed, UnpackError, Unpacking},
    redaction::Redaction,
    text::{self, Import, ImportError},
    tracefs::Recorded,
};
use crate::{
    event::{Death, Event, Time},
    evidence::{LineCounts, LostBy, SourceEnd, SourceInformation},
    kernel::{LoadedModule, Machine},
    trace_file::{self, Events, Header, TraceFileError},
};

/// A recording that is being read.
pub struct Recording {
    information: SourceInformation,
    name: String,
    content: Content,
    /// The tool through which it is read, until that has ended.
    unpacking: Option<Unpacking>,
    /// What is added to what it says, if anything.
    annotator: Option<Box<dyn Annotator>>,
    /// What stands for what it says, if that is not to be shown.
    redaction: Option<Redaction>,
}

/// Adds to events what else can be known of them, such as the lines of the source that a stack goes through.
pub trait Annotator {
    /// From the next event on these modules were loaded.
    fn loaded(&mut self, modules: &[LoadedModule]);
    /// The event with what is known; `None` if nothing is.
    fn annotated(&mut self, event: &Event) -> Option<Event>;
    /// What there is to say at the end, one sentence each: why something is not known.
    fn remarks(&self) -> Vec<String>;
}

enum Content {
    /// JSON lines, as `trace --json` writes them.
    Lines(Box<Lines<Box<dyn BufRead>>>),
    /// A pasted log or trace.
    Text(Box<Import>),
    /// A trace file.
    File(Box<Header>, Box<Events<Box<dyn BufRead>>>),
}

/// Why a recording can't be read. The names in it are as they are: who shows them escapes them.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be opened.
    #[error("{name} can't be opened")]
    Open {
        /// What was to be opened.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// Reading failed, or it is damaged from its first line on.
    #[error("{name} can't be read")]
    Lines {
        /// What was being read.
        name: String,
        /// Why not.
        source: LinesError,
    },
    /// It is a trace file, and nothing of it can be read.
    #[error("{name} can't be read")]
    File {
        /// What was being read.
        name: String,
        /// Why not.
        source: TraceFileError,
    },
    /// It is of a kind that another tool makes text of, and that tool can't.
    #[error("{name} is {packed}")]
    Unpack {
        /// What was to be read.
        name: String,
        /// What it is.
        packed: Packed,
        /// Why the tool was of no use.
        source: Box<UnpackError>,
    },
    /// The tool that makes text of it failed after it had begun.
    #[error("{name} can't be read to its end")]
    Tool {
        /// What was being read.
        name: String,
        /// How the tool ended.
        source: Box<UnpackError>,
    },
    /// It is of a kind that another tool makes text of, and no file that could be given to it.
    #[error("{name} is {packed}")]
    Packed {
        /// What was to be read.
        name: String,
        /// What it is.
        packed: Packed,
    },
    /// It is no trace file, and no text that could be read as one.
    #[error("{name} is neither a trace file nor text")]
    NotText {
        /// What was to be read.
        name: String,
    },
    /// It holds nothing that is an event.
    #[error("{name}")]
    Text {
        /// What was being read.
        name: String,
        /// Why not.
        source: ImportError,
    },
}

impl Recording {
    /// Opens a file, or standard input where the path is `-`, and finds out what it is. A file of another tool, such as
    /// `trace.dat`, is read through that tool, if it is installed.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::open_through(path, |file| Box::new(file))
    }

    /// Like [`open`](Self::open); a file is read through what `watch` makes of it.
    pub fn open_through(
        path: &Path,
        watch: impl FnOnce(File) -> Box<dyn Read>,
    ) -> Result<Self, RecordingError> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::read(Box::new(BufReader::new(io::stdin())), name);
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(source) => return Err(RecordingError::Open { name, source }),
        };
        let recorded = Recorded::beside(path);
        let reader = Box::new(BufReader::with_capacity(1 << 16, watch(file)));
        let mut recording = match Self::read(reader, name) {
            Err(RecordingError::Packed { name, packed }) if path.is_file() => {
                Self::unpack(path, name, packed)?
            }
            read => read?,
        };
        if let Some(recorded) = recorded {
            recorded.complete(&mut recording.information.coverage);
        }
        Ok(recording)
    }

    /// Reads a file through the tool for its kind.
    fn unpack(path: &Path, name: String, packed: Packed) -> Result<Self, RecordingError> {
        let failed = |name, source| RecordingError::Unpack {
            name,
            packed,
            source,
        };
        let (mut unpacking, text) = match Unpacking::start(packed, path) {
            Ok(started) => started,
            Err(source) => return Err(failed(name, Box::new(source))),
        };
        match Self::read(Box::new(text), name.clone()) {
            Ok(recording) => Ok(Self {
                unpacking: Some(unpacking),
                ..recording
            }),
            // Of a tool that failed there may be nothing to read.
            Err(RecordingError::Text {
                name,
                source: source @ (ImportError::NoEvents { .. } | ImportError::Empty),
            }) => Err(match unpacking.end() {
                Ok(()) => RecordingError::Text { name, source },
                Err(source) => failed(name, Box::new(source)),
            }),
            Err(error) => Err(error),
        }
    }

    /// Reads from any reader; `name` is what errors call it.
    pub fn read(mut reader: Box<dyn BufRead>, name: String) -> Result<Self, RecordingError> {
        let beginning = match beginning(&mut reader) {
            Ok(beginning) => beginning,
            Err(source) => return Err(RecordingError::Open { name, source }),
        };
        if let Some(packed) = packed::known(&beginning) {
            return Err(RecordingError::Packed { name, packed });
        }
        let is_trace_file = trace_file::is_one(&beginning);
        let encoding = Encoding::of(&beginning);
        let is_text = is_text(&beginning, encoding);
        let is_json = is_json(&encoding::ascii(&beginning));
        let mut reader: Box<dyn BufRead> = Box::new(io::Cursor::new(beginning).chain(reader));
        if is_json && !is_trace_file {
            reader = encoding.decoded(reader);
        }
        let (information, content) = if is_trace_file {
            match Events::new(reader) {
                Ok((header, events)) => (
                    header.source.clone(),
                    Content::File(Box::new(header), Box::new(events)),
                ),
                Err(source) => return Err(RecordingError::File { name, source }),
            }
        } else if is_json {
            match Lines::new(reader) {
                Ok(lines) => (lines.information().clone(), Content::Lines(Box::new(lines))),
                Err(source) => return Err(RecordingError::Lines { name, source }),
            }
        } else {
            match text::read(reader) {
                Ok(text) => (
                    SourceInformation {
                        tool: env!("CARGO_PKG_VERSION").to_owned(),
                        kernel: None,
                        machine: None,
                        coverage: text.coverage().clone(),
                        filters: Vec::new(),
                    },
                    Content::Text(Box::new(text)),
                ),
                Err(ImportError::NoEvents { .. }) if !is_text => {
                    return Err(RecordingError::NotText { name });
                }
                Err(source) => return Err(RecordingError::Text { name, source }),
            }
        };
        Ok(Self {
            information,
            name,
            content,
            unpacking: None,
            annotator: None,
            redaction: None,
        })
    }

    /// From here on it shows tokens instead of addresses, serials and what else only this machine has. Yields what it is
    /// called then: without directories.
    pub fn redact(&mut self) -> String {
        let mut redaction = Redaction::new();
        redaction.information(&mut self.information);
        if let Content::File(header, _) = &mut self.content {
            redaction.header(header);
        }
        let name = Path::new(&self.name).file_name().unwrap_or_default();
        let mut name = name.to_string_lossy().into_owned();
        redaction.words(&mut name);
        self.redaction = Some(redaction);
        name
    }

    /// From here on its events have what this adds to them.
    pub fn annotate(&mut self, annotator: Box<dyn Annotator>) {
        self.annotator = Some(annotator);
    }

    /// What there is to say of what was added; complete only after [`for_each`](Self::for_each).
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let annotator = self.annotator.as_ref();
        annotator.map(|one| one.remarks()).unwrap_or_default()
    }

    /// What its beginning says of the source.
    #[must_use]
    pub fn information(&self) -> &SourceInformation {
        &self.information
    }

    /// What a trace file says of itself; `None` for others.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match &self.content {
            Content::File(header, _) => Some(header),
            Content::Lines(_) | Content::Text(_) => None,
        }
    }

    /// How much of a text was recognised.
    #[must_use]
    pub fn line_counts(&self) -> Option<LineCounts> {
        match &self.content {
            Content::Lines(_) => None,
            Content::File(header, _) => header.lines,
            Content::Text(text) => Some(LineCounts {
                lines: text.statistics().lines,
                event_lines: text.statistics().event_lines,
                cut_lines: text.statistics().cut,
            }),
        }
    }

    /// The machine that it is of, where a text says so.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        match &self.content {
            Content::Text(text) => text.machine(),
            Content::Lines(_) | Content::File(..) => None,
        }
    }

    /// How the machine died that it is of, where a text says.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        match &self.content {
            Content::Text(text) => text.death(),
            Content::Lines(_) | Content::File(..) => None,
        }
    }

    /// What keeps the events from being all there were, one sentence each: that it was cut off, or is
    /// damaged. Complete only after [`for_each`](Self::for_each), which yields a loss of events at each such
    /// place, so that no verdict passes over it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match &self.content {
            Content::Lines(lines) => lines.problems(),
            Content::Text(text) => text.problems(),
            Content::File(_, events) => events.ending().problems(),
        }
    }

    /// What found no room in the ring buffer while it was recorded; known after
    /// [`for_each`](Self::for_each).
    fn lost_by(&self) -> Vec<LostBy> {
        match &self.content {
            Content::Lines(_) | Content::Text(_) => Vec::new(),
            Content::File(_, events) => {
                let end = events.ending().end.as_ref();
                end.map(|end| end.lost_by.iter().map(LostBy::from).collect())
                    .unwrap_or_default()
            }
        }
    }

    /// Until when nothing more had happened, where that is reported; known after [`for_each`](Self::for_each).
    fn until(&self) -> Option<Time> {
        match &self.content {
            Content::Lines(_) | Content::Text(_) => None,
            Content::File(_, events) => events.ending().end.as_ref()?.until.map(Time),
        }
    }

    /// Shows `each` every event, in order, until it says that this is enough. Returns what there is to say at the end.
    pub fn replay(&mut self, mut each: impl FnMut(&Event) -> ControlFlow<()>) -> SourceEnd {
        self.replay_with_modules(|event, _| each(event))
    }

    /// Like [`replay`](Self::replay); with an event it shows which modules were loaded before it, where that is not known yet.
    pub fn replay_with_modules(
        &mut self,
        each: impl FnMut(&Event, &[LoadedModule]) -> ControlFlow<()>,
    ) -> SourceEnd {
        let damage = self
            .for_each_with_modules(each)
            .err()
            .map(|error| chain(&error));
        let mut end = SourceEnd {
            lost_by: self.lost_by(),
            lines: self.line_counts(),
            problems: self.problems(),
            damage,
            until: self.until(),
        };
        if let Some(redaction) = &mut self.redaction {
            redaction.end(&mut end);
        }
        end
    }

    /// Like [`replay`](Self::replay), for those to whom a recording that can't be read to its end is of no use.
    pub fn for_each(
        &mut self,
        mut each: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), RecordingError> {
        self.for_each_with_modules(|event, _| each(event))
    }

    fn for_each_with_modules(
        &mut self,
        mut each: impl FnMut(&Event, &[LoadedModule]) -> ControlFlow<()>,
    ) -> Result<(), RecordingError> {
        let (mut annotator, mut redaction) = (self.annotator.take(), self.redaction.take());
        let shown = self.each_event(&mut |event, mut modules| {
            let mut event = Cow::Borrowed(event);
            if let Some(annotator) = &mut annotator {
                annotator.loaded(&modules);
                event = match annotator.annotated(&event) {
                    Some(annotated) => Cow::Owned(annotated),
                    None => event,
                };
            }
            if let Some(redaction) = &mut redaction {
                for module in &mut modules {
                    redaction.module(module);
                }
                event = Cow::Owned(redaction.event(&event));
            }
            each(&event, &modules)
        });
        (self.annotator, self.redaction) = (annotator, redaction);
        if shown?.is_break() {
            return Ok(());
        }
        let Some(mut unpacking) = self.unpacking.take() else {
            return Ok(());
        };
        unpacking.end().map_err(|source| RecordingError::Tool {
            name: self.name.clone(),
            source: Box::new(source),
        })
    }

    /// Shows `each` every event; whether it was enough before the end.
    fn each_event(
        &mut self,
        each: &mut dyn FnMut(&Event, Vec<LoadedModule>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RecordingError> {
        let none = Vec::new;
        match &mut self.content {
            Content::Lines(lines) => loop {
                match lines.next_event() {
                    Ok(Some(event)) if each(&event, none()).is_continue() => {}
                    Ok(Some(_)) => return Ok(ControlFlow::Break(())),
                    Ok(None) => return Ok(ControlFlow::Continue(())),
                    Err(source) => {
                        let name = self.name.clone();
                        return Err(RecordingError::Lines { name, source });
                    }
                }
            },
            Content::Text(text) => Ok(text.events().try_for_each(|event| each(&event, none()))),
            Content::File(_, events) => loop {
                match events.next_event() {
                    Ok(Some(event)) if each(&event, events.take_modules()).is_continue() => {}
                    Ok(Some(_)) => return Ok(ControlFlow::Break(())),
                    Ok(None) => return Ok(ControlFlow::Continue(())),
                    Err(source) => {
                        let name = self.name.clone();
                        return Err(RecordingError::File { name, source });
                    }
                }
            },
        }
    }
}

/// Whether what begins like this is a text: programs, pictures and the like have many bytes that no text has.
fn is_text(beginning: &[u8], encoding: Encoding) -> bool {
    let foreign = beginning
        .iter()
        .filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
        .count();
    encoding != Encoding::Plain || foreign <= beginning.len() / 4
}

/// Whether it begins with an object as the tracer writes them: other JSON is a log like any other.
fn is_json(beginning: &[u8]) -> bool {
    let after = |text: &'_ [u8], word: &[u8]| {
        text.trim_ascii_start()
            .strip_prefix(word)
            .map(|rest| rest.trim_ascii_start().to_vec())
    };
    after(beginning, b"{")
        .and_then(|rest| after(&rest, b"\"type\""))
        .and_then(|rest| after(&rest, b":"))
        .is_some_and(|rest| {
            ["source", "event", "loss", "finding", "device", "summary"]
                .iter()
                .any(|sort| rest.starts_with(format!("\"{sort}\"").as_bytes()))
        })
}

/// As much of the beginning as shows what it is.
fn beginning(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
