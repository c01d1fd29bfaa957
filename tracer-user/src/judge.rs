//! From events to a verdict.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    coverage::Coverage,
    event::{Event, Time},
    finding::{Finding, Report, Severity},
    model::{Change, Desync, InstanceKey, Model},
    rules::RuleSet,
};

/// Disagreements of the model with the kernel that are kept; the rest is counted.
const MOST_DESYNCS: usize = 100;

/// Applies events to the model and the rules to what they change.
#[derive(Debug)]
pub struct Judge {
    model: Model,
    rules: RuleSet,
    report: Report,
    desyncs: Vec<Desync>,
}

/// What can be said when nothing comes any more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What the rules found, in the order of first report.
    pub findings: Vec<Finding>,
    /// Findings that were not kept because there were too many different ones.
    pub findings_dropped: u64,
    /// Events seen.
    pub events: u64,
    /// Device instances seen.
    pub devices: u64,
    /// Events that the source reported as lost.
    pub lost: u64,
    /// Device instances of which something is missing that the source should have seen.
    pub tainted: u64,
    /// Disagreements of the model with the kernel (DR900).
    pub desyncs: u64,
    /// Events that don't fit those before them although none is said to be lost.
    pub misfits: u64,
    /// The first disagreements, in words.
    pub desync_details: Vec<String>,
    /// What could not be decided.
    pub undecided: Vec<Undecided>,
}

/// That a rule could not decide something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad its findings could have been.
    pub worst: Severity,
    /// Why.
    pub reason: String,
    /// On how many device instances; zero if on none in particular.
    pub devices: u64,
    /// Which, as far as they were kept.
    #[serde(skip)]
    pub instances: Vec<InstanceKey>,
}

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was seen, and nothing found that counts.
    Clean,
    /// Something was found that counts.
    Findings,
    /// Nothing was found that counts, but not everything could be seen.
    Inconclusive,
}

impl Judge {
    /// A judge that has seen nothing yet.
    #[must_use]
    pub fn new(coverage: Arc<Coverage>, rules: RuleSet) -> Self {
        Self {
            model: Model::new(coverage),
            rules,
            report: Report::default(),
            desyncs: Vec::new(),
        }
    }

    /// Takes one event in. Returns the findings that are new or have changed.
    pub fn apply(&mut self, event: &Event) -> &[Finding] {
        self.apply_with(event, |_, _| {})
    }

    /// Like [`apply`](Self::apply), and shows `also` every change, for views beside the rules.
    pub fn apply_with(
        &mut self,
        event: &Event,
        mut also: impl FnMut(&Change, &Model),
    ) -> &[Finding] {
        self.report.forget_updates();
        for change in self.model.apply(event) {
            self.rules.observe(&change, &self.model, &mut self.report);
            also(&change, &self.model);
            if let Change::Desynced(desync) = change
                && self.desyncs.len() < MOST_DESYNCS
            {
                self.desyncs.push(*desync);
            }
        }
        self.report.updates()
    }

    /// Nothing has happened until `now`: for sources that have a clock besides their events. Returns the findings
    /// that are new or have changed.
    pub fn pass(&mut self, now: Time) -> &[Finding] {
        self.report.forget_updates();
        self.rules.pass(now, &self.model, &mut self.report);
        self.report.updates()
    }

    /// The model, for views.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What was found so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.report.findings()
    }

    /// The first disagreements of the model with the kernel (DR900).
    #[must_use]
    pub fn desyncs(&self) -> &[Desync] {
        &self.desyncs
    }

    /// Nothing comes any more.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.conclude()
    }

    /// Like [`finish`](Self::finish), for views that go on showing the model.
    pub fn conclude(&mut self) -> Outcome {
        self.report.forget_updates();
        self.rules.finish(&self.model, &mut self.report);
        let tally = self.model.tally();
        let desync_details = self
            .desyncs
            .iter()
            .map(|desync| {
                let name = desync.name.as_deref().unwrap_or("unnamed device");
                format!("{name} ({}): {}", desync.device, desync.kind)
            })
            .collect();
        Outcome {
            undecided: self.undecided(),
            findings: self.report.findings().to_vec(),
            findings_dropped: self.report.dropped(),
            events: tally.events,
            devices: tally.devices,
            lost: tally.lost,
            tainted: tally.gone_tainted + self.model.doubtful_devices(),
            desyncs: tally.desyncs,
            misfits: tally.misfits,
            desync_details,
        }
    }

    /// What the rules could not decide: for want of hooks, or on devices of which something is missing.
    fn undecided(&self) -> Vec<Undecided> {
        let coverage = self.model.coverage();
        let mut undecided = Vec::new();
        for (info, any) in self.rules.undecided(coverage) {
            let symbols: Vec<_> = any.iter().map(|hook| hook.symbol()).collect();
            let reason = any
                .iter()
                .find_map(|hook| coverage.reason(*hook))
                .unwrap_or("the source does not have it");
            undecided.push(Undecided {
                rule: info.id,
                worst: info.worst(),
                reason: format!("{} is not seen: {reason}", symbols.join(" or ")),
                devices: 0,
                instances: Vec::new(),
            });
        }
        for (rule, silence) in self.report.silence() {
            let mut reasons: Vec<&str> = silence
                .devices
                .values()
                .map(|(_, why)| why.as_str())
                .collect();
            reasons.sort_unstable();
            reasons.dedup();
            for reason in reasons {
                let instances: Vec<InstanceKey> = silence
                    .devices
                    .iter()
                    .filter(|(_, (_, why))| why == reason)
                    .map(|(key, _)| *key)
                    .collect();
                undecided.push(Undecided {
                    rule,
                    worst: self.rules.worst(rule),
                    reason: reason.to_owned(),
                    devices: instances.len() as u64,
                    instances,
                });
            }
        }
        undecided
    }
}

impl Outcome {
    /// The verdict, where findings of at least `fail_on` count. A finding is real in spite of loss; that
    /// there are none says something only if everything was seen that such a finding needs.
    #[must_use]
    pub fn verdict(&self, fail_on: Severity) -> Verdict {
        if self
            .findings
            .iter()
            .any(|finding| finding.severity >= fail_on)
        {
            Verdict::Findings
        } else if self.lost > 0
            || self.desyncs > 0
            || self.misfits > 0
            || self.findings_dropped > 0
            || self
                .undecided
                .iter()
                .any(|undecided| undecided.worst >= fail_on)
        {
            Verdict::Inconclusive
        } else {
            Verdict::Clean
        }
    }
}
