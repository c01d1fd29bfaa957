//! A run under a policy: a pure state machine from events to results.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;

use super::{
    assertion::Watched,
    binding::Bindings,
    concluding::{Concluding, places_of},
    cycles::Cycles,
    evidence::Records,
    exercise::{CycleClock, Exercised, Wanted},
    limits::Growth,
    policy::Policy,
    results::{Group, GroupKind, Results, Status, Test},
    run_end::{RunEnd, gap, lost, misfits},
    selection::Place,
};
use crate::{
    engine::{Engine, Summary},
    event::{Event, Time},
    evidence::{Coverage, SourceEnd, SourceInformation},
    finding::Finding,
    history::{Histories, HistoryObserver, Limits, Window},
    model::Model,
    rules::RuleSet,
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
    /// The lives of devices, where they are wanted.
    lives: Option<HistoryObserver>,
    /// The times of the first event and the last.
    extent: Option<(Time, Time)>,
}

/// What a run was like, for a report that shows more than what the tests came to.
#[derive(Debug)]
pub struct Lives {
    /// What the source's beginning says.
    pub information: SourceInformation,
    /// The lives of the devices.
    pub histories: Histories,
    /// What the rules have found on them.
    pub findings: Vec<Finding>,
    /// The verdict of the rules alone.
    pub summary: Summary,
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
            lives: None,
            extent: None,
            information,
            policy,
        }
    }

    /// Bindings of these are compared from cycle to cycle.
    pub fn watch_cycles(&mut self, wanted: Wanted, clock: CycleClock) {
        self.cycles = Some(Cycles::new(wanted, clock));
    }

    /// Keeps the lives of devices, for [`finish_with_lives`](Self::finish_with_lives).
    pub fn keep_lives(&mut self, limits: Limits) {
        self.lives = Some(HistoryObserver::new(limits, Window::default(), false));
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
            lives,
            extent,
            ..
        } = self;
        let (first, last) = extent.get_or_insert((event.time, event.time));
        *first = event.time.min(*first);
        *last = event.time.max(*last);
        engine.apply_with(event, |change, model| {
            if let Some(lives) = lives {
                lives.observe(change, model);
            }
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

    /// The exercise of one of several devices is over: the test that it comes to. What fails the run or leaves it open
    /// meanwhile does the same to the test, so that a later run can go by it.
    #[must_use]
    pub fn end_exercise(
        &mut self,
        place: &Place,
        since: Time,
        exercised: &Exercised,
        today: Date,
    ) -> Test {
        let tally = self.engine.model().tally();
        let gap = (tally.lost > 0)
            .then(|| lost(tally.lost))
            .or_else(|| (tally.misfits > 0).then(|| misfits(tally.misfits)));
        let found = self.failing(since, today);
        let cycles = self.cycles.take();
        let tests = cycles.map(|cycles| cycles.conclude(exercised, gap.as_deref()).tests);
        let mut tests = tests.map(|tests| tests.to_vec()).unwrap_or_default();
        tests.extend(self.undecided_on(place));
        exercise_test(place, tests, found)
    }

    /// What rules could not decide on a device, where that leaves the run open.
    fn undecided_on(&self, place: &Place) -> Option<Test> {
        let Policy {
            levels, fail_on, ..
        } = &self.policy;
        let rules = RuleSet::all();
        let matters = |rule| {
            let info = rules.find(rule);
            info.is_some_and(|info| levels.matters(info, false, *fail_on))
        };
        let is_here = |instance| self.records.place_of(instance) == Some(place);
        let (rule, _, doubt) = self
            .engine
            .doubts()
            .find(|(rule, instance, _)| is_here(*instance) && matters(rule))?;
        Some(Test::new(rule, Status::Inconclusive, doubt.to_string()))
    }

    /// Sentences on what was found since then that fails the run.
    fn failing(&self, since: Time, today: Date) -> Vec<String> {
        let policy = &self.policy;
        let fails = |finding: &&Finding| {
            finding.last >= since
                && policy
                    .levels
                    .fails(finding.rule, finding.severity, policy.fail_on)
                && places_of(finding)
                    .iter()
                    .any(|one| policy.wants(one) && !policy.excuses(finding, one, today))
        };
        let findings = self.engine.findings().iter().filter(fails);
        findings
            .map(|finding| format!("{}: {}", finding.rule, finding.summary))
            .collect()
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
    pub fn finish(self, ending: RunEnd) -> Results {
        self.finish_with_lives(ending).0
    }

    /// Like [`finish`](Self::finish), with the lives of devices, if they were kept.
    #[must_use]
    pub fn finish_with_lives(mut self, ending: RunEnd) -> (Results, Option<Lives>) {
        self.bindings.finish(self.engine.model(), &mut self.records);
        let histories = self
            .lives
            .take()
            .map(|lives| lives.finish(self.engine.model()));
        let outcome = self.engine.finish();
        let lives = histories.map(|histories| {
            let mut end = SourceEnd::of_kernel(ending.lost_by.clone());
            end.problems.extend(ending.cut_short.clone());
            let coverage = self.information.coverage.clone();
            Lives {
                summary: Summary::new(&outcome, coverage, end, self.policy.fail_on),
                information: self.information.clone(),
                histories,
                findings: outcome.findings.clone(),
            }
        });
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
            for test in Arc::make_mut(&mut group.tests) {
                conclusion.excuse_test(test, &Place::default());
            }
            groups.push(group);
        }
        if !ending.exercised_each.is_empty() {
            let mut tests = Vec::new();
            for (place, mut test) in ending.exercised_each {
                conclusion.excuse_test(&mut test, &place);
                tests.push(test);
            }
            groups.push(Group::new(GroupKind::Exercise, "exercise", tests));
        }
        if let Some(expectations) = conclusion.expectations(&groups) {
            groups.push(expectations);
        }
        let duration = match self.extent {
            Some((first, last)) if self.coverage.times => Duration::from_nanos(last.since(first)),
            _ => Duration::ZERO,
        };
        let results = Results {
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
        };
        (results, lives)
    }
}

/// What the exercise of one device comes to, of the tests of its cycles and of what was found.
fn exercise_test(place: &Place, tests: Vec<Test>, found: Vec<String>) -> Test {
    let group = Group::new(GroupKind::Exercise, "", tests);
    let status = group.status();
    let worst = group.tests.iter().find(|test| test.status == status);
    let worst = worst.cloned();
    let mut test = match worst {
        Some(worst) if status != Status::Passed => Test {
            lines: worst.lines,
            ..Test::new(
                place.name(),
                status,
                format!("{}: {}", worst.name, worst.message),
            )
        },
        Some(worst) => Test::new(place.name(), status, worst.message),
        None => Test::new(place.name(), Status::Inconclusive, "nothing was exercised"),
    };
    if let Some(first) = found.first() {
        if test.status != Status::Failed {
            test.status = Status::Failed;
            test.message.clone_from(first);
        }
        test.lines.extend(found);
    }
    test.fingerprint = Some(format!("exercise/{}/{}", place.bus, place.driver));
    test
}
