//! The record of a log that is one object of JSON: what its fields are called, and which of them count.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;

use crate::source::text::scan;

/// What the message of a record is called: by the journal, dmesg, container runtimes, Logstash and `CloudWatch`, Splunk,
/// Google's and Azure's logs, Graylog, Loki.
pub(super) const MESSAGES: [&str; 9] = [
    "MESSAGE",
    "msg",
    "log",
    "message",
    "_raw",
    "textPayload",
    "SyslogMessage",
    "short_message",
    "line",
];

/// Microseconds: when the journal's message was written.
pub(super) const WRITTEN: &str = "_SOURCE_MONOTONIC_TIMESTAMP";
/// Microseconds: when it was read.
pub(super) const READ: &str = "__MONOTONIC_TIMESTAMP";
/// Seconds, or a date.
pub(super) const TIME: &str = "time";
/// When a test machine read the line.
const LAVA_TIME: &str = "dt";
/// All of them.
const TIMES: [&str; 4] = [WRITTEN, READ, TIME, LAVA_TIME];

/// How deep in other objects a record may be.
const DEEPEST: usize = 8;

/// The fields of a record that is one line, of those that tell something.
struct Record<'a>(Vec<(Name<'a>, Json)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Record<'_> {
    /// The last of the fields with this name: which of two counts is open, and nearly everything takes that.
    fn field(&self, name: &str) -> Option<&Json> {
        let (_, value) = self.0.iter().rfind(|(Name(field), _)| field == name)?;
        Some(value)
    }

    fn message(&self) -> Option<Cow<'_, [u8]>> {
        MESSAGES.iter().find_map(|name| bytes(self.field(name)?))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads a [`Record`].
struct Fields<'a>(PhantomData<Record<'a>>);

impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
    type Value = Record<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Name<'a>>()? {
            if MESSAGES.contains(&&*name.0) || TIMES.contains(&&*name.0) {
                fields.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Record(fields))
    }
}

/// The bytes of a text, or of a list of them, which is how the journal writes what is not UTF-8.
pub(super) fn bytes(value: &Json) -> Option<Cow<'_, [u8]>> {
    match value {
        Json::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        Json::Array(bytes) => {
            let byte = |byte: &Json| u8::try_from(byte.as_u64()?).ok();
            bytes
                .iter()
                .map(byte)
                .collect::<Option<_>>()
                .map(Cow::Owned)
        }
        _ => None,
    }
}

/// The line of a record that is one line; `None` if it has no message.
pub(super) fn line(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b",").unwrap_or(text);
    let record: Record<'_> = serde_json::from_slice(text).ok()?;
    let Some(message) = record.message() else {
        return within(text);
    };
    let message = message.trim_ascii_end();
    let monotonic = record.field(WRITTEN).or(record.field(READ));
    let microseconds = |time: &Json| match time {
        Json::String(time) => number(time.as_bytes()),
        time => time.as_u64(),
    };
    if let Some(time) = monotonic.and_then(microseconds) {
        return Some(stamped(Some(time), message));
    }
    match record.field(TIME).or(record.field(LAVA_TIME)) {
        Some(Json::Number(time)) => Some(stamped(seconds(time.to_string().as_bytes()), message)),
        // A date: what the message itself has counts more.
        Some(Json::String(date)) => Some([date.as_bytes(), b" ", message].concat()),
        _ => Some(message.to_vec()),
    }
}

/// The messages of the records that are within others, or called otherwise, as lines. What they say of their time counts:
/// when it was collected does not.
fn within(text: &[u8]) -> Option<Vec<u8>> {
    let mut messages = Vec::new();
    collect(&serde_json::from_slice(text).ok()?, 0, &mut messages);
    (!messages.is_empty()).then(|| messages.join("\n").into_bytes())
}

fn collect(value: &Json, depth: usize, messages: &mut Vec<String>) {
    match value {
        _ if depth > DEEPEST => {}
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(text) if MESSAGES.contains(&name.as_str()) => {
                        messages.push(text.trim_end().to_owned());
                    }
                    value => collect(value, depth + 1, messages),
                }
            }
        }
        // Loki's entries: when it was collected, in nanoseconds, and the line.
        Json::Array(entry) => match &entry[..] {
            [Json::String(time), Json::String(line)] if time.parse::<u64>().is_ok() => {
                messages.push(line.trim_end().to_owned());
            }
            entries => entries
                .iter()
                .for_each(|entry| collect(entry, depth + 1, messages)),
        },
        _ => {}
    }
}

pub(super) fn stamped(time: Option<u64>, message: &[u8]) -> Vec<u8> {
    let time = time.map_or_else(String::new, |time| {
        format!("[{}.{:06}] ", time / 1_000_000, time % 1_000_000)
    });
    [time.as_bytes(), message].concat()
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    scan::decimal(text)
}

/// Seconds as microseconds.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    scan::seconds(text).map(|nanoseconds| nanoseconds / 1_000)
}
