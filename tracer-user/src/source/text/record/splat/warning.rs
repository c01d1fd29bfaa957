//! `WARN_ON()` and `BUG_ON()`: reports that name a place in the source.

use std::sync::Arc;

use super::forms::{Form, Header, begins, said, words};
use crate::{
    event::{Function, StackFrame, splat::SplatKind},
    source::text::{
        record::{backtrace, kernel_log},
        scan::{around, digits, word},
    },
};

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "WARNING:",
        read: warned,
        example: "WARNING: CPU: 0 PID: 378 at kernel/irq/devres.c:144 devm_free_irq+0x84/0x90",
        seen: "kernel/panic.c, all architectures; from 6.19 on the task comes last",
    },
    Form {
        words: "kernel BUG at",
        read: stopped,
        example: "kernel BUG at lib/list_debug.c:56!",
        seen: "lib/bug.c and the architectures",
    },
    Form {
        words: "BUG: ",
        read: |before, rest| {
            let (prefix, text) = kernel_log::beginning(before);
            let is_logs = prefix.logged && text.trim_ascii().is_empty();
            let said = is_logs.then(|| said(rest)).flatten()?;
            // Of one that watches memory it is the beginning, and what it says was cut off.
            let is_cut = ["KASAN:", "KFENCE:", "KMSAN:", "KCSAN:"]
                .iter()
                .any(|name| name.as_bytes().starts_with(said));
            (!is_cut).then(|| Header::saying(SplatKind::Bug, said))
        },
        example: "[   52.000100] BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12",
        seen: "whatever else the kernel calls one",
    },
];

/// `CPU: 0 PID: 378 at drivers/base/devres.c:144 devm_free_irq+0x84/0x90`, before 4.x `at FILE:LINE f+0x1/0x2()`,
/// from 6.19 on `FILE:LINE at f+0x1/0x2, CPU#2: task/45`.
fn warned(_: &[u8], rest: &[u8]) -> Option<Header> {
    let mut header = Header::of(SplatKind::Warning);
    let number = |name: &[u8], text| around(text, name).and_then(|(_, behind)| digits(behind));
    let Some((before, place, behind)) = place(rest) else {
        // A kernel without the places says only the function.
        if let Some((before, at)) = around(rest, b" at ")
            && is_task(before)
            && let Some(frame) = backtrace::frame(at)
        {
            task(before, &mut header);
            header.frame = Some(frame);
            return Some(header);
        }
        // The place was wrapped to the next line, or cut off.
        task(rest, &mut header);
        return (is_task(rest) && !rest.trim_ascii().is_empty()).then_some(header);
    };
    task(before, &mut header);
    header.place = words(place);
    let behind = behind.trim_ascii_start();
    let behind = behind.strip_prefix(b"at ").unwrap_or(behind);
    header.frame = backtrace::frame(behind).or_else(|| name_alone(behind));
    if let Some((_, task)) = around(behind, b"CPU#") {
        header.cpu = digits(task).and_then(|(cpu, _)| u16::try_from(cpu).ok());
        let name = word(task.trim_ascii_end()).and_then(|(_, task)| word(task));
        if let Some((name, _)) = name {
            header.tid = name
                .rsplit(|byte| *byte == b'/')
                .next()
                .and_then(digits)
                .and_then(|(tid, _)| u32::try_from(tid).ok());
        }
    }
    if header.tid.is_none() {
        header.tid = number(b" PID: ", rest).and_then(|(tid, _)| u32::try_from(tid).ok());
    }
    Some(header)
}

/// A function that has lost its offset: one word, as no word of prose is spelt.
fn name_alone(text: &[u8]) -> Option<StackFrame> {
    let (name, rest) = word(text)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    if !rest.trim_ascii().is_empty() || !name.contains(&b'_') || !name.iter().all(is_name) {
        return None;
    }
    Some(StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: words(name),
            module: None,
        })),
        offset: 0,
        line: None,
    })
}

/// What `CPU: 0 PID: 378 at` says.
fn task(text: &[u8], header: &mut Header) {
    let number = |name: &[u8]| around(text, name).and_then(|(_, behind)| digits(behind));
    header.cpu = number(b"CPU: ").and_then(|(cpu, _)| u16::try_from(cpu).ok());
    header.tid = number(b"PID: ").and_then(|(tid, _)| u32::try_from(tid).ok());
}

/// `drivers/base/devres.c:120!`
fn stopped(before: &[u8], rest: &[u8]) -> Option<Header> {
    if !begins(before) {
        return None;
    }
    let mut header = Header::of(SplatKind::Bug);
    if rest.trim_ascii().is_empty() {
        return Some(header);
    }
    let (_, place, behind) = place(rest)?;
    header.place = words(place);
    behind.starts_with(b"!").then_some(header)
}

/// A file of the kernel's source with a line, what stands before it, and what follows it.
fn place(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut begin = 0;
    for piece in text.split(u8::is_ascii_whitespace) {
        let start = begin;
        begin += piece.len() + 1;
        let Some(colon) = piece.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (file, line) = piece.split_at(colon);
        let is_file = [&b".c"[..], b".h", b".S", b".rs"]
            .iter()
            .any(|suffix| file.ends_with(suffix));
        let Some((_, rest)) = line.get(1..).and_then(digits) else {
            continue;
        };
        if is_file {
            let end = start + piece.len() - rest.len();
            return Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?));
        }
    }
    None
}

/// Whether this is `CPU: 2 PID: 204 at`, or less of it.
fn is_task(text: &[u8]) -> bool {
    text.split(u8::is_ascii_whitespace).all(|word| {
        matches!(word, b"" | b"CPU:" | b"PID:" | b"UID:" | b"at")
            || word.iter().all(u8::is_ascii_digit)
    })
}
