//! What rules and limits say of each device.

use std::collections::BTreeMap;

use super::{Concluding, excused, places_of};
use crate::{
    check::{
        assertion::{at, unable},
        evidence::Record,
        level::Level,
        limits::Growth,
        results::{Group, GroupKind, Judged, Status, Test},
        selection::Place,
    },
    finding::Finding,
    judge::Undecided,
    rules::{RuleInfo, RuleSet},
};

impl Concluding<'_> {
    /// A group for each device that was active or that something was found on.
    pub(in crate::check) fn devices(&mut self, mut growth: Option<&mut Growth>) -> Vec<Group> {
        let mut devices: BTreeMap<(String, String), Vec<(Place, Record)>> = BTreeMap::new();
        for (place, record) in self.records.iter() {
            if self.policy.wants(place) && record.is_active() {
                let key = (place.bus.clone(), place.device.clone());
                let records = devices.entry(key).or_default();
                records.push((place.clone(), record.clone()));
            }
        }
        for finding in &self.outcome.findings {
            let mut places = self.victims(finding);
            if places.is_empty() {
                places.extend(self.culprit(finding));
            }
            for place in places {
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

    /// The devices that it was found on, as far as they are wanted.
    fn victims(&self, finding: &Finding) -> Vec<Place> {
        let mut places = places_of(finding);
        places.retain(|place| self.policy.wants(place));
        places
    }

    /// Whose driver did what was found on another device, if that one is wanted.
    fn culprit(&self, finding: &Finding) -> Option<Place> {
        let cause = finding.caused_by.as_ref()?;
        if cause.instance == finding.instance {
            return None;
        }
        let place = self.records.place_of(cause.instance).cloned();
        let place = place.unwrap_or_else(|| Place {
            bus: String::new(),
            device: cause.device.clone(),
            driver: cause.driver.clone().unwrap_or_default(),
        });
        self.policy.wants(&place).then_some(place)
    }

    /// What a rule says of a device.
    fn rule(&mut self, info: &'static RuleInfo, device: &str, records: &[(Place, Record)]) -> Test {
        let outcome = self.outcome;
        let (mut judged, mut also, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        let is_here = |place: &Place| {
            place.device == device && records.iter().any(|(known, _)| known.bus == place.bus)
        };
        for finding in outcome.findings.iter().filter(|one| one.rule == info.id) {
            let victims = self.victims(finding);
            let culprit = self.culprit(finding);
            if let Some(victim) = victims.iter().find(|place| is_here(place)) {
                if finding.device == victim.device {
                    judged.push(self.judge(finding, victim));
                } else {
                    let finding = as_bad_as_on(finding, &victim.device);
                    also.push(self.judge(&finding, victim));
                }
            } else if culprit.is_some_and(|place| is_here(&place)) {
                let places = places_of(finding);
                let Some(victim) = victims.first().or(places.first()) else {
                    continue;
                };
                let told = self.judge(finding, victim);
                // Those that it was done to have the finding, so that it counts once.
                if victims.is_empty() {
                    judged.push(told);
                } else {
                    elsewhere.push(told);
                }
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
        if let Some(worst) = also.iter().max_by_key(|told| told.status) {
            let finding = &worst.finding;
            let message = format!(
                "also found on this device ({}); the details are those of {}: {}",
                finding.severity.name(),
                finding.device,
                finding.summary
            );
            return Test {
                fingerprint: Some(finding.fingerprint.clone()),
                message,
                status: worst.status,
                findings: also,
                ..Test::new(info.id, Status::Passed, "")
            };
        }
        if let Some(worst) = elsewhere.iter().max_by_key(|told| told.status) {
            let finding = &worst.finding;
            let message = format!(
                "its driver did what {} on {} is about: {}",
                info.id, finding.device, finding.summary
            );
            return Test::new(info.id, worst.status.min(Status::Noted), message);
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
        // Whether that leaves the verdict open is said once, with the evidence.
        if let Some(missing) = unable(self.coverage, info) {
            return (Status::Skipped, missing);
        }
        if let Some(gap) = self.gap {
            return (Status::Inconclusive, gap.to_owned());
        }
        // Where not every time is kept that it was found, it may have been here.
        let elsewhere = self.outcome.findings.iter().find(|finding| {
            let of = |own: &Place| {
                own.bus == finding.bus.as_deref().unwrap_or_default()
                    && own.driver == finding.driver.as_deref().unwrap_or_default()
            };
            finding.rule == info.id
                && finding.count > finding.occurrences.iter().len() as u64
                && records.iter().any(|(own, _)| of(own))
        });
        if let Some(finding) = elsewhere {
            let device = &finding.device;
            return (
                Status::Skipped,
                format!("may be among those counted for {device}: not every occurrence is kept"),
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
}

/// A finding that was made on several devices, as bad as it was on this one.
fn as_bad_as_on(finding: &Finding, device: &str) -> Finding {
    let mut here = finding.clone();
    let on_device = finding
        .occurrences
        .iter()
        .filter(|one| &*one.device == device);
    if let Some(worst) = on_device.max_by_key(|one| one.severity) {
        here.severity = worst.severity;
        here.certainty = worst.certainty;
    }
    here
}
