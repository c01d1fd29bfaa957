//! JSON lines, as `trace --json` writes them, as a source of events.

use std::io::{self, BufRead};

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
    /// A line is not JSON.
    #[error("line {line} can't be read: {error}")]
    Line {
        /// Its number, counted from one.
        line: u64,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// Reads events from JSON lines.
pub struct Lines<R> {
    reader: R,
    information: SourceInformation,
    line: u64,
    text: String,
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
    #[serde(other)]
    Other,
}

impl<R: BufRead> Lines<R> {
    /// Reads the first line, which tells what could be seen.
    pub fn new(mut reader: R) -> Result<Self, LinesError> {
        let mut text = String::new();
        if reader.read_line(&mut text)? == 0 {
            return Err(LinesError::Empty);
        }
        let information = serde_json::from_str(&text).map_err(LinesError::NoSource)?;
        Ok(Self {
            reader,
            information,
            line: 1,
            text,
        })
    }

    /// What the first line says.
    #[must_use]
    pub fn information(&self) -> &SourceInformation {
        &self.information
    }

    /// The next event, or `None` at the end. Findings and summaries in the stream are passed over: they
    /// are made anew from the events.
    pub fn next_event(&mut self) -> Result<Option<Event>, LinesError> {
        loop {
            self.text.clear();
            self.line += 1;
            if self.reader.read_line(&mut self.text)? == 0 {
                return Ok(None);
            }
            if self.text.trim().is_empty() {
                continue;
            }
            let object = serde_json::from_str(&self.text).map_err(|error| LinesError::Line {
                line: self.line,
                error,
            })?;
            match object {
                Object::Event(event) => return Ok(Some(*event)),
                Object::Loss { time, count, cause } => return Ok(Some(loss(time, count, cause))),
                Object::Other => {}
            }
        }
    }
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
