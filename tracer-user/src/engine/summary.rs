//! What is said of a run at its end.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Outcome, Undecided, Verdict};
use crate::{
    crash::Crash,
    evidence::{CommandEnd, Coverage, LineCounts, LostBy, SourceEnd},
    finding::Severity,
    model::SilentHook,
};

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
    /// Where they were lost, as far as the kernel side reports it.
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
    #[serde(skip_serializing_if = "crate::evidence::is_zero")]
    pub misfits: u64,
    /// The first disagreements, in words.
    pub desync_details: Vec<String>,
    /// Hooks that are attached and did not report what must have happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent_hooks: Vec<SilentHook>,
    /// What the rules could not decide, and why.
    pub undecided: Vec<Undecided>,
    /// What could be seen.
    pub coverage: Coverage,
    /// The verdict.
    pub verdict: Verdict,
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

impl Summary {
    /// The summary of a run whose source has said `end`; findings at or above `fail_on` count for the verdict.
    #[must_use]
    pub fn new(outcome: &Outcome, coverage: Coverage, end: SourceEnd, fail_on: Severity) -> Self {
        let count = |severity| {
            outcome
                .findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count() as u64
        };
        let mut summary = Self {
            events: outcome.events,
            devices: outcome.devices,
            chosen_events: None,
            lines: end.lines,
            findings: FindingCounts {
                error: count(Severity::Error),
                warn: count(Severity::Warn),
                info: count(Severity::Info),
            },
            lost: outcome.lost,
            lost_by: end.lost_by,
            problems: end.problems,
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
        };
        if let Some(damage) = end.damage {
            // What comes behind it may be worse than what comes before.
            summary.problems.push(damage);
            summary.leave_open();
        }
        summary
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
