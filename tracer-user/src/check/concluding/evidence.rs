//! Whether everything was seen that the policy asks for.

use super::{Concluding, info};
use crate::{
    check::{
        assertion::unable,
        level::Level,
        results::{Group, GroupKind, Status, Test},
        run_end::{RunEnd, lost, misfits},
    },
    evidence::Before,
    number::plural,
};

const SOMETHING: &str = "something to judge";

impl Concluding<'_> {
    /// Whether everything was seen that the policy asks for.
    pub(in crate::check) fn evidence(&self, ending: &RunEnd) -> Group {
        let outcome = self.outcome;
        let mut tests = vec![
            verdict(
                "nothing lost",
                (outcome.lost > 0).then(|| {
                    format!(
                        "{}: enlarge the ring buffer with --ring-size, or trace less",
                        lost(outcome.lost)
                    )
                }),
            ),
            Test {
                lines: outcome.desync_details.clone(),
                ..verdict(
                    "the tracer's model matches the kernel",
                    (outcome.desyncs > 0).then(|| {
                        format!(
                            "{} {}: a bug of this tool, please report it",
                            outcome.desyncs,
                            plural(outcome.desyncs, "disagreement", "disagreements")
                        )
                    }),
                )
            },
        ];
        if !outcome.silent_hooks.is_empty() {
            let silent: Vec<_> = outcome
                .silent_hooks
                .iter()
                .map(ToString::to_string)
                .collect();
            let why = silent.join("; ");
            tests.push(verdict("hooks report", Some(why)));
        }
        if outcome.misfits > 0 {
            let why = misfits(outcome.misfits);
            tests.push(verdict("events are consistent", Some(why)));
        }
        if let Some(why) = &ending.cut_short {
            tests.push(verdict("run is complete", Some(why.clone())));
        }
        if let Some(why) = &ending.unrecorded {
            tests.push(Test::new("recorded", Status::Failed, why));
        }
        if outcome.findings_dropped > 0 {
            let why = match outcome.findings_dropped {
                1 => "1 finding was not kept".to_owned(),
                dropped => format!("{dropped} findings were not kept"),
            };
            tests.push(verdict("all findings kept", Some(why)));
        }
        let active = self
            .records
            .iter()
            .filter(|(place, record)| record.is_active() && self.policy.wants(place))
            .count();
        tests.push(match (active, ending.judged_before) {
            (0, 0) => verdict(
                SOMETHING,
                Some("no judged device gained or lost a resource".to_owned()),
            ),
            (0, before) => Test::new(
                SOMETHING,
                Status::Passed,
                format!("all that there was, an earlier run has judged ({before} devices)"),
            ),
            _ => verdict(SOMETHING, None),
        });
        tests.extend(self.undecided_everywhere());
        tests.extend(self.required());
        Group::new(GroupKind::Evidence, "evidence", tests)
    }

    /// Rules that can't decide for want of hooks.
    fn undecided_everywhere(&self) -> Vec<Test> {
        let mut tests: Vec<Test> = Vec::new();
        for undecided in self.outcome.undecided.iter().filter(|one| one.devices == 0) {
            let Some(info) = info(undecided.rule) else {
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
                None => tests.push(Test::new(name, status, undecided.reason.to_string())),
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
                    .reason(*hook)
                    .unwrap_or("the source does not record it");
                format!("not seen: {reason}")
            });
            tests.push(verdict(&name, why));
        }
        for id in &required.rules {
            let why = info(id).and_then(|info| {
                if self.policy.levels.of(id) == Level::Off {
                    Some("the rule is off".to_owned())
                } else {
                    unable(self.coverage, info)
                }
            });
            tests.push(verdict(&format!("{id} is required"), why));
        }
        for (text, glob) in &required.drivers {
            let seen = self.records.iter().any(|(place, record)| {
                glob.is_match(&place.driver) && (record.bound > 0 || record.ended > 0)
            });
            let why = (!seen).then(|| "it was neither bound nor unbound in this run".to_owned());
            tests.push(verdict(&format!("driver {text}"), why));
        }
        if required.snapshot {
            let why = match &self.coverage.before {
                Before::Unknown(reason) => Some(reason.clone()),
                Before::Snapshot | Before::Nothing => None,
            };
            tests.push(verdict("resources from before the run are known", why));
        }
        if required.stacks {
            let why = (!self.coverage.stacks).then(|| "no stacks were recorded".to_owned());
            tests.push(verdict("stacks are recorded", why));
        }
        tests
    }
}

/// A test of evidence: what is missing makes the run inconclusive.
fn verdict(name: &str, missing: Option<String>) -> Test {
    match missing {
        Some(missing) => Test::new(name, Status::Inconclusive, missing),
        None => Test::new(name, Status::Passed, ""),
    }
}
