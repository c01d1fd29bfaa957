//! JSON lines: one object in each, told apart by `type`. `docs/json.md` describes them.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Sink, json_text};
use crate::{
    engine::Summary,
    event::{Event, EventKind, Loss, LossCause, Time},
    evidence::{STREAM_VERSION, SourceInformation},
    finding::Finding,
    model::{Device, Model},
    sink::reported::Reported,
};

/// The first line of a stream, with the version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct First<T> {
    #[serde(flatten)]
    line: T,
    version: u32,
}

impl<T> First<T> {
    pub(crate) const fn of(line: T) -> Self {
        Self {
            line,
            version: STREAM_VERSION,
        }
    }
}

/// Writes JSON lines.
pub struct JsonSink<W> {
    writer: W,
    events: bool,
    told: Reported,
    /// Events and losses that were written.
    number: u64,
}

impl<W: Write> JsonSink<W> {
    /// Writes to `writer`; without `events` only findings, losses and the summary.
    pub const fn new(writer: W, events: bool) -> Self {
        Self {
            writer,
            events,
            told: Reported::new(),
            number: 0,
        }
    }

    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        json_text::write(&mut self.writer, object)?;
        self.writer.write_all(b"\n")
    }
}

/// An event with the names that its addresses stand for.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "event")]
pub(crate) struct EventLine<'a> {
    /// Its place among the events and losses of the stream, from one; streams of older versions have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "loss")]
pub(crate) struct LossLine {
    /// Its place among the events and losses of the stream, from one; streams of older versions have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    time: Time,
    count: u64,
    cause: LossCause,
}

impl<W: Write> Sink for JsonSink<W> {
    fn begin(&mut self, source: &SourceInformation) -> io::Result<()> {
        self.line(&First::of(source))
    }

    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()> {
        if let EventKind::Loss(Loss { count, cause }) = event.kind {
            self.number += 1;
            return self.line(&LossLine {
                number: Some(self.number),
                time: event.time,
                count,
                cause,
            });
        }
        if !self.events {
            return Ok(());
        }
        self.number += 1;
        let identity = match &event.kind {
            // Whose it is, is not known yet: of the life that is there, or of the one that begins next.
            EventKind::Device(identity) => Some(&**identity),
            _ => model.device(event.device).map(Device::identity),
        };
        self.line(&EventLine {
            number: Some(self.number),
            device: identity.and_then(|identity| identity.name.as_deref()),
            driver: identity.and_then(|identity| identity.driver.as_deref()),
            bus: identity.and_then(|identity| identity.bus.as_deref()),
            event,
        })
    }

    /// A finding is written when it is new or has become worse, and at the end if it was found again or says something
    /// else by then.
    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        if finding.count > 1 || !self.told.is_worse(finding) {
            return Ok(());
        }
        self.told.remember(finding);
        self.line(finding)
    }

    fn end(&mut self, findings: &[Finding], summary: &Summary) -> io::Result<()> {
        for finding in findings {
            if finding.count > 1 || !self.told.knows(finding) {
                self.line(finding)?;
            }
        }
        self.line(summary)?;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
