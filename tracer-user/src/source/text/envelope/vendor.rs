//! What vendors' kernels and Android write between the time and the message.

use memchr::memchr;

use super::fields::Prefix;
use crate::source::text::scan::{decimal, digits, word};

/// Longest content of brackets that is looked at.
const FAR: usize = 64;

/// `(1)[45:kworker/1:0]`, `.(1)[45:kworker/1:0]`: whether interrupts are on, the CPU and the task.
pub(in crate::source::text) fn task<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    prefix.time?;
    let marked = rest.strip_prefix(b".").or(rest.strip_prefix(b"-"));
    let (cpu, behind) = digits(marked.unwrap_or(rest).strip_prefix(b"(")?)?;
    let behind = behind.strip_prefix(b")")?;
    prefix.cpu = u16::try_from(cpu).ok();
    let Some(task) = behind.strip_prefix(b"[") else {
        return Some(behind);
    };
    let (thread, _) = digits(task)?;
    prefix.thread = u32::try_from(thread).ok();
    let near = task.get(..task.len().min(FAR))?;
    task.get(memchr(b']', near)? + 1..)
}

/// `I[0:    kworker/u8:3:   41] `: the level, and in brackets CPU, task and thread.
pub(in crate::source::text) fn level<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    prefix.time?;
    let inner = rest.get(1..)?.strip_prefix(b"[")?;
    let near = inner.get(..inner.len().min(FAR))?;
    let end = memchr(b']', near)?;
    let content = near.get(..end)?;
    let (cpu, _) = digits(content.trim_ascii_start())?;
    prefix.cpu = u16::try_from(cpu).ok();
    let thread = content.rsplit(|byte| *byte == b':').next()?.trim_ascii();
    prefix.thread = decimal(thread).and_then(|thread| u32::try_from(thread).ok());
    inner.get(end + 1..)
}

/// `c0   312 `, `c0 `: the CPU, and perhaps the thread.
pub(in crate::source::text) fn cpu<'a>(rest: &'a [u8], prefix: &mut Prefix) -> Option<&'a [u8]> {
    prefix.time?;
    let (cpu, behind) = digits(rest.strip_prefix(b"c")?)?;
    if !behind.starts_with(b" ") || cpu > 999 {
        return None;
    }
    prefix.cpu = u16::try_from(cpu).ok();
    match word(behind) {
        Some((thread, rest)) if decimal(thread).is_some() => {
            prefix.thread = decimal(thread).and_then(|thread| u32::try_from(thread).ok());
            Some(rest)
        }
        _ => Some(behind),
    }
}

/// `- `, `d `: a mark of one letter that follows `[126.886032@0]`.
pub(in crate::source::text) fn mark(rest: &[u8]) -> &[u8] {
    match rest {
        [b'-' | b'a'..=b'z', b' ', behind @ ..] => behind,
        _ => rest,
    }
}

/// `  root     0     0 E `, as Android's log has behind the date: perhaps the user, process, thread, level, and `:` where
/// the tag is empty.
pub(in crate::source::text) fn android(rest: &[u8]) -> Option<&[u8]> {
    let (user, behind) = word(rest)?;
    let rest = if decimal(user).is_some() {
        rest
    } else {
        behind
    };
    let (_, rest) = digits(rest.trim_ascii_start())?;
    let (_, rest) = digits(rest.trim_ascii_start())?;
    match rest.trim_ascii_start() {
        [b'V' | b'D' | b'I' | b'W' | b'E' | b'F', b' ', rest @ ..] => {
            let message = rest.trim_ascii_start();
            Some(message.strip_prefix(b": ").unwrap_or(rest))
        }
        // A message that was wrapped behind it.
        [b'V' | b'D' | b'I' | b'W' | b'E' | b'F'] => Some(&[]),
        _ => None,
    }
}
