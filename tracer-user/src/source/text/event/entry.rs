//! What one line, or one report, comes to.

use std::num::NonZeroU32;

use super::{
    call::{Call, Release},
    names::NameId,
};
use crate::{event::Role, source::text::record::resource::Operation};

/// One event of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::text) struct Record {
    /// Nanoseconds; of a line without time those of the line before.
    pub(in crate::source::text) time: u64,
    pub(in crate::source::text) task: u32,
    pub(in crate::source::text) cpu: u16,
    /// The stack that was printed behind it: its place among the stacks, counted from one.
    pub(in crate::source::text) stack: Option<NonZeroU32>,
    pub(in crate::source::text) kind: RecordKind,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum RecordKind {
    /// The tracepoint, or its counterpart in the kernel's log.
    Node(NodeRecord),
    /// A function.
    Call(Call),
    /// The kernel itself reported devres: its place among the messages.
    Message(u32),
    /// This many events are missing.
    Lost(u64),
}

impl Default for RecordKind {
    fn default() -> Self {
        Self::Lost(0)
    }
}

/// What `devres_log` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::text) struct NodeRecord {
    pub(in crate::source::text) operation: Operation,
    pub(in crate::source::text) device: NameId,
    /// In the kernel's log, the driver's name, or the bus's where there is no driver.
    pub(in crate::source::text) driver: Option<NameId>,
    pub(in crate::source::text) name: Option<NameId>,
    pub(in crate::source::text) size: u64,
    /// As printed; zero where it isn't.
    pub(in crate::source::text) node: u64,
    /// Where both are, as function events reported.
    pub(in crate::source::text) real: Real,
    /// What else they reported about an added node.
    pub(in crate::source::text) facts: Option<Facts>,
}

/// The addresses of a node and its device, where function events say them; else zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::text) struct Real {
    pub(in crate::source::text) device: u64,
    pub(in crate::source::text) node: u64,
}

/// What function events say about an added node beyond the tracepoint. Zero where they don't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source::text) struct Facts {
    pub(in crate::source::text) release: Option<Release>,
    pub(in crate::source::text) payload: u64,
    /// The function that an action calls.
    pub(in crate::source::text) action: Option<Release>,
    /// The first words of the payload, and an action's argument, where they are reported.
    pub(in crate::source::text) words: Option<[u64; 2]>,
    pub(in crate::source::text) action_data: u64,
    pub(in crate::source::text) group: u64,
}

impl From<&Call> for Facts {
    /// What `add_dr` shows of the node that it adds.
    fn from(added: &Call) -> Self {
        let [first, second] = added.words;
        Self {
            release: added.release,
            payload: added.raw.get(Role::Payload).unwrap_or_default(),
            action: added.action,
            words: first.zip(second).map(|(first, second)| [first, second]),
            action_data: added.raw.get(Role::Data).or(first).unwrap_or_default(),
            group: added.raw.get(Role::Group).unwrap_or_default(),
        }
    }
}
