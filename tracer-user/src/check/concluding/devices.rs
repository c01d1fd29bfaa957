//! What rules and limits say of each device.

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::HashMap;

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
    engine::{Reason, Undecided},
    finding::{Doubt, Finding, RuleInfo},
    model::InstanceKey,
    rules::RuleSet,
};

/// A finding and whom it is about.
struct About<'o> {
    finding: &'o Finding,
    /// Whom it was done to first, wanted or not.
    first: Place,
    /// Whom it was done to, of those that the policy wants.
    victims: Vec<Place>,
    /// Whose driver did it, where that is another one that is wanted.
    culprit: Option<Place>,
}

/// What was found and what stayed undecided, by whom it is about: each device looks only at its own.
struct Found<'o> {
    all: Vec<About<'o>>,
    by_device: HashMap<String, Vec<usize>>,
    /// What was found more often than is kept, by rule, bus and driver: the first of each.
    counted: HashMap<(&'static str, String, String), usize>,
    /// What was not decided, by rule and instance: the first of each.
    undecided: HashMap<(&'static str, InstanceKey), (usize, &'o Undecided)>,
}

impl<'o> Found<'o> {
    fn new(concluding: &Concluding<'o>) -> Self {
        let outcome = concluding.outcome;
        let mut found = Self {
            all: Vec::with_capacity(outcome.findings.len()),
            by_device: HashMap::new(),
            counted: HashMap::new(),
            undecided: HashMap::new(),
        };
        for finding in &outcome.findings {
            let index = found.all.len();
            let mut places = places_of(finding);
            let Some(first) = places.first().cloned() else {
                continue;
            };
            places.retain(|place| concluding.policy.wants(place));
            let culprit = concluding.culprit(finding);
            let mut devices: Vec<&str> = places
                .iter()
                .chain(&culprit)
                .map(|place| place.device.as_str())
                .collect();
            devices.sort_unstable();
            devices.dedup();
            for device in devices {
                let about = found.by_device.entry(device.to_owned());
                about.or_default().push(index);
            }
            if finding.count > finding.occurrences.iter().len() as u64 {
                let key = (finding.rule, first.bus.clone(), first.driver.clone());
                found.counted.entry(key).or_insert(index);
            }
            found.all.push(About {
                finding,
                first,
                victims: places,
                culprit,
            });
        }
        for place in outcome.undecided.iter().enumerate() {
            let (_, undecided) = place;
            for instance in &undecided.instances {
                let key = (undecided.rule, *instance);
                found.undecided.entry(key).or_insert(place);
            }
        }
        found
    }

    /// What is about a device with this name, in the order of first report.
    fn of(&self, device: &str) -> impl Iterator<Item = &About<'o>> {
        let indices = self.by_device.get(device).into_iter().flatten();
        indices.filter_map(|index| self.all.get(*index))
    }

    /// What a rule could not decide on one of these, or on a device that it found something on.
    fn undecided(
        &self,
        rule: &'static str,
        records: &[(Place, Record)],
        judged: &[Judged],
    ) -> Option<&'o Undecided> {
        if self.undecided.is_empty() {
            return None;
        }
        let instances = records.iter().flat_map(|(_, record)| &record.instances);
        instances
            .copied()
            .chain(judged.iter().map(|judged| judged.finding.instance))
            .filter_map(|key| self.undecided.get(&(rule, key)))
            .min_by_key(|(index, _)| *index)
            .map(|(_, undecided)| *undecided)
    }

    /// What a rule has found more often than is kept with the driver of one of these.
    fn counted_together(
        &self,
        rule: &'static str,
        records: &[(Place, Record)],
    ) -> Option<&'o Finding> {
        if self.counted.is_empty() {
            return None;
        }
        let first = records.iter().filter_map(|(own, _)| {
            self.counted
                .get(&(rule, own.bus.clone(), own.driver.clone()))
        });
        Some(self.all.get(*first.min()?)?.finding)
    }
}

impl Concluding<'_> {
    /// A group for each device that was active or that something was found on.
    pub(in crate::check) fn devices(&mut self, mut growth: Option<&mut Growth>) -> Vec<Group> {
        let found = Found::new(self);
        let applied: Vec<&RuleInfo> = RuleSet::all()
            .infos()
            .filter(|info| self.policy.levels.of(info.id) != Level::Off)
            .collect();
        let mut groups: Vec<Group> = Vec::new();
        for ((bus, device), records) in self.shown(&found) {
            let mut tests: Vec<Test> = applied
                .iter()
                .map(|info| self.rule(info, &device, &records, &found))
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
            let mut group = Group {
                bus: (!bus.is_empty()).then_some(bus),
                source: drivers
                    .first()
                    .and_then(|driver| self.policy.source_of(driver))
                    .map(str::to_owned),
                driver: (!drivers.is_empty()).then(|| drivers.join(", ")),
                device: Some(device),
                ..Group::new(GroupKind::Device, &name, tests)
            };
            // Most devices come to the same as the one before them, and there can be very many.
            if let Some(before) = groups.last()
                && before.tests == group.tests
            {
                group.tests = Arc::clone(&before.tests);
            }
            groups.push(group);
        }
        groups
    }

    /// What is known of each device that was active or that something was found on, by its bus and its name.
    fn shown(&self, found: &Found<'_>) -> BTreeMap<(String, String), Vec<(Place, Record)>> {
        let key = |place: &Place| (place.bus.clone(), place.device.clone());
        let mut devices: BTreeMap<_, Vec<(Place, Record)>> = BTreeMap::new();
        for (place, record) in self.records.iter() {
            if self.policy.wants(place) && record.is_active() {
                let records = devices.entry(key(place)).or_default();
                records.push((place.clone(), record.clone()));
            }
        }
        for about in &found.all {
            let culprit = about.culprit.iter().filter(|_| about.victims.is_empty());
            for place in about.victims.iter().chain(culprit) {
                let records = devices.entry(key(place)).or_default();
                if !records.iter().any(|(known, _)| known == place) {
                    records.push((place.clone(), Record::default()));
                }
            }
        }
        devices
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
    fn rule(
        &mut self,
        info: &'static RuleInfo,
        device: &str,
        records: &[(Place, Record)],
        found: &Found<'_>,
    ) -> Test {
        let (mut judged, mut also, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        let is_here = |place: &Place| {
            place.device == device && records.iter().any(|(known, _)| known.bus == place.bus)
        };
        for about in found
            .of(device)
            .filter(|about| about.finding.rule == info.id)
        {
            let finding = about.finding;
            if let Some(victim) = about.victims.iter().find(|place| is_here(place)) {
                if finding.device == victim.device {
                    judged.push(self.judge(finding, victim));
                } else {
                    let finding = as_bad_as_on(finding, &victim.device);
                    also.push(self.judge(&finding, victim));
                }
            } else if about.culprit.as_ref().is_some_and(is_here) {
                let victim = about.victims.first().unwrap_or(&about.first);
                let told = self.judge(finding, victim);
                // Those that it was done to have the finding, so that it counts once.
                if about.victims.is_empty() {
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
            let open = found.undecided(info.id, records, &judged);
            let open = open.filter(|open| self.is_left_open(info, open));
            let status = match open {
                Some(_) if worst.status == Status::Noted => Status::Inconclusive,
                _ => worst.status,
            };
            return Test {
                fingerprint: Some(worst.finding.fingerprint.clone()),
                message: format!("{}{note}", worst.finding.summary),
                status,
                findings: judged,
                ..Test::new(info.id, Status::Passed, "")
            };
        }
        if let Some(worst) = also.iter().max_by_key(|told| told.status) {
            let finding = &worst.finding;
            let message = format!(
                "also found on this device ({}); details are of {}: {}",
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
                "its driver caused {} on {}: {}",
                info.id, finding.device, finding.summary
            );
            return Test::new(info.id, worst.status.min(Status::Noted), message);
        }
        let (status, message) = self.absence(info, records, found);
        Test::new(info.id, status, message)
    }

    /// What it means that a rule found nothing on a device.
    fn absence(
        &self,
        info: &'static RuleInfo,
        records: &[(Place, Record)],
        found: &Found<'_>,
    ) -> (Status, String) {
        if let Some(undecided) = found.undecided(info.id, records, &[]) {
            let status = if self.is_left_open(info, undecided) {
                Status::Inconclusive
            } else {
                Status::Skipped
            };
            return (status, undecided.reason.to_string());
        }
        // Whether that leaves the verdict open is said once, with the evidence.
        if let Some(missing) = unable(self.coverage, info) {
            return (Status::Skipped, missing);
        }
        if let Some(gap) = self.gap {
            return (Status::Inconclusive, gap.to_owned());
        }
        if let Some(finding) = found.counted_together(info.id, records) {
            let device = &finding.device;
            return (
                Status::Skipped,
                format!("may be among those counted for {device}: not all occurrences are kept"),
            );
        }
        (Status::Passed, String::new())
    }

    /// Whether what a rule did not decide leaves the verdict open: also where its findings would fail nothing, if a fault of
    /// the kernel has a cause that nothing shows.
    fn is_left_open(&self, info: &RuleInfo, undecided: &Undecided) -> bool {
        let levels = &self.policy.levels;
        levels.matters(info, false, self.policy.fail_on)
            || undecided.reason == Reason::Doubt(Doubt::FaultUnexplained)
                && levels.of(info.id) != Level::Warn
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
                let what = format!("it had {} resources; {limit} are allowed", record.most);
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
                Test::new("", Status::Skipped, "not bound twice in this run")
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
