//! A run under a policy: a pure state machine from events to results.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    assertion::{Conclusion, Watched, at, missing},
    binding::Bindings,
    cycles::{CycleClock, Cycles, Wanted},
    date::Date,
    evidence::{Opportunity, Record, Records, opportunity},
    exercise::Exercised,
    expectation::{Excuse, Expected},
    level::Level,
    limits::Growth,
    policy::Policy,
    results::{CommandEnd, Group, GroupKind, Judged, Results, Status, Test},
    selection::Place,
};
use crate::{
    coverage::{Before, Coverage},
    event::Event,
    finding::Finding,
    judge::{Judge, Outcome, Undecided},
    model::Model,
    rules::{RuleInfo, RuleSet},
    sink::{LostBy, SourceInformation},
};

/// A run under a policy.
#[derive(Debug)]
pub struct Examination {
    information: SourceInformation,
    coverage: Arc<Coverage>,
    policy: Policy,
    judge: Judge,
    records: Records,
    bindings: Bindings,
    assertions: Vec<Watched>,
    growth: Option<Growth>,
    cycles: Option<Cycles>,
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
            judge: Judge::new(Arc::clone(&coverage), policy.rules()),
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
            information,
            policy,
        }
    }

    /// Bindings of these are compared from cycle to cycle.
    pub fn watch_cycles(&mut self, wanted: Wanted, clock: CycleClock) {
        self.cycles = Some(Cycles::new(wanted, clock));
    }

    /// Takes one event in.
    pub fn event(&mut self, event: &Event) {
        let Self {
            judge,
            records,
            bindings,
            assertions,
            growth,
            cycles,
            ..
        } = self;
        judge.apply_with(event, |change, model| {
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
        self.judge.model()
    }

    /// What the rules have found so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.judge.findings()
    }

    /// Nothing comes any more: the results, and what the judge said.
    #[must_use]
    pub fn finish(mut self, ending: Ending) -> (Results, Outcome) {
        self.bindings.finish(self.judge.model(), &mut self.records);
        let outcome = self.judge.finish();
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
        let results = Results {
            tool: self.information.tool,
            kernel: self.information.kernel,
            machine: self.information.machine,
            date: ending.today,
            verdict: Results::verdict_of(&groups),
            command: ending.command,
            events: outcome.events,
            lost: outcome.lost,
            lost_by: ending.lost_by,
            groups,
        };
        (results, outcome)
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
            lost_by: Vec::new(),
            exercised: None,
        }
    }
}

/// Why what was not found may have been missed, whatever it is.
fn gap(outcome: &Outcome, ending: &Ending) -> Option<String> {
    if outcome.lost > 0 {
        Some(format!("{} events were lost", outcome.lost))
    } else if outcome.desyncs > 0 {
        Some("the tool's model and the kernel disagreed".to_owned())
    } else {
        ending.cut_short.clone()
    }
}

/// What is put together when nothing comes any more.
struct Concluding<'a> {
    policy: &'a Policy,
    coverage: &'a Coverage,
    records: &'a Records,
    outcome: &'a Outcome,
    today: Date,
    gap: Option<&'a str>,
    /// Which expectations something fitted.
    seen: Vec<bool>,
}

impl Concluding<'_> {
    /// Whether everything was seen that the policy asks for.
    fn evidence(&self, ending: &Ending) -> Group {
        let outcome = self.outcome;
        let mut tests = vec![
            verdict(
                "nothing lost",
                (outcome.lost > 0).then(|| {
                    format!(
                        "{} events were lost: give the ring buffer more room with --ring-size, or trace less",
                        outcome.lost
                    )
                }),
                Vec::new(),
            ),
            verdict(
                "model agrees with the kernel",
                (outcome.desyncs > 0).then(|| {
                    format!(
                        "{} disagreements: a fault of this tool, please report it",
                        outcome.desyncs
                    )
                }),
                outcome.desync_details.clone(),
            ),
        ];
        if let Some(why) = &ending.cut_short {
            tests.push(verdict("run is whole", Some(why.clone()), Vec::new()));
        }
        if outcome.findings_dropped > 0 {
            let why = format!("{} findings were not kept", outcome.findings_dropped);
            tests.push(verdict("all findings kept", Some(why), Vec::new()));
        }
        let active = self
            .records
            .iter()
            .filter(|(place, record)| record.is_active() && self.policy.wants(place))
            .count();
        tests.push(verdict(
            "something to judge",
            (active == 0).then(|| {
                "no resource came or went on any device that the policy asks for".to_owned()
            }),
            Vec::new(),
        ));
        tests.extend(self.undecided_everywhere());
        tests.extend(self.required());
        Group::new(GroupKind::Evidence, "evidence", tests)
    }

    /// Rules that can't decide for want of hooks.
    fn undecided_everywhere(&self) -> Vec<Test> {
        let mut tests: Vec<Test> = Vec::new();
        for undecided in self.outcome.undecided.iter().filter(|one| one.devices == 0) {
            let Some(info) = self.info(undecided.rule) else {
                continue;
            };
            let status = if self.policy.levels.matters(info, true, self.policy.fail_on) {
                Status::Inconclusive
            } else {
                Status::Skipped
            };
            let name = format!("{} can decide", info.id);
            match tests.iter_mut().find(|test| test.name == name) {
                Some(test) => {
                    test.message = format!("{}; {}", test.message, undecided.reason);
                }
                None => tests.push(Test::new(name, status, undecided.reason.clone())),
            }
        }
        tests
    }

    fn required(&self) -> Vec<Test> {
        let required = &self.policy.required;
        let mut tests = Vec::new();
        for hook in &required.hooks {
            let name = format!("hook {}", hook.symbol());
            let why = (!self.coverage.sees(*hook)).then(|| {
                let reason = self
                    .coverage
                    .missing()
                    .find(|(missing, _)| missing == hook)
                    .map_or("the source does not have it", |(_, reason)| reason);
                format!("not seen: {reason}")
            });
            tests.push(verdict(&name, why, Vec::new()));
        }
        for id in &required.rules {
            let why = self.info(id).and_then(|info| {
                if self.policy.levels.of(id) == Level::Off {
                    Some("the rule is off".to_owned())
                } else {
                    missing(self.coverage, info.needs)
                }
            });
            tests.push(verdict(&format!("{id} is required"), why, Vec::new()));
        }
        for (text, glob) in &required.drivers {
            let seen = self.records.iter().any(|(place, record)| {
                glob.is_match(&place.driver) && (record.bound > 0 || record.ended > 0)
            });
            let why = (!seen).then(|| "it neither bound nor left a device in this run".to_owned());
            tests.push(verdict(&format!("driver {text}"), why, Vec::new()));
        }
        if required.snapshot {
            let why = match &self.coverage.before {
                Before::Unknown(reason) => Some(reason.clone()),
                Before::Snapshot | Before::Nothing => None,
            };
            tests.push(verdict("what existed before is known", why, Vec::new()));
        }
        if required.stacks {
            let why = (!self.coverage.stacks).then(|| "no stacks are taken".to_owned());
            tests.push(verdict("stacks are taken", why, Vec::new()));
        }
        tests
    }

    fn info(&self, id: &str) -> Option<&'static RuleInfo> {
        RuleSet::all().find(id)
    }

    /// A group for each device that was active or that something was found on.
    fn devices(&mut self, mut growth: Option<&mut Growth>) -> Vec<Group> {
        let mut devices: BTreeMap<(String, String), Vec<(Place, Record)>> = BTreeMap::new();
        for (place, record) in self.records.iter() {
            if self.policy.wants(place) && record.is_active() {
                let key = (place.bus.clone(), place.device.clone());
                let records = devices.entry(key).or_default();
                records.push((place.clone(), record.clone()));
            }
        }
        for finding in &self.outcome.findings {
            let place = place_of(finding);
            if self.policy.wants(&place) {
                let key = (place.bus.clone(), place.device.clone());
                let records = devices.entry(key).or_default();
                if !records.iter().any(|(known, _)| *known == place) {
                    records.push((place, Record::default()));
                }
            }
        }
        let applied: Vec<&RuleInfo> = RuleSet::all()
            .infos()
            .filter(|info| self.policy.levels.of(info.id) != Level::Off)
            .collect();
        let mut groups = Vec::new();
        for ((bus, device), records) in devices {
            let mut tests: Vec<Test> = applied
                .iter()
                .map(|info| self.rule(info, &device, &records))
                .collect();
            for (place, record) in &records {
                tests.extend(self.limits(place, record, growth.as_deref_mut(), records.len() > 1));
            }
            let drivers: Vec<&str> = records
                .iter()
                .map(|(place, _)| place.driver.as_str())
                .filter(|driver| !driver.is_empty())
                .collect();
            let name = if bus.is_empty() {
                device.clone()
            } else {
                format!("{bus}/{device}")
            };
            groups.push(Group {
                bus: (!bus.is_empty()).then_some(bus),
                source: drivers
                    .first()
                    .and_then(|driver| self.policy.source_of(driver))
                    .map(str::to_owned),
                driver: (!drivers.is_empty()).then(|| drivers.join(", ")),
                device: Some(device),
                ..Group::new(GroupKind::Device, &name, tests)
            });
        }
        groups
    }

    /// What a rule says of a device.
    fn rule(&mut self, info: &'static RuleInfo, device: &str, records: &[(Place, Record)]) -> Test {
        let outcome = self.outcome;
        let mut judged = Vec::new();
        for finding in &outcome.findings {
            let place = place_of(finding);
            if finding.rule == info.id
                && place.device == device
                && records.iter().any(|(known, _)| known.bus == place.bus)
                && self.policy.wants(&place)
            {
                judged.push(self.judge(finding, &place));
            }
        }
        if let Some(worst) = judged.iter().max_by_key(|judged| judged.status) {
            let note = if worst.note.is_empty() {
                String::new()
            } else {
                format!(" ({})", worst.note)
            };
            return Test {
                fingerprint: Some(worst.finding.fingerprint.clone()),
                message: format!("{}{note}", worst.finding.summary),
                status: worst.status,
                findings: judged,
                ..Test::new(info.id, Status::Passed, "")
            };
        }
        let (status, message) = self.absence(info, records);
        Test::new(info.id, status, message)
    }

    /// What it means that a rule found nothing on a device.
    fn absence(&self, info: &'static RuleInfo, records: &[(Place, Record)]) -> (Status, String) {
        let ours = |undecided: &&Undecided| {
            undecided.instances.iter().any(|key| {
                records
                    .iter()
                    .any(|(_, record)| record.instances.contains(key))
            })
        };
        let about_rule = || {
            self.outcome
                .undecided
                .iter()
                .filter(|undecided| undecided.rule == info.id)
        };
        if let Some(undecided) = about_rule().find(ours) {
            let status = if self.policy.levels.matters(info, false, self.policy.fail_on) {
                Status::Inconclusive
            } else {
                Status::Skipped
            };
            return (status, undecided.reason.clone());
        }
        if let Some(undecided) = about_rule().find(|undecided| undecided.devices == 0) {
            return (Status::Skipped, undecided.reason.clone());
        }
        if let Some(gap) = self.gap {
            return (Status::Inconclusive, gap.to_owned());
        }
        let elsewhere = self.outcome.findings.iter().find(|finding| {
            let place = place_of(finding);
            finding.rule == info.id
                && finding.count > 1
                && records
                    .iter()
                    .any(|(own, _)| own.bus == place.bus && own.driver == place.driver)
        });
        if let Some(finding) = elsewhere {
            let device = &finding.device;
            return (
                Status::Skipped,
                format!("counted for {device}: findings of one driver are counted together"),
            );
        }
        (Status::Passed, String::new())
    }

    /// What the policy says of a finding.
    fn judge(&mut self, finding: &Finding, place: &Place) -> Judged {
        let levels = &self.policy.levels;
        let fails = levels.fails(finding.rule, finding.severity, self.policy.fail_on);
        let (mut status, mut note) = if fails {
            (Status::Failed, String::new())
        } else {
            (Status::Noted, String::new())
        };
        if let Some(excuse) = self.excuse(&finding.fingerprint, Some(finding.rule), place) {
            (status, note) = excused(status, excuse);
        }
        Judged {
            status,
            note,
            finding: finding.clone(),
        }
    }

    /// What the expectations say of something found, if they know it.
    fn excuse(&mut self, fingerprint: &str, rule: Option<&str>, place: &Place) -> Option<Excuse> {
        let mut excuse: Option<Excuse> = None;
        for (expectation, seen) in self.policy.expectations.iter().zip(&mut self.seen) {
            if !expectation.fits(fingerprint, rule, place) {
                continue;
            }
            *seen = true;
            let this = expectation.excuse(self.today);
            if excuse.is_none() || matches!(excuse, Some(Excuse::Ended(_))) {
                excuse = Some(this);
            }
        }
        excuse
    }

    /// Excuses a test that failed, if it is expected to.
    fn excuse_test(&mut self, test: &mut Test, place: &Place) {
        let Some(fingerprint) = test.fingerprint.clone() else {
            return;
        };
        if test.status != Status::Failed {
            return;
        }
        if let Some(excuse) = self.excuse(&fingerprint, None, place) {
            let (status, note) = excused(test.status, excuse);
            test.status = status;
            test.message = format!("{} ({note})", test.message);
        }
    }

    fn limits(
        &mut self,
        place: &Place,
        record: &Record,
        growth: Option<&mut Growth>,
        several: bool,
    ) -> Vec<Test> {
        let mut tests = Vec::new();
        let name = |limit: &str| {
            if several && !place.driver.is_empty() {
                format!("{limit} with {}", place.driver)
            } else {
                limit.to_owned()
            }
        };
        let fingerprint =
            |limit: &str| Some(format!("limit/{limit}/{}/{}", place.bus, place.driver));
        if let Some(limit) = self.policy.limits.resources_per_device {
            let (status, message) = if record.most > limit {
                let what = format!("it had {} resources, {limit} are allowed", record.most);
                (Status::Failed, at(place, record.most_at, &what))
            } else if let Some(doubt) = record.doubt.as_deref().or(self.gap) {
                (Status::Inconclusive, doubt.to_owned())
            } else {
                (Status::Passed, format!("{} at most", record.most))
            };
            tests.push(Test {
                fingerprint: fingerprint("resources-per-device"),
                ..Test::new(name("resources-per-device"), status, message)
            });
        }
        if let (Some(growth), Some(limit)) = (growth, self.policy.limits.growth_per_rebind) {
            let grown = growth.take(place).unwrap_or_default();
            let bindings = grown.bindings;
            let mut test = if !grown.violations.is_empty() {
                Test {
                    message: grown.violations.first().to_owned(),
                    lines: grown.violations.into_lines(),
                    ..Test::new("", Status::Failed, "")
                }
            } else if bindings < 2 {
                Test::new("", Status::Skipped, "it was not bound twice in this run")
            } else if !grown.doubts.is_empty() {
                Test::new("", Status::Inconclusive, grown.doubts.first())
            } else if let Some(gap) = self.gap {
                Test::new("", Status::Inconclusive, gap)
            } else {
                let message = format!("{bindings} bindings, none with more than {limit} more");
                Test::new("", Status::Passed, message)
            };
            test.name = name("growth-per-rebind");
            test.fingerprint = fingerprint("growth-per-rebind");
            tests.push(test);
        }
        for test in &mut tests {
            self.excuse_test(test, place);
        }
        tests
    }

    fn assertions(&mut self, watched: Vec<Watched>) -> Group {
        let mut tests = Vec::new();
        for watched in watched {
            let name = watched.assertion.name.clone();
            let Conclusion {
                status,
                message,
                lines,
            } = watched.conclude(self.records, self.coverage, self.gap);
            let mut test = Test {
                lines,
                fingerprint: Some(format!("assert/{name}")),
                ..Test::new(name, status, message)
            };
            self.excuse_test(&mut test, &Place::default());
            tests.push(test);
        }
        Group::new(GroupKind::Assertions, "assertions", tests)
    }

    /// What became of the expectations, if there are any.
    fn expectations(&self, groups: &[Group]) -> Option<Group> {
        if self.policy.expectations.is_empty() {
            return None;
        }
        let tests = self
            .policy
            .expectations
            .iter()
            .zip(&self.seen)
            .map(|(expectation, seen)| {
                let (status, message) = if *seen {
                    // What was found says for itself what it does to the run.
                    (Status::Passed, "found".to_owned())
                } else if expectation.outcome == Expected::Fail {
                    self.unmet(expectation, groups)
                } else {
                    (Status::Skipped, "not found, as may be".to_owned())
                };
                Test {
                    lines: if status == Status::Failed {
                        vec![format!(
                            "{}: expected because: {}",
                            expectation.place, expectation.reason
                        )]
                    } else {
                        Vec::new()
                    },
                    ..Test::new(expectation.subject(), status, message)
                }
            })
            .collect();
        Some(Group::new(GroupKind::Expectations, "expectations", tests))
    }

    /// What it means that something expected was not found.
    fn unmet(
        &self,
        expectation: &super::expectation::Expectation,
        groups: &[Group],
    ) -> (Status, String) {
        let unexpected = || {
            let message = format!(
                "unexpected pass: it was not found; take the expectation in {} away",
                expectation.place
            );
            (Status::Failed, message)
        };
        let open = |why: String| {
            let status = if self.policy.required.expectations {
                Status::Inconclusive
            } else {
                Status::Skipped
            };
            (status, why)
        };
        let Some(rule) = expectation.rule() else {
            let subject = expectation.subject();
            let mut theirs = groups
                .iter()
                .flat_map(|group| &group.tests)
                .filter(|test| test.fingerprint.as_deref() == Some(subject.as_str()))
                .map(|test| test.status);
            return match theirs.next() {
                Some(Status::Passed) if theirs.all(|status| status == Status::Passed) => {
                    unexpected()
                }
                Some(_) => open("not found, and that proves nothing: see that test".to_owned()),
                None => open("there is no such test in this run".to_owned()),
            };
        };
        if self.policy.levels.of(rule) == Level::Off {
            return open(format!("{rule} is off"));
        }
        let undecided = self.outcome.undecided.iter().find(|undecided| {
            undecided.rule == rule
                && (undecided.devices == 0
                    || undecided.instances.iter().any(|key| {
                        self.records
                            .place_of(*key)
                            .is_none_or(|place| expectation.concerns(place))
                    }))
        });
        let proves_nothing = |why: &str| {
            (
                Status::Inconclusive,
                format!("not found, and that proves nothing: {why}"),
            )
        };
        let meant = |place: &Place| self.policy.wants(place) && expectation.concerns(place);
        match opportunity(rule, self.records, meant) {
            Opportunity::NotSeen => {
                open("not seen: no such device and driver in this run".to_owned())
            }
            Opportunity::Idle(why) => open(format!("the device was seen, but {why}")),
            Opportunity::Doubtful(doubt) => proves_nothing(&doubt),
            Opportunity::Given => match (self.gap, undecided) {
                (Some(gap), _) => proves_nothing(gap),
                (None, Some(undecided)) => proves_nothing(&undecided.reason),
                (None, None) => unexpected(),
            },
        }
    }
}

/// The status and a note, after the expectations were asked.
fn excused(status: Status, excuse: Excuse) -> (Status, String) {
    match excuse {
        Excuse::Excused {
            expected: Expected::Skip,
            reason,
        } => (Status::Skipped, reason),
        Excuse::Excused { expected, reason } => (
            Status::Excused,
            format!("expected {}: {reason}", expected.name()),
        ),
        Excuse::Ended(note) => (status, note),
    }
}

/// A test of evidence: what is missing makes the run inconclusive.
fn verdict(name: &str, missing: Option<String>, lines: Vec<String>) -> Test {
    match missing {
        Some(missing) => Test {
            lines,
            ..Test::new(name, Status::Inconclusive, missing)
        },
        None => Test::new(name, Status::Passed, ""),
    }
}

/// Where a finding was made.
fn place_of(finding: &Finding) -> Place {
    Place {
        bus: finding.bus.clone().unwrap_or_default(),
        device: finding.device.clone(),
        driver: finding.driver.clone().unwrap_or_default(),
    }
}
