//! What other programs than the kernel write in front of its messages: containers, test machines, grep, and
//! whoever follows RFC 5424.

use memchr::memchr;

use super::{
    date,
    fields::{Prefix, Stamp},
};
use crate::source::text::scan::{around, decimal, seconds, word};

/// Longest field that is looked at.
const FAR: usize = 96;

/// `1 2023-03-10T21:52:23.000010Z pc kernel - - - `, as RFC 5424 has it: the version, which a date follows.
pub(in crate::source::text) fn version(rest: &[u8]) -> Option<&[u8]> {
    let behind = rest.strip_prefix(b"1 ")?;
    date::read(behind).is_some().then_some(behind)
}

/// `21:52:21.0000  [`, `123:[`, `123-[`: what test machines and grep write before the time.
pub(in crate::source::text) fn numbered(rest: &[u8]) -> Option<&[u8]> {
    let end = rest
        .iter()
        .take(FAR)
        .position(|byte| !byte.is_ascii_digit() && !matches!(byte, b':' | b'.' | b'-'))?;
    let behind = rest.get(end..)?.trim_ascii_start();
    let is_number = rest
        .get(..end)?
        .iter()
        .any(|byte| matches!(byte, b':' | b'-'));
    (is_number && behind.starts_with(b"[")).then_some(behind)
}

/// `21:52:21 `, `21:52:21.123 `: the time of day alone.
pub(in crate::source::text) fn clock<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    let (time, behind) = date::time_alone(rest)?;
    prefix.time = prefix.time.or(Some(Stamp::At(time)));
    Some(behind)
}

/// ` ##[error]`: how a job's step marks a line, behind the date.
pub(in crate::source::text) fn annotation(rest: &[u8]) -> Option<&[u8]> {
    let inner = rest.trim_ascii_start().strip_prefix(b"##[")?;
    let end = memchr(b']', inner.get(..inner.len().min(FAR))?)?;
    inner.get(end + 1..)
}

/// `time="2023-03-10T21:52:21Z" level=error msg="`, as containers' logs have.
pub(in crate::source::text) fn fields<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    // Nothing but these begins so: most messages are none.
    if !matches!(rest.first(), Some(b't' | b'l' | b'm')) {
        return None;
    }
    let (name, value) = around(rest.get(..rest.len().min(FAR))?, b"=")?;
    let behind = rest.get(name.len() + 1..)?;
    match name {
        b"time" | b"ts" => {
            let quoted = value.strip_prefix(b"\"").unwrap_or(value);
            let is_quoted = quoted.len() < value.len();
            let end = memchr(if is_quoted { b'"' } else { b' ' }, quoted)?;
            let time = quoted.get(..end)?;
            let time = date::read(time)
                .map(|(time, _)| time)
                .or_else(|| seconds(time));
            prefix.time = prefix.time.or(time.map(Stamp::At));
            behind
                .get(value.len() - quoted.len() + end..)
                .map(|behind| behind.strip_prefix(b"\"").unwrap_or(behind))
        }
        b"level" | b"lvl" => word(behind).map(|(_, behind)| behind),
        b"msg" | b"message" => Some(behind.strip_prefix(b"\"").unwrap_or(behind)),
        _ => None,
    }
}

/// ` 00O `, ` 01E+`: the stream behind the date of a job's log, of GitLab's runner; ` stdout F `, of a container's.
pub(in crate::source::text) fn stream(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii_start();
    let container = rest
        .strip_prefix(b"stdout ")
        .or(rest.strip_prefix(b"stderr "));
    if let Some([b'F' | b'P', b' ', rest @ ..]) = container {
        return Some(rest);
    }
    match rest {
        [a, b, b'O' | b'E', b' ' | b'+', rest @ ..]
            if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// ` pc kernel - - - `: host, program, process, sort and data, as RFC 5424 has them behind the date.
pub(in crate::source::text) fn structured(rest: &[u8]) -> Option<&[u8]> {
    let (_, rest) = word(rest)?;
    let (program, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    let (_, rest) = word(rest)?;
    let number = process == b"-" || decimal(process).is_some();
    if program != b"kernel" || !number {
        return None;
    }
    let rest = rest.trim_ascii_start();
    match rest {
        [b'-', b' ', rest @ ..] => Some(rest),
        [b'[', ..] => rest.get(memchr(b']', rest)? + 1..),
        _ => None,
    }
}
