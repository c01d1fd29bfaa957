//! What the first line of a report looks like, and what it says.

use crate::{
    event::{Comm, Function, StackFrame, Text, splat::SplatKind},
    source::text::{record::kernel_log, scan::word},
};

/// One form of a report's first line.
pub(in crate::source::text) struct Form {
    /// What the line contains.
    pub(super) words: &'static str,
    /// Reads the line, which has the words between `before` and `rest`.
    pub(super) read: fn(before: &[u8], rest: &[u8]) -> Option<Header>,
    /// Such a line, as the kernel prints it.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is tested by"))]
    pub(super) example: &'static str,
    /// Which part of the kernel prints it, and which kernels or machines.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the table is tested by"))]
    pub(super) seen: &'static str,
}

/// What a report's first line says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    pub(super) kind: SplatKind,
    pub(super) detail: Option<Text>,
    pub(super) place: Option<Text>,
    /// The frame of the function in which it happened.
    pub(super) frame: Option<StackFrame>,
    pub(super) hint: Option<Text>,
    pub(super) number: Option<u64>,
    pub(super) tid: Option<u32>,
    pub(super) comm: Option<Comm>,
    pub(super) cpu: Option<u16>,
    pub(super) fatal: bool,
}

impl Header {
    /// Of this kind, and nothing else is reported.
    pub(super) fn of(kind: SplatKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The function in which it happened.
    pub(super) fn function(&self) -> Option<&Function> {
        self.frame.as_ref()?.function.as_deref()
    }

    /// Of this kind, with the kernel's own words for it.
    pub(super) fn saying(kind: SplatKind, detail: &[u8]) -> Self {
        Self {
            detail: words(detail),
            ..Self::of(kind)
        }
    }
}

/// Longest piece of a message that is kept.
const LONGEST: usize = 120;

/// A piece of a message, if there is anything of it.
pub(super) fn words(text: &[u8]) -> Option<Text> {
    let text = text.trim_ascii();
    let near = text.get(..LONGEST).unwrap_or(text);
    (!near.is_empty()).then(|| Text::from(String::from_utf8_lossy(near)))
}

/// What follows the words of a form, if anything does: it may have been wrapped to the next line.
pub(super) fn said(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii();
    (!rest.is_empty()).then_some(rest)
}

/// Whether nothing but a prefix stands before: no prose.
pub(super) fn begins(before: &[u8]) -> bool {
    let before = kernel_log::beginning(before).1.trim_ascii();
    // What the kernel itself puts in front: `rcu: `, `watchdog: `, `8<--- cut here --- `.
    before.is_empty()
        || before.ends_with(b":") && word(before).is_some_and(|(_, rest)| rest.is_empty())
}
