//! What a trace file says of itself at its beginning and at its end.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Hook, hook_name},
    evidence::{LineCounts, LostBy, SourceInformation},
    kernel::{self, KernelImage, System},
};

/// What a file says at its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The kernel and what could be seen of it.
    pub source: SourceInformation,
    /// Which boot of the machine it was: `/proc/sys/kernel/random/boot_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// The machine and its kernel's build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// The build of the kernel, and where it lay in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<KernelImage>,
    /// The command line of the recording tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How event times relate to the time of day; `None` where the events have no real times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Which file of a run this is, from one, where a run is recorded in several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How much of a text was recognised, where the events come from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LineCounts>,
}

/// Two clocks, read at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The monotonic clock, which event times are of, in nanoseconds.
    pub monotonic: u64,
    /// The time of day, in nanoseconds since 1970 in UTC.
    pub real: u64,
}

/// What a file says at its end, if it was cleanly finished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct End {
    /// How many events the file has.
    pub events: u64,
    /// What found no room in the ring buffer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_by: Vec<LostAt>,
    /// What kept its source from being all there was, where it was made from another recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Why the file ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndedBy>,
    /// The monotonic clock at the end, in nanoseconds: how long nothing had happened then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Why a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The run was over.
    Run,
    /// It was full, and another one follows.
    Rotation,
    /// A reason that this version doesn't know.
    #[serde(other)]
    Other,
}

/// Records that found no room in the ring buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAt {
    /// The CPU they were lost on.
    pub cpu: usize,
    /// What they were of.
    #[serde(with = "hook_name")]
    pub hook: Hook,
    /// How many.
    pub count: u64,
}

impl From<&LostAt> for LostBy {
    fn from(lost: &LostAt) -> Self {
        Self {
            cpu: lost.cpu,
            hook: lost.hook.symbol(),
            count: lost.count,
        }
    }
}

impl Header {
    /// The header of a recording that begins now on this machine.
    #[must_use]
    pub fn of_this_machine(source: SourceInformation) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            boot: boot.map(|id| id.trim().to_owned()),
            system: Some(System::running()),
            image: Some(KernelImage::running()),
            command: command_line(),
            clock: Clock::now(),
            ..Self::of_recording(source)
        }
    }

    /// The header of events that were recorded elsewhere.
    #[must_use]
    pub fn of_recording(source: SourceInformation) -> Self {
        Self {
            source,
            boot: None,
            system: None,
            image: None,
            command: Vec::new(),
            clock: None,
            part: None,
            lines: None,
        }
    }
}

fn command_line() -> Vec<String> {
    std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

impl Clock {
    /// Both clocks now.
    pub(super) fn now() -> Option<Self> {
        let monotonic = kernel::now();
        let real = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            monotonic: monotonic.0,
            real: u64::try_from(real.as_nanos()).ok()?,
        })
    }
}
