//! JSON lines, as `trace --json` writes them, as a source of events.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use crate::{
    event::{DeviceAddress, Event, EventKind, Loss, LossCause, Task, Time},
    sink::SourceInformation,
};

/// Why a stream of JSON lines could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The first line is not what such a stream begins with.
    #[error("the first line is not the `source` object that `trace --json` begins with: {0}")]
    NoSource(serde_json::Error),
    /// The stream is empty.
    #[error("the input is empty")]
    Empty,
    /// A line takes more memory than any that the tracer writes.
    #[error("line {0} has more than {LONGEST} bytes")]
    TooLong(u64),
    /// A line is not JSON.
    #[error("line {line} can't be read: {error}")]
    Line {
        /// Its number, counted from one.
        line: u64,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// The most bytes that a line may have: more than a snapshot of a device with a hundred thousand resources.
const LONGEST: u64 = 64 << 20;

/// Reads events from JSON lines.
pub struct Lines<R> {
    reader: R,
    information: SourceInformation,
    line: u64,
    text: Vec<u8>,
    /// How many events there were.
    events: u64,
    time: Time,
    /// The last line was there, or that it is missing was told.
    ended: bool,
    problem: Option<&'static str>,
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
    },
    #[serde(other)]
    Other,
}

impl<R: BufRead> Lines<R> {
    /// Reads the first line, which tells what could be seen.
    pub fn new(mut reader: R) -> Result<Self, LinesError> {
        let mut text = Vec::new();
        if read_line(&mut reader, 1, &mut text)? == 0 {
            return Err(LinesError::Empty);
        }
        let information = serde_json::from_slice(&text).map_err(LinesError::NoSource)?;
        Ok(Self {
            reader,
            information,
            line: 1,
            text,
            events: 0,
            time: Time::default(),
            ended: false,
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
    pub fn problem(&self) -> Option<&'static str> {
        self.problem
    }

    /// The next event, or `None` at the end. Findings in the stream are passed over: they are made anew from
    /// the events. Where the stream was cut off, or has no events although there were some, the last event
    /// is a loss.
    pub fn next_event(&mut self) -> Result<Option<Event>, LinesError> {
        loop {
            self.text.clear();
            self.line += 1;
            if read_line(&mut self.reader, self.line, &mut self.text)? == 0 {
                return Ok(self.missing(
                    1,
                    "it ends without its summary: the tracer was killed, or the file was cut off; what came after is missing",
                ));
            }
            if self.text.trim_ascii().is_empty() {
                continue;
            }
            let object = match serde_json::from_slice(&self.text) {
                Ok(object) => object,
                // Cut off in the middle of its last line.
                Err(_) if !self.text.ends_with(b"\n") => continue,
                Err(error) => {
                    let line = self.line;
                    return Err(LinesError::Line { line, error });
                }
            };
            match object {
                Object::Event(event) => {
                    self.events += 1;
                    self.time = event.time;
                    return Ok(Some(*event));
                }
                Object::Loss { time, count, cause } => {
                    self.time = time;
                    return Ok(Some(loss(time, count, cause)));
                }
                Object::Summary { events } if self.events == 0 && events > 0 => {
                    return Ok(self.missing(
                        events,
                        "it was written without its events: make it without --quiet",
                    ));
                }
                Object::Summary { .. } => self.ended = true,
                Object::Other => {}
            }
        }
    }

    /// The loss of what is missing, if that was not told yet.
    fn missing(&mut self, count: u64, problem: &'static str) -> Option<Event> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        self.problem = Some(problem);
        Some(loss(self.time, count, LossCause::Input))
    }
}

/// Reads a line with its end, and tells how many bytes it has.
fn read_line(
    reader: &mut impl BufRead,
    number: u64,
    line: &mut Vec<u8>,
) -> Result<usize, LinesError> {
    let length = reader.by_ref().take(LONGEST).read_until(b'\n', line)?;
    if length as u64 == LONGEST {
        return Err(LinesError::TooLong(number));
    }
    Ok(length)
}

fn loss(time: Time, count: u64, cause: LossCause) -> Event {
    Event {
        time,
        task: Task::default(),
        cpu: 0,
        device: DeviceAddress::NONE,
        stack: None,
        kind: EventKind::Loss(Loss { count, cause }),
    }
}
