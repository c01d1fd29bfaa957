//! From events to a verdict.

mod observer;
mod summary;

use std::{collections::BTreeMap, fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::{
    event::{Event, Time},
    evidence::{Coverage, HookState},
    finding::{Doubt, Finding, Occurrence, Report, Severity},
    model::{Change, Desync, InstanceKey, Model, SilentHook},
    rules::RuleSet,
};

pub use observer::Observer;
pub use summary::{FindingCounts, Summary};

/// Disagreements of the model with the kernel that are kept; the rest is counted.
const MOST_DESYNCS: usize = 100;

/// Applies events to the model and the rules to what they change.
#[derive(Debug)]
pub struct Engine {
    model: Model,
    rules: RuleSet,
    report: Report,
    desyncs: Vec<Desync>,
}

/// What can be said when nothing comes any more.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// Hooks that are attached and did not report what must have happened.
    pub silent_hooks: Vec<SilentHook>,
    /// What could not be decided.
    pub undecided: Vec<Undecided>,
}

/// That a rule could not decide something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undecided {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad its findings could have been.
    pub worst: Severity,
    /// Why.
    #[schemars(with = "String")]
    pub reason: Reason,
    /// On how many device instances; zero if on none in particular.
    pub devices: u64,
    /// Which, as far as they were kept.
    #[serde(skip)]
    pub instances: Vec<InstanceKey>,
}

/// Why a rule could not decide something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A hook or an argument that it needs was not seen, with what the source says of that.
    Unseen(String),
    /// What was seen of some devices leaves it open.
    Doubt(Doubt),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen(what) => formatter.write_str(what),
            Self::Doubt(doubt) => doubt.fmt(formatter),
        }
    }
}

impl Serialize for Reason {
    /// As its text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was seen, and nothing found that counts.
    Clean,
    /// Something was found that counts.
    Findings,
    /// Nothing was found that counts, but not everything could be seen.
    Inconclusive,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(coverage: Arc<Coverage>, rules: RuleSet) -> Self {
        Self {
            report: Report::new(&coverage),
            model: Model::new(coverage),
            rules,
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
            if let Change::DeviceNamed(id) = change
                && let Some(device) = self.model.device_by_id(id)
                && let Some(name) = device.identity().name.as_deref()
            {
                self.report.name(device.key(), name);
            }
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

    /// What rules could not decide so far, on which instances of devices, and why.
    pub fn doubts(&self) -> impl Iterator<Item = (&'static str, InstanceKey, Doubt)> {
        let silence = self.report.silence().iter();
        silence.flat_map(|(rule, silence)| {
            let devices = silence.devices.iter();
            devices.map(|(instance, doubt)| (*rule, *instance, *doubt))
        })
    }

    /// What occurred with the last event, with the finding's place among [`findings`](Self::findings).
    #[must_use]
    pub fn occurred(&self) -> &[(usize, Occurrence)] {
        self.report.occurred()
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
        let silent_hooks = self.silent_hooks();
        Outcome {
            undecided: self.undecided(&silent_hooks),
            silent_hooks,
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

    fn silent_hooks(&self) -> Vec<SilentHook> {
        let found = self.model.silent_hooks().iter().cloned();
        found
            .chain(self.model.unexplained_driver())
            .chain(self.model.unheard_hooks())
            .collect()
    }

    /// What the rules could not decide: for want of hooks, or on devices of which something is missing.
    fn undecided(&self, silent: &[SilentHook]) -> Vec<Undecided> {
        let coverage = &without(self.model.coverage(), silent);
        let mut undecided = Vec::new();
        for (info, gap) in self.rules.undecided(coverage) {
            undecided.push(Undecided {
                rule: info.id,
                worst: info.worst(),
                reason: Reason::Unseen(coverage.explain(gap)),
                devices: 0,
                instances: Vec::new(),
            });
        }
        for (rule, silence) in self.report.silence() {
            let worst = if silence.open {
                Severity::Error
            } else {
                self.rules.worst(rule)
            };
            let mut by_doubt: BTreeMap<Doubt, Vec<InstanceKey>> = BTreeMap::new();
            for (instance, doubt) in &silence.devices {
                by_doubt.entry(*doubt).or_default().push(*instance);
            }
            undecided.extend(by_doubt.into_iter().map(|(doubt, instances)| Undecided {
                rule,
                worst,
                reason: Reason::Doubt(doubt),
                devices: instances.len() as u64,
                instances,
            }));
        }
        undecided
    }
}

/// What the source could see, had it reported that these hooks are silent.
fn without(coverage: &Coverage, silent: &[SilentHook]) -> Coverage {
    let mut coverage = coverage.clone();
    for entry in &mut coverage.hooks {
        if let Some(silent) = silent.iter().find(|one| one.hooks.contains(&entry.hook)) {
            entry.state = HookState::Missing(format!("attached and silent: {}", silent.sign));
        }
    }
    coverage
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
            || !self.silent_hooks.is_empty()
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
