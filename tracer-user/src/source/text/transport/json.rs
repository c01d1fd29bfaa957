//! Logs as JSON: `journalctl -o json` and `json-pretty`, `dmesg -J`, what container runtimes and log collectors write;
//! and the journal's export and verbose formats, whose records are as many lines.
//!
//! Of each record one line is made, as the kernel's log has it: the time in brackets and the message.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::record::{self, MESSAGES, READ, TIME, WRITTEN, bytes, number, seconds, stamped};
use crate::source::text::{envelope::prefix, scan::around};

/// Joins records.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Records {
    form: Form,
    /// Microseconds.
    time: Option<u64>,
    /// The time is the one at which the message was written, not the one at which it was read.
    from_source: bool,
    message: Option<(Vec<u8>, u64)>,
}

/// How the record that was begun goes on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Form {
    #[default]
    None,
    /// One field a line, `"NAME" : "value",`, until the closing brace.
    Pretty,
    /// One field a line, `NAME=value`, until something else.
    Export,
}

impl Records {
    /// Takes a line that was `count` lines. Calls `each` with lines of a log.
    pub(in crate::source::text) fn line(
        &mut self,
        line: &[u8],
        count: u64,
        mut each: impl FnMut(&[u8], u64),
    ) {
        // What server-sent events and sequences of JSON have in front.
        let text = prefix::unquote(line);
        let text = text.strip_prefix(b"\x1e").unwrap_or(text);
        let text = text.strip_prefix(b"data: ").unwrap_or(text);
        // LAVA writes a list of them.
        let text = text.strip_prefix(b"- ").unwrap_or(text);
        let may_be = matches!(text.first(), Some(b'{' | b'_')) || self.form != Form::None;
        if !may_be {
            each(line, count);
            return;
        }
        match (self.form, text) {
            (Form::Pretty, [b'}', ..]) | (Form::Export, []) => {
                self.finish(&mut each);
                if text.ends_with(b"{") {
                    self.form = Form::Pretty;
                }
                each(line, count);
            }
            (_, b"{") => {
                self.finish(&mut each);
                self.form = Form::Pretty;
                each(line, count);
            }
            (_, [b'{', ..]) => match record::line(text) {
                Some(message) => {
                    let mut count = count;
                    for line in message.split(|byte| *byte == b'\n') {
                        each(line, count);
                        count = 0;
                    }
                }
                None => each(line, count),
            },
            _ if text.starts_with(b"__CURSOR=") => {
                self.finish(&mut each);
                self.form = Form::Export;
                each(line, count);
            }
            (Form::None, _) if field(text).is_none() => each(line, count),
            (Form::Pretty, _) => match pretty(text) {
                Some((name, value)) => self.field(&name, &value, count, each),
                None => each(line, count),
            },
            (Form::None | Form::Export, _) => {
                if let Some((name, value)) = field(text) {
                    self.form = Form::Export;
                    let name = String::from_utf8_lossy(name);
                    self.field(&name, value, count, each);
                } else {
                    self.finish(&mut each);
                    each(line, count);
                }
            }
        }
    }

    /// Whether no record has begun.
    pub(in crate::source::text) fn is_idle(&self) -> bool {
        self.form == Form::None
    }

    /// The record ends.
    pub(in crate::source::text) fn finish(&mut self, mut each: impl FnMut(&[u8], u64)) {
        if let Some((message, count)) = self.message.take() {
            each(&stamped(self.time, &message), count);
        }
        *self = Self::default();
    }

    fn field(&mut self, name: &str, value: &[u8], count: u64, mut each: impl FnMut(&[u8], u64)) {
        match name {
            _ if self.message.is_none() && MESSAGES.contains(&name) => {
                self.message = Some((value.to_vec(), count));
                return;
            }
            WRITTEN => {
                self.time = number(value).or(self.time);
                self.from_source = true;
            }
            READ if !self.from_source => self.time = number(value).or(self.time),
            TIME => self.time = seconds(value).or(self.time),
            // No record of a log, but a whole log: the text of an issue.
            _ if value.contains(&b'\n') => {
                for line in value.split(|byte| *byte == b'\n') {
                    each(line.trim_ascii_end(), count.min(1));
                }
                return;
            }
            _ => {}
        }
        // Nothing is told by it any more, and it keeps no message apart from the next one.
        each(b"", count);
    }
}

/// The name and the value of `NAME=value`.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = around(text, b"=")?;
    let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    (!name.is_empty() && name.iter().all(is_name)).then_some((name, value))
}

/// The name and the value of `"NAME" : "value",`.
fn pretty(text: &[u8]) -> Option<(Cow<'_, str>, Vec<u8>)> {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b",").unwrap_or(text);
    let name = text.strip_prefix(b"\"")?;
    let end = name.iter().position(|byte| *byte == b'"')?;
    let (name, behind) = name.split_at(end);
    let value = behind.get(1..)?.trim_ascii_start().strip_prefix(b":")?;
    let value = match serde_json::from_slice(value).ok()? {
        Json::Number(_) => value.trim_ascii().to_vec(),
        value => bytes(&value)?.into_owned(),
    };
    Some((String::from_utf8_lossy(name), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let (mut records, mut counted) = (Records::default(), 0);
        let mut each = |line: &[u8], count| {
            counted += count;
            found.push(String::from_utf8_lossy(line).into_owned());
        };
        for line in text.lines() {
            records.line(line.as_bytes(), 1, &mut each);
        }
        records.finish(&mut each);
        assert_eq!(counted, text.lines().count() as u64, "{text}");
        found
    }

    #[test]
    fn every_form_of_record_gives_time_and_message() {
        for text in [
            r#"{"__MONOTONIC_TIMESTAMP":"7138690","_SOURCE_MONOTONIC_TIMESTAMP":"7138679","MESSAGE":"x y: z"}"#,
            r#"{"MESSAGE":[120,32,121,58,32,122],"__MONOTONIC_TIMESTAMP":"7138679","X":null,"Y":["a"]}"#,
            r#"> {"MESSAGE":"x y: z","__MONOTONIC_TIMESTAMP":"7138679"}"#,
            r#"{"pri":3,"time":7.138679,"msg":"x y: z"},"#,
            "{\n\"dmesg\": [\n{\n\"pri\": 3,\n\"time\":     7.138679,\n\"msg\": \"x y: z\"\n}\n]\n}",
            "{\n\"time\": 1.0,\n\"msg\": \"a\"\n},{\n\"time\": 7.138679,\n\"msg\": \"x y: z\"\n}",
            "{\n\t\"MESSAGE\" : \"x y: z\",\n\t\"__MONOTONIC_TIMESTAMP\" : \"7138679\"\n}",
            "__CURSOR=s=1\n__MONOTONIC_TIMESTAMP=7138679\nMESSAGE=x y: z\n_HOSTNAME=pc\n\n",
            "Fri 2023-03-10 21:52:23.000010 CET [s=a;i=1]\n    _BOOT_ID=a\n    MESSAGE=x y: z\n    _SOURCE_MONOTONIC_TIMESTAMP=7138679\nFri",
            "__CURSOR=s=1\nMESSAGE=x y: z\n_SOURCE_MONOTONIC_TIMESTAMP=7138679",
        ] {
            let found = lines(text);
            assert!(found.contains(&"[7.138679] x y: z".to_owned()), "{found:?}");
        }
        for text in [
            r#"{"log":"[ 7.0] x y: z\n","stream":"stdout","time":"2023-03-10T21:52:21Z"}"#,
            r#"- {"dt": "2023-03-10T21:52:21Z", "lvl": "target", "msg": "[ 7.0] x y: z"}"#,
        ] {
            assert_eq!(
                lines(text),
                ["2023-03-10T21:52:21Z [ 7.0] x y: z"],
                "{text}"
            );
        }
        assert_eq!(
            lines(r#"{"@timestamp":"2023-03-10T21:52:21Z","message":"x y: z"}"#),
            ["x y: z"]
        );
        // A line of some source, and what others call a message, beside it.
        assert_eq!(
            lines(r#"{"line":42,"log":"x y: z","message":"another","msg":{"a":1}}"#),
            ["x y: z"]
        );
    }

    #[test]
    fn records_of_log_collectors_are_found_within_others() {
        for (text, expected) in [
            (
                r#"{"preview":false,"result":{"_raw":"Nov  3 pc kernel: [ 7.0] x y: z","host":"pc"}}"#,
                &["Nov  3 pc kernel: [ 7.0] x y: z"][..],
            ),
            (
                r#"{"textPayload":"[ 7.0] x y: z","severity":"INFO"}"#,
                &["[ 7.0] x y: z"],
            ),
            (
                r#"{"hits":{"hits":[{"_source":{"message":"a"}},{"_source":{"message":"b"}}]}}"#,
                &["a", "b"],
            ),
            (
                r#"{"streams":[{"stream":{"host":"pc"},"values":[["1678485141000000000","a"],["1678485141000000001","b"]]}]}"#,
                &["a", "b"],
            ),
        ] {
            assert_eq!(lines(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_record_stays() {
        for text in [
            "{code}",
            "{",
            "static int x = {\n1, 2,\n};",
            "{\n\"unfinished",
            "{\"MESSAGE\":\"x",
            "_x=1",
            "{\"a\":1}",
        ] {
            assert_eq!(lines(text).join("\n"), text);
        }
    }
}
