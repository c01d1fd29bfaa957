//! JSON lines, as `trace --json` writes them, as a source of events.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use crate::{
    event::{Event, LossCause, Time},
    evidence::{STREAM_VERSION, SourceInformation},
};

/// Why a stream of JSON lines could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The first line is not what such a stream begins with.
    #[error("the first line is not the `source` object that `trace --json` writes first: {0}")]
    NoSource(serde_json::Error),
    /// The first line says that members may mean something else.
    #[error(
        "a newer devres-tracer wrote it (version {0} of the stream, and this one reads {STREAM_VERSION}): read it with that one"
    )]
    Newer(u32),
    /// The stream is empty.
    #[error("the input is empty")]
    Empty,
    /// The first line takes more memory than any that the tracer writes.
    #[error("the first line has more than {LONGEST} bytes")]
    TooLong,
}

/// The most bytes that a line may have: more than a snapshot of a device with a hundred thousand resources.
const LONGEST: u64 = 64 << 20;
/// Lines that can't be read and are reported one by one; the others are counted.
const MOST_BAD_LINES: usize = 10;

/// Reads events from JSON lines.
pub struct Lines<R> {
    reader: R,
    information: SourceInformation,
    line: u64,
    text: Vec<u8>,
    /// How many events there were.
    events: u64,
    /// How many losses there were.
    losses: u64,
    time: Time,
    /// The last line was there, or its absence was reported.
    ended: bool,
    /// Lines that could not be read: how many, and the first of them in words.
    bad: u64,
    told: Vec<String>,
    problem: Option<&'static str>,
}

/// What the first line says of the stream's form.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Object {
    Event(Box<Event>),
    Loss {
        time: Time,
        count: u64,
        cause: LossCause,
    },
    Summary {
        #[serde(default)]
        events: u64,
        #[serde(default)]
        chosen_events: Option<u64>,
    },
    #[serde(other)]
    Other,
}

impl<R: BufRead> Lines<R> {
    /// Reads the first line, which says what could be observed.
    pub fn new(mut reader: R) -> Result<Self, LinesError> {
        let mut text = Vec::new();
        match read_line(&mut reader, &mut text)? {
            Line::End => return Err(LinesError::Empty),
            Line::TooLong => return Err(LinesError::TooLong),
            Line::Whole => {}
        }
        let information = serde_json::from_slice(&text).map_err(LinesError::NoSource)?;
        let Versioned { version } = serde_json::from_slice(&text).map_err(LinesError::NoSource)?;
        if version > STREAM_VERSION {
            return Err(LinesError::Newer(version));
        }
        Ok(Self {
            reader,
            information,
            line: 1,
            text,
            events: 0,
            losses: 0,
            time: Time::default(),
            ended: false,
            bad: 0,
            told: Vec::new(),
            problem: None,
        })
    }

    /// What the first line says.
    #[must_use]
    pub fn information(&self) -> &SourceInformation {
        &self.information
    }

    /// What keeps the events from being all there were, once they have been read.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.told.clone();
        let more = self.bad.saturating_sub(problems.len() as u64);
        if more > 0 {
            let lines = if more == 1 { "line" } else { "lines" };
            problems.push(format!("{more} more {lines} can't be read"));
        }
        problems.extend(self.problem.map(str::to_owned));
        problems
    }

    /// The next event, or `None` at the end. Findings in the stream are passed over: they are made anew from
    /// the events. A line that can't be read is a loss. Where the stream was cut off, or has fewer events than
    /// there were, the last event is a loss.
    pub fn next_event(&mut self) -> Result<Option<Event>, LinesError> {
        loop {
            self.text.clear();
            self.line += 1;
            match read_line(&mut self.reader, &mut self.text)? {
                Line::End => {
                    return Ok(self.missing(
                        1,
                        "it has no summary: the tracer was killed, or the file was cut off; the end is missing",
                    ));
                }
                Line::TooLong => {
                    return Ok(Some(
                        self.unreadable(&format!("it has more than {LONGEST} bytes")),
                    ));
                }
                Line::Whole => {}
            }
            if self.text.trim_ascii().is_empty() {
                continue;
            }
            let object = match serde_json::from_slice(&self.text) {
                Ok(object) => object,
                // Cut off in the middle of its last line.
                Err(_) if !self.text.ends_with(b"\n") => continue,
                Err(error) => return Ok(Some(self.unreadable(&error.to_string()))),
            };
            match object {
                Object::Event(event) => {
                    self.events += 1;
                    self.time = event.time;
                    return Ok(Some(*event));
                }
                Object::Loss { time, count, cause } => {
                    self.losses += 1;
                    self.time = time;
                    return Ok(Some(Event::loss(time, count, cause)));
                }
                Object::Summary {
                    events,
                    chosen_events,
                } => {
                    if let Some(missing) = self.compare(chosen_events.unwrap_or(events)) {
                        return Ok(Some(missing));
                    }
                    self.ended = true;
                }
                Object::Other => {}
            }
        }
    }

    /// The loss of what is missing, where so many events were written.
    fn compare(&mut self, written: u64) -> Option<Event> {
        let read = self.events + self.losses + self.bad;
        let missing = written.saturating_sub(read);
        if missing == 0 {
            None
        } else if self.events == 0 {
            self.missing(missing, "it has no events: write it without --quiet")
        } else {
            self.missing(
                missing,
                "it has fewer events than its summary says: lines were removed",
            )
        }
    }

    /// The loss of the line that was read.
    fn unreadable(&mut self, why: &str) -> Event {
        self.bad += 1;
        if self.told.len() < MOST_BAD_LINES {
            let line = self.line;
            self.told.push(format!("line {line} can't be read: {why}"));
        }
        Event::loss(self.time, 1, LossCause::Input)
    }

    /// The loss of what is missing, if that was not reported yet.
    fn missing(&mut self, count: u64, problem: &'static str) -> Option<Event> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        self.problem = Some(problem);
        Some(Event::loss(self.time, count, LossCause::Input))
    }
}

/// What came of reading a line.
enum Line {
    /// It was read, with its end.
    Whole,
    /// It was passed over.
    TooLong,
    /// There was none.
    End,
}

/// Reads a line with its end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    let length = reader.by_ref().take(LONGEST).read_until(b'\n', line)?;
    if length == 0 {
        return Ok(Line::End);
    }
    if length as u64 == LONGEST && !line.ends_with(b"\n") {
        line.clear();
        reader.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(Line::Whole)
}
