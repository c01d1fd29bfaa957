//! What became of the expectations.

use super::Concluding;
use crate::check::{
    evidence::{Opportunity, opportunity},
    expectation::{Expectation, Expected},
    level::Level,
    results::{Group, GroupKind, Status, Test},
    selection::Place,
};

impl Concluding<'_> {
    /// What became of the expectations, if there are any.
    pub(in crate::check) fn expectations(&self, groups: &[Group]) -> Option<Group> {
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
                    (Status::Skipped, "not found, which is allowed".to_owned())
                };
                Test {
                    lines: if status == Status::Failed {
                        vec![format!(
                            "{}: expected: {}",
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
    fn unmet(&self, expectation: &Expectation, groups: &[Group]) -> (Status, String) {
        let unexpected = || {
            let message = format!(
                "unexpected pass: not found; remove the expectation from {}",
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
            return match passed(&expectation.subject(), groups) {
                Some(true) => unexpected(),
                Some(false) => open("not found, but that proves nothing: see that test".to_owned()),
                None => open("no such test in this run".to_owned()),
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
                format!("not found, but that proves nothing: {why}"),
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
                (None, Some(undecided)) => proves_nothing(&undecided.reason.to_string()),
                (None, None) => unexpected(),
            },
        }
    }
}

/// Whether all tests with this fingerprint have passed, if there are any.
fn passed(fingerprint: &str, groups: &[Group]) -> Option<bool> {
    let tests = groups.iter().flat_map(|group| group.tests.iter());
    tests
        .filter(|test| test.fingerprint.as_deref() == Some(fingerprint))
        .map(|test| test.status == Status::Passed)
        .reduce(|one, other| one && other)
}
