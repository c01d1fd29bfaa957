//! What was under way when a machine died: the end of a recording, read from the model's frames.

mod last_moments;
mod line;
mod messages;
mod words;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{event::Death, finding::Resource};

pub use last_moments::LastMoments;
pub use messages::{DEVICE as MESSAGES, END as END_OF_MESSAGES, Messages, MessagesError};
pub use words::write;

/// The end of a recording that a machine did not survive.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Crash {
    /// How the machine died; `None` if nothing shows it.
    pub death: Option<Death>,
    /// What was under way at the end, on the task that died first; the innermost device of each task.
    pub under_way: Vec<UnderWay>,
    /// What was under way and is not shown.
    pub more: usize,
    /// Why not more can be said, one sentence each.
    pub missing: Vec<String>,
}

/// What was under way on a task.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UnderWay {
    /// The device.
    pub device: String,
    /// Its driver.
    pub driver: Option<String>,
    /// The functions that had been entered and had not returned, outermost first.
    pub functions: Vec<&'static str>,
    /// What was being released.
    pub releasing: Option<Resource>,
    /// Whether a function that releases was seen to run; else the release may have been over.
    pub certain: bool,
    /// How long after `dev_pm_domain_detach()` the release began, or else the last event came; in nanoseconds.
    pub since_detach: Option<u64>,
    /// The task's name.
    pub comm: String,
    /// The task's number.
    pub tid: u32,
    /// Whether it is the task that died.
    pub died: bool,
}
