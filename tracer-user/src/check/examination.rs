//! A run under a policy: a pure state machine from events to results.

use std::{sync::Arc, time::Duration};

use super::{
    assertion::Watched,
    binding::Bindings,
    concluding::Concluding,
    cycles::Cycles,
    evidence::Records,
    exercise::{CycleClock, Wanted},
    limits::Growth,
    policy::Policy,
    results::Results,
    run_end::{RunEnd, gap},
    selection::Place,
};
use crate::{
    engine::Engine,
    event::{Event, Time},
    evidence::{Coverage, SourceInformation},
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
    pub fn finish(mut self, ending: RunEnd) -> Results {
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
