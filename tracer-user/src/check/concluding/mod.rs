//! From what was seen to the groups of tests, when nothing comes any more.

mod devices;
mod evidence;
mod expectations;

use jiff::civil::Date;

use crate::{
    check::{
        assertion::{Conclusion, Watched},
        evidence::Records,
        expectation::{Excuse, Expected},
        policy::Policy,
        results::{Group, GroupKind, Status, Test},
        selection::Place,
    },
    engine::Outcome,
    evidence::Coverage,
    finding::{Finding, RuleInfo},
    rules::RuleSet,
};

/// What is put together when nothing comes any more.
pub(super) struct Concluding<'a> {
    pub(super) policy: &'a Policy,
    pub(super) coverage: &'a Coverage,
    pub(super) records: &'a Records,
    pub(super) outcome: &'a Outcome,
    pub(super) today: Date,
    pub(super) gap: Option<&'a str>,
    /// Which expectations something fitted.
    pub(super) seen: Vec<bool>,
}

impl Concluding<'_> {
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
    pub(super) fn excuse_test(&mut self, test: &mut Test, place: &Place) {
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

    pub(super) fn assertions(&mut self, watched: Vec<Watched>) -> Group {
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
}

/// The rule with this id.
fn info(id: &str) -> Option<&'static RuleInfo> {
    RuleSet::all().find(id)
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

/// Where a finding was made: first where the one was that is shown. One fingerprint has one bus and one driver.
pub(super) fn places_of(finding: &Finding) -> Vec<Place> {
    let place = |device: &str| Place {
        bus: finding.bus.clone().unwrap_or_default(),
        device: device.to_owned(),
        driver: finding.driver.clone().unwrap_or_default(),
    };
    let mut places = vec![place(&finding.device)];
    for device in finding.occurrences.devices() {
        if device != finding.device {
            places.push(place(device));
        }
    }
    places
}
