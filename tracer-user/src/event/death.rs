//! How a machine died.

use schemars::JsonSchema;
use serde::Serialize;

use super::Text;

/// How a machine died, or what it barely survived, as far as its log shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Death {
    /// What it died of.
    pub kind: DeathKind,
    /// What the kernel said of it.
    pub said: Text,
    /// Whether the kernel gave up: it may go on behind an oops or a hang.
    pub fatal: bool,
    /// The task on which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<Text>,
    /// That task's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// The CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u16>,
    /// The function, with the offset in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Text>,
}

/// What a machine died of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeathKind {
    /// A panic for a reason of its own.
    Panic,
    /// An oops: an access that the CPU refused, or a `BUG()`.
    Oops,
    /// An abort: the bus answered an access with an error, as a device without power does.
    Abort,
    /// A CPU or a task that went nowhere.
    Hang,
}

impl DeathKind {
    /// In words, for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "kernel panic",
            Self::Oops => "oops",
            Self::Abort => "bus abort",
            Self::Hang => "hang",
        }
    }
}
