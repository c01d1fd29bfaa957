//! How much of an input was recognised, and how much was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of a text was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct LineCounts {
    /// All lines.
    pub lines: u64,
    /// Lines that are events or part of one.
    pub event_lines: u64,
    /// Lines among the others that begin like an event and have no end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_lines: u64,
}

/// Records that found no room in the ring buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LostBy {
    /// The CPU they were lost on.
    pub cpu: usize,
    /// The function or tracepoint they were of.
    pub hook: &'static str,
    /// How many.
    pub count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
/// Whether a count is left out where it is written.
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}
