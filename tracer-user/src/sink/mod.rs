//! Where events, findings and summaries go. A sink doesn't know which source they came from.

pub mod chrome;
mod command_end;
pub mod diff;
pub mod json;
pub(crate) mod json_text;
pub mod page;
pub mod report;
pub mod reports;
pub(crate) mod schema;
pub mod stacks;
pub mod text;
mod told;

use std::io;

pub use command_end::CommandEnd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    coverage::Coverage,
    crash::Crash,
    event::Event,
    filter::FilterTexts,
    finding::{Finding, Severity},
    judge::{Outcome, Verdict},
    model::{Model, SilentHook},
};

/// What the first line of a stream says about its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename = "source")]
pub struct SourceInformation {
    /// The version of the tool that saw the events.
    pub tool: String,
    /// The kernel's release, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The machine's architecture, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What could be seen.
    pub coverage: Coverage,
    /// Which devices were chosen: those that each of these wants. Empty if none were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterTexts>,
}

/// What the last line of a stream says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "summary")]
pub struct Summary {
    /// Events seen.
    pub events: u64,
    /// How many of them are written where only some devices are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_events: Option<u64>,
    /// Device instances seen.
    pub devices: u64,
    /// How much of the input was recognised, where it is a text.
    #[serde(flatten)]
    pub lines: Option<LineCounts>,
    /// Findings by severity: different ones, not how often each was found.
    pub findings: FindingCounts,
    /// Events lost.
    pub lost: u64,
    /// Where they were lost, as far as the kernel side tells.
    pub lost_by: Vec<LostBy>,
    /// What keeps the input from being all there was, one sentence each: that it was cut off, or is damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Why else nothing can be concluded, one sentence each: that no device is one of those that are wanted, or that
    /// the recording has only some devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// How the command ended that was traced, if it failed; it does nothing to the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEnd>,
    /// What was under way when the machine died, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash: Option<Crash>,
    /// Device instances of which something is missing that should have been seen.
    pub tainted: u64,
    /// Disagreements of the model with the kernel: a fault of the tool.
    pub desyncs: u64,
    /// Events that don't fit those before them although none is said to be lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub misfits: u64,
    /// The first disagreements, in words.
    pub desync_details: Vec<String>,
    /// Hooks that are attached and did not report what must have happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent_hooks: Vec<SilentHook>,
    /// What the rules could not decide, and why.
    pub undecided: Vec<crate::judge::Undecided>,
    /// What could be seen.
    pub coverage: Coverage,
    /// The verdict.
    pub verdict: Verdict,
}

/// How much of a text was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineCounts {
    /// All lines.
    pub lines: u64,
    /// Lines that are events or part of one.
    pub event_lines: u64,
    /// Lines among the others that begin like an event and have no end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_lines: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Findings by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FindingCounts {
    /// Wrong, and able to do harm.
    pub error: u64,
    /// Wrong, and harmless as far as can be seen.
    pub warn: u64,
    /// Worth knowing.
    pub info: u64,
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

impl Summary {
    /// The summary of a run; findings at or above `fail_on` count for the verdict.
    #[must_use]
    pub fn new(
        outcome: &Outcome,
        coverage: Coverage,
        lost_by: Vec<LostBy>,
        fail_on: Severity,
    ) -> Self {
        let count = |severity| {
            outcome
                .findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count() as u64
        };
        Self {
            events: outcome.events,
            devices: outcome.devices,
            chosen_events: None,
            lines: None,
            findings: FindingCounts {
                error: count(Severity::Error),
                warn: count(Severity::Warn),
                info: count(Severity::Info),
            },
            lost: outcome.lost,
            lost_by,
            problems: Vec::new(),
            reasons: Vec::new(),
            command: None,
            crash: None,
            tainted: outcome.tainted,
            desyncs: outcome.desyncs,
            misfits: outcome.misfits,
            desync_details: outcome.desync_details.clone(),
            silent_hooks: outcome.silent_hooks.clone(),
            undecided: outcome.undecided.clone(),
            coverage,
            verdict: outcome.verdict(fail_on),
        }
    }

    /// That nothing was found says nothing, for this reason.
    pub fn doubt(&mut self, reason: String) {
        self.reasons.push(reason);
        self.leave_open();
    }

    /// Not everything was seen: that nothing was found says nothing.
    pub fn leave_open(&mut self) {
        if self.verdict == Verdict::Clean {
            self.verdict = Verdict::Inconclusive;
        }
    }
}

/// Takes what a run yields, in order.
pub trait Sink {
    /// The stream begins.
    fn begin(&mut self, source: &SourceInformation) -> io::Result<()>;
    /// Something happened; the model already knows.
    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()>;
    /// A rule found something, or found it again.
    fn finding(&mut self, finding: &Finding) -> io::Result<()>;
    /// The stream ends.
    fn end(&mut self, findings: &[Finding], summary: &Summary) -> io::Result<()>;
    /// Everything so far is to be seen now.
    fn flush(&mut self) -> io::Result<()>;
}
