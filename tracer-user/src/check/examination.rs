//! A run under a policy: a pure state machine from events to results.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;

use super::{
    assertion::Watched,
    binding::Bindings,
    concluding::Concluding,
    cycles::{CycleClock, Cycles, Wanted},
    evidence::Records,
    exercise::Exercised,
    limits::Growth,
    policy::Policy,
    results::Results,
    selection::Place,
};
use crate::{
    engine::{Engine, Outcome},
    event::{Event, Time},
    evidence::{CommandEnd, Coverage, LostBy, SourceInformation},
    finding::Finding,
    model::Model,
};

/// A run under a policy.
#[derive(Debug)]
pub struct Examination {
    information: SourceInformation,
    coverage: Arc<Coverage>,
    policy: Policy,
    engine: Engine,
    records: Records,
    bindings: Bindings,
    assertions: Vec<Watched>,
    growth: Option<Growth>,
    cycles: Option<Cycles>,
    /// The times of the first event and the last.
    extent: Option<(Time, Time)>,
}

/// How a run ended, beside what its events say.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The day, for expectations that end.
    pub today: Date,
    /// How the command ended, if one was run.
    pub command: Option<CommandEnd>,
    /// Why the run is not whole, if it isn't: it was interrupted, or the input is damaged.
    pub cut_short: Option<String>,
    /// Why the run was not recorded, though that was asked for.
    pub unrecorded: Option<String>,
    /// Where events were lost, as far as the kernel side tells.
    pub lost_by: Vec<LostBy>,
    /// What the exercise did, if there was one.
    pub exercised: Option<Exercised>,
}

impl Examination {
    /// A run that has seen nothing yet.
    #[must_use]
    pub fn new(information: SourceInformation, policy: Policy) -> Self {
        let coverage = Arc::new(information.coverage.clone());
        Self {
            engine: Engine::new(Arc::clone(&coverage), policy.rules()),
            coverage,
            records: Records::default(),
            bindings: Bindings::default(),
            assertions: policy
                .assertions
                .iter()
                .cloned()
                .map(Watched::new)
                .collect(),
            growth: policy.limits.growth_per_rebind.map(Growth::new),
            cycles: None,
            extent: None,
            information,
            policy,
        }
    }

    /// Bindings of these are compared from cycle to cycle.
    pub fn watch_cycles(&mut self, wanted: Wanted, clock: CycleClock) {
        self.cycles = Some(Cycles::new(wanted, clock));
    }

    /// Nothing has happened until `now`, by the source's clock.
    pub fn pass(&mut self, now: Time) {
        self.engine.pass(now);
    }

    /// Takes one event in.
    pub fn event(&mut self, event: &Event) {
        let Self {
            engine,
            records,
            bindings,
            assertions,
            growth,
            cycles,
            extent,
            ..
        } = self;
        let (first, last) = extent.get_or_insert((event.time, event.time));
        *first = event.time.min(*first);
        *last = event.time.max(*last);
        engine.apply_with(event, |change, model| {
            let Some(observation) = bindings.observe(change, model, records) else {
                return;
            };
            for assertion in assertions.iter_mut() {
                assertion.observe(&observation);
            }
            if let Some(growth) = growth {
                growth.observe(&observation);
            }
            if let Some(cycles) = cycles {
                cycles.observe(&observation);
            }
        });
    }

    /// The model, for views.
    #[must_use]
    pub fn model(&self) -> &Model {
        self.engine.model()
    }

    /// What the rules have found so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.engine.findings()
    }

    /// Nothing comes any more.
    #[must_use]
    pub fn finish(mut self, ending: Ending) -> Results {
        self.bindings.finish(self.engine.model(), &mut self.records);
        let outcome = self.engine.finish();
        let gap = gap(&outcome, &ending);
        let mut conclusion = Concluding {
            policy: &self.policy,
            coverage: &self.coverage,
            records: &self.records,
            outcome: &outcome,
            today: ending.today,
            gap: gap.as_deref(),
            seen: vec![false; self.policy.expectations.len()],
        };
        let mut groups = vec![conclusion.evidence(&ending)];
        groups.extend(conclusion.devices(self.growth.as_mut()));
        if !self.assertions.is_empty() {
            groups.push(conclusion.assertions(self.assertions));
        }
        if let (Some(cycles), Some(exercised)) = (self.cycles, &ending.exercised) {
            let mut group = cycles.conclude(exercised, gap.as_deref());
            for test in &mut group.tests {
                conclusion.excuse_test(test, &Place::default());
            }
            groups.push(group);
        }
        if let Some(expectations) = conclusion.expectations(&groups) {
            groups.push(expectations);
        }
        let duration = match self.extent {
            Some((first, last)) if self.coverage.times => Duration::from_nanos(last.since(first)),
            _ => Duration::ZERO,
        };
        Results {
            tool: self.information.tool,
            kernel: self.information.kernel,
            machine: self.information.machine,
            date: ending.today,
            verdict: Results::verdict_of(&groups),
            command: ending.command,
            duration,
            events: outcome.events,
            lost: outcome.lost,
            lost_by: ending.lost_by,
            groups,
        }
    }
}

impl Ending {
    /// A run that came to its end on this day, with nothing else to say.
    #[must_use]
    pub fn on(today: Date) -> Self {
        Self {
            today,
            command: None,
            cut_short: None,
            unrecorded: None,
            lost_by: Vec::new(),
            exercised: None,
        }
    }
}

/// That so many events were lost.
pub(super) fn lost(events: u64) -> String {
    match events {
        1 => "1 event was lost".to_owned(),
        events => format!("{events} events were lost"),
    }
}

/// That so many events don't fit those before them.
pub(super) fn misfits(events: u64) -> String {
    let events = match events {
        1 => "1 event does not".to_owned(),
        events => format!("{events} events do not"),
    };
    format!("{events} fit what came before: something is missing, there twice or out of order")
}

/// Why what was not found may have been missed, whatever it is.
fn gap(outcome: &Outcome, ending: &Ending) -> Option<String> {
    if outcome.lost > 0 {
        Some(lost(outcome.lost))
    } else if outcome.desyncs > 0 {
        Some("the tool's model and the kernel disagreed".to_owned())
    } else if let Some(silent) = outcome.silent_hooks.first() {
        Some(silent.to_string())
    } else if outcome.misfits > 0 {
        Some(misfits(outcome.misfits))
    } else {
        ending.cut_short.clone()
    }
}
