//! JSON lines, as `trace --json` writes them, as a source of events.

use std::io::{self, BufRead, Read as _};

use memchr::memmem;
use serde::Deserialize;

use crate::{
    event::{Event, LossCause, Time},
    evidence::{STREAM_VERSION, SourceInformation},
    number::plural,
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
/// How far from its beginning the tracer writes a line's number.
const NEAR: usize = 24;
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
    order: Order,
    /// What comes behind the loss that was returned last.
    next: Option<Event>,
}

/// Whether the lines are there as they were written, by their numbers. Older streams have none.
#[derive(Default)]
struct Order {
    /// The number of the last one.
    last: u64,
    /// Lines that could not be read since.
    bad: u64,
    /// Lines that are missing, and were reported as lost.
    missing: u64,
    /// Lines that were there before, or come too late: they are passed over.
    again: u64,
    /// Other streams that begin within this one.
    others: u64,
}

/// What a line's number says of its place.
enum Place {
    Next,
    /// So many are missing before it.
    Behind(u64),
    Again,
}

impl Order {
    fn place(&mut self, number: Option<u64>) -> Place {
        let Some(number) = number else {
            return Place::Next;
        };
        if number <= self.last {
            self.again += 1;
            return Place::Again;
        }
        let missing = (number - self.last - 1).saturating_sub(self.bad);
        self.last = number;
        self.bad = 0;
        self.missing = self.missing.saturating_add(missing);
        if missing == 0 {
            Place::Next
        } else {
            Place::Behind(missing)
        }
    }

    fn problems(&self) -> impl Iterator<Item = String> {
        let lines = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 line {one}")),
            count => Some(format!("{count} lines {many}")),
        };
        let missing = lines(
            self.missing,
            "is missing, by the numbers of the others",
            "are missing, by the numbers of the others",
        );
        let again = lines(
            self.again,
            "is there twice or too late, and was skipped",
            "are there twice or too late, and were skipped",
        );
        let others = (self.others > 0)
            .then(|| "another stream begins in it: read each from a file of its own".to_owned());
        missing.into_iter().chain(again).chain(others)
    }
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
    Source,
    #[serde(other)]
    Other,
}

/// The place of a line among the events and losses of its stream.
#[derive(Deserialize)]
struct Numbered {
    number: Option<u64>,
}

/// The number of a line; none in older streams.
fn number(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"number\"";
    let at = memmem::find(line, NAME)?;
    // Where the tracer writes it; whoever has rewritten the line may have put it elsewhere.
    let behind = line.get(at + NAME.len()..)?;
    if at < NEAR
        && let Some(digits) = behind.strip_prefix(b":")
        && let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit())
        && let Some(number) = digits
            .get(..end)
            .and_then(|digits| std::str::from_utf8(digits).ok())
        && let Ok(number) = number.parse()
    {
        return Some(number);
    }
    serde_json::from_slice::<Numbered>(line).ok()?.number
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
            order: Order::default(),
            next: None,
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
            let lines = plural(more, "line", "lines");
            problems.push(format!("{more} more {lines} can't be read"));
        }
        problems.extend(self.order.problems());
        problems.extend(self.problem.map(str::to_owned));
        problems
    }

    /// The next event, or `None` at the end. Findings in the stream are passed over: they are made anew from
    /// the events. A line that can't be read is a loss. Where the stream was cut off, or has fewer events than
    /// there were, the last event is a loss.
    pub fn next_event(&mut self) -> Result<Option<Event>, LinesError> {
        if let Some(event) = self.next.take() {
            return Ok(Some(event));
        }
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
                    if let Some(event) = self.placed(*event) {
                        self.events += 1;
                        return Ok(Some(event));
                    }
                }
                Object::Loss { time, count, cause } => {
                    if let Some(event) = self.placed(Event::loss(time, count, cause)) {
                        self.losses += 1;
                        return Ok(Some(event));
                    }
                }
                Object::Source => {
                    self.order.others += 1;
                    self.order.last = 0;
                    return Ok(Some(Event::loss(self.time, 1, LossCause::Input)));
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
        let read = self.events + self.losses + self.bad + self.order.missing;
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
        self.order.bad += 1;
        if self.told.len() < MOST_BAD_LINES {
            let line = self.line;
            self.told.push(format!("line {line} can't be read: {why}"));
        }
        Event::loss(self.time, 1, LossCause::Input)
    }

    /// What comes next where the line of this event was read: itself, or first the loss of what is missing before it;
    /// nothing if it was there before.
    fn placed(&mut self, event: Event) -> Option<Event> {
        match self.order.place(number(&self.text)) {
            Place::Again => return None,
            Place::Next => {}
            Place::Behind(missing) => {
                let loss = Event::loss(self.time, missing, LossCause::Input);
                self.time = event.time;
                self.next = Some(event);
                return Some(loss);
            }
        }
        self.time = event.time;
        Some(event)
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
