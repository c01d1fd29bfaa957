//! Findings: what a rule has to say, as data.

mod describe;
mod doubt;
mod evidence;
mod known;
mod occurrence;
mod report;
mod rule_info;
mod subject;
pub mod text;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::{
    event::{DeviceAddress, SourceLine, Time},
    model::InstanceKey,
};

pub use describe::{
    added_by, asker, call_site, frames, is_nameless, label, live_resource, mark, resource,
};
pub use doubt::Doubt;
pub use evidence::{Adders, Evidence, Share};
pub use known::{Fix, Known, Mainline};
pub use occurrence::{MOST_OCCURRENCES, Occurrence, Occurrences};
pub use report::{MOST_FINDINGS, Repeat, Report, Silence};
pub use rule_info::RuleInfo;
pub use subject::{Subject, UNKNOWN};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Wrong, and harmless as far as can be seen.
    Warn,
    /// Wrong, and able to do harm.
    Error,
}

impl Severity {
    /// In one word: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The severity of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Every step of it was seen.
    Confirmed,
    /// What was seen makes it likely; the end was not seen.
    Likely,
}

/// What a rule found on one device; later findings with the same fingerprint are counted, not repeated.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "finding")]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// The device's name.
    pub device: String,
    /// Which instance of the device.
    #[serde(flatten, serialize_with = "instance")]
    #[schemars(with = "Instance")]
    pub instance: InstanceKey,
    /// The driver's name, where one was set.
    pub driver: Option<String>,
    /// The bus's or class's name.
    pub bus: Option<String>,
    /// What makes two findings the same, in every run: no addresses, no times.
    pub fingerprint: String,
    /// How many times it was found.
    pub count: u64,
    /// Whose doing it was, where that is another device's driver or is worth a stack of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<Cause>,
    /// One sentence.
    pub summary: String,
    /// What it means, in a sentence or two.
    pub meaning: String,
    /// What fixed it, where it is a fault that others have found before. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<&'static Known>,
    /// The resources that it is about, in the order in which they went.
    pub resources: Vec<Resource>,
    /// The step from which the resources' `delay` is counted, in words such as `the detach`; empty where
    /// it is not counted.
    pub delay_since: &'static str,
    /// The order that was seen.
    pub order: Vec<Step>,
    /// The order that would have been right.
    pub expected: Vec<String>,
    /// What to run to see more, where this alone decides nothing: commands and boot parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// When it was first found.
    #[serde(serialize_with = "nanoseconds")]
    #[schemars(with = "u64")]
    pub first: Time,
    /// When it was last found.
    #[serde(serialize_with = "nanoseconds")]
    #[schemars(with = "u64")]
    pub last: Time,
    /// Whether the source has no times: those of a finding count its events then.
    #[serde(skip)]
    pub numbered: bool,
    /// Each time that it was found, as far as they are kept. The rest describes the worst of them, and of those
    /// as bad the one with the most evidence.
    #[serde(flatten)]
    pub occurrences: Occurrences,
}

/// Whose doing a finding is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cause {
    /// The device whose driver did it.
    pub device: String,
    /// Which instance of that device.
    #[serde(flatten, serialize_with = "instance")]
    #[schemars(with = "Instance")]
    pub instance: InstanceKey,
    /// That driver's name.
    pub driver: Option<String>,
    /// What was running for it: `probe`, `unbind`, or the like.
    pub frame: &'static str,
    /// The task that it ran on.
    pub task: String,
    /// The thread number.
    pub tid: u32,
    /// The kernel stack, innermost first; empty where none was taken.
    pub stack: Vec<String>,
    /// The line of the innermost call outside of devres itself, where debug info was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<SourceLine>,
}

/// One resource of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Resource {
    /// The name that the kernel logs.
    pub name: String,
    /// What it is, in a word.
    pub kind: &'static str,
    /// Whether its release may touch hardware.
    pub touches_hardware: bool,
    /// Payload size in bytes.
    pub size: Option<u64>,
    /// What runs on its release.
    pub function: Option<String>,
    /// Who added it.
    pub added: Added,
    /// When it was released.
    #[serde(serialize_with = "maybe_nanoseconds")]
    #[schemars(with = "Option<u64>")]
    pub released: Option<Time>,
    /// Nanoseconds from the finding's `delay_since` to its release.
    pub delay: Option<u64>,
}

/// Who added a resource, and when.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Added {
    /// When; `None` if it was there before the trace began.
    #[serde(serialize_with = "maybe_nanoseconds")]
    #[schemars(with = "Option<u64>")]
    pub time: Option<Time>,
    /// The task's name.
    pub task: Option<String>,
    /// The thread number.
    pub tid: Option<u32>,
    /// What the device was doing.
    pub phase: &'static str,
    /// The stack's number in the trace; frames are in `stack`.
    pub stack_id: Option<u32>,
    /// The function that asked for it, the innermost one outside of devres itself: what distinguishes resources
    /// that the kernel names alike, as all memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The line of that function's call, where debug info was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<SourceLine>,
    /// The kernel stack, innermost first.
    pub stack: Vec<String>,
}

/// One step of an order of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// When.
    #[serde(serialize_with = "nanoseconds")]
    #[schemars(with = "u64")]
    pub time: Time,
    /// What happened.
    pub what: String,
}

impl Step {
    /// What happened at this time.
    #[must_use]
    pub fn at(time: Time, what: impl Into<String>) -> Self {
        Self {
            time,
            what: what.into(),
        }
    }
}

impl Resource {
    /// What to call it: its function where the kernel names all actions alike, else its name.
    #[must_use]
    pub fn label(&self) -> &str {
        match &self.function {
            Some(function) if self.name == "devm_action_release" || self.name == "action" => {
                function
                    .split_once(' ')
                    .map_or(function.as_str(), |(name, _module)| name)
            }
            _ => &self.name,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn nanoseconds<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.0)
}

#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
fn maybe_nanoseconds<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.0).serialize(serializer)
}

/// A device's instance, in its JSON form.
#[derive(Serialize, JsonSchema)]
struct Instance {
    address: String,
    generation: u32,
}

fn instance<S: Serializer>(key: &InstanceKey, serializer: S) -> Result<S::Ok, S::Error> {
    let DeviceAddress(address) = key.address;
    Instance {
        address: format!("{address:#x}"),
        generation: key.generation,
    }
    .serialize(serializer)
}
