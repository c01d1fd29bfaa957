//! DR018 deferral-churn: a device's probe is deferred again and again.

use hashbrown::{HashMap, HashSet};

use super::{Rule, blame};
use crate::{
    errno,
    event::{Hook, Role, Time},
    finding::{Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, DeviceId, Entered, Left, Model, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR018",
    name: "deferral-churn",
    severities: &[Severity::Warn, Severity::Info],
    description: "A device's probe is deferred many times in a row.",
    needs: &[
        &[Hook::Probe],
        &[Hook::Bound],
        // Before 5.11 `really_probe` keeps the probe's error to itself.
        &[Hook::DevresLog, Hook::Defer],
    ],
    details: &[(Hook::Probe, Role::Returned)],
    page: include_str!("dr018.md"),
    ..RuleInfo::PLAIN
};

/// Deferrals in a row that are worth knowing: one or two are ordinary.
const NOTABLE: u32 = 3;
/// Deferrals in a row that are too many.
const MANY: u32 = 10;

/// Devices of one driver that a finding names.
const MOST_NAMED: usize = 8;

/// The rule. It keeps something of devices whose last probe was deferred, and of drivers that it has reported.
#[derive(Debug, Default)]
pub(super) struct DeferralChurn {
    deferred: HashMap<DeviceId, Deferrals>,
    /// Devices put on the list of deferred ones by the probe that runs.
    listed: HashSet<DeviceId>,
    /// How many resources the probe that runs has given back.
    released: HashMap<DeviceId, u64>,
    /// What was reported, by fingerprint.
    drivers: HashMap<String, Driver>,
}

/// Deferrals of one device in a row.
#[derive(Debug)]
struct Deferrals {
    subject: Subject,
    count: u32,
    first: Time,
    last: Time,
    /// Resources that were acquired and given back in vain.
    released: u64,
    told: bool,
}

/// The devices of one driver whose probes were deferred again and again.
#[derive(Debug, Default)]
struct Driver {
    /// The first of them by name, in the order of telling, each with the most deferrals in a row.
    devices: Vec<(String, u32)>,
    /// There are others.
    others: bool,
    /// How many times one of them was deferred again and again.
    count: u64,
    severity: Option<Severity>,
}

impl Rule for DeferralChurn {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook: Hook::Defer,
                device: Some(device),
                ..
            }) if blame::runs(model, Hook::Probe, *device) => {
                self.listed.insert(*device);
            }
            Change::NodeReleased { node, .. } => {
                if let Some(node) = model.node(*node)
                    && node.phase() == State::Probing
                    && !node.kind().is_marker()
                    && let Some(device) = model.owner(node)
                    && blame::runs(model, Hook::Probe, device.id())
                {
                    *self.released.entry(device.id()).or_default() += 1;
                }
            }
            Change::Left(
                left @ Left {
                    hook: Hook::Probe,
                    device: Some(device),
                    ..
                },
            ) => {
                let deferred = left.probe_error() == Some(errno::PROBE_DEFER);
                let released = self.released.remove(device).unwrap_or_default();
                if self.listed.remove(device) || deferred {
                    self.deferred(*device, left, released, model, report);
                } else {
                    self.ended(*device, report);
                }
            }
            Change::Bound(device)
            | Change::DeviceGone { device, .. }
            | Change::Tainted { device, .. } => {
                self.ended(*device, report);
                self.listed.remove(device);
                self.released.remove(device);
            }
            Change::Lost(_) => {
                self.finish(model, report);
                self.listed.clear();
                self.released.clear();
            }
            _ => {}
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        let mut left: Vec<_> = self.deferred.drain().collect();
        left.sort_by_key(|(_, deferrals)| (deferrals.first, deferrals.subject.key));
        for (_, mut deferrals) in left {
            self.tell(&mut deferrals, report);
        }
    }
}

impl DeferralChurn {
    fn deferred(
        &mut self,
        id: DeviceId,
        left: &Left,
        released: u64,
        model: &Model,
        report: &mut Report,
    ) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let mut deferrals = self.deferred.remove(&id).unwrap_or_else(|| Deferrals {
            subject: Subject::of(device),
            count: 0,
            first: left.entered,
            last: left.entered,
            released: 0,
            told: false,
        });
        deferrals.count += 1;
        deferrals.last = model.now();
        deferrals.released += released;
        // Once at each threshold, and when there are no more in a row.
        if matches!(deferrals.count, NOTABLE | MANY) {
            self.tell(&mut deferrals, report);
        }
        self.deferred.insert(id, deferrals);
    }

    /// The device was not deferred once more.
    fn ended(&mut self, id: DeviceId, report: &mut Report) {
        if let Some(mut deferrals) = self.deferred.remove(&id) {
            self.tell(&mut deferrals, report);
        }
    }

    fn tell(&mut self, deferrals: &mut Deferrals, report: &mut Report) {
        let count = deferrals.count;
        if count < NOTABLE {
            return;
        }
        let driver = self
            .drivers
            .entry(deferrals.subject.fingerprint(&INFO, ""))
            .or_default();
        if !driver.takes(deferrals) {
            return;
        }
        let subject = &deferrals.subject;
        let severity = if count >= MANY {
            Severity::Warn
        } else {
            Severity::Info
        };
        let severity = driver
            .severity
            .map_or(severity, |known| known.max(severity));
        driver.severity = Some(severity);
        let acquired = match deferrals.released {
            0 => "None of them acquired any resource.".to_owned(),
            1 => "They acquired and released one resource in all.".to_owned(),
            released => format!("They acquired and released {released} resources in all."),
        };
        report.update(Finding {
            count: driver.count,
            summary: driver.summary(subject),
            meaning: format!(
                "{acquired} The supplier may be missing, or the driver requests it too late in its probe."
            ),
            order: vec![
                Step::at(deferrals.first, format!("the first of these probes of {} begins", subject.name())),
                Step::at(deferrals.last, format!("probe {count} in a row returns -EPROBE_DEFER")),
            ],
            expected: vec![
                "the supplier is bound".to_owned(),
                "the device is probed, and every request succeeds".to_owned(),
            ],
            ..subject.finding(&INFO, severity, "", deferrals.last)
        });
    }
}

impl Driver {
    /// Takes down what became of a device; whether that is news.
    fn takes(&mut self, deferrals: &mut Deferrals) -> bool {
        let (name, count) = (deferrals.subject.name(), deferrals.count);
        let again = !std::mem::replace(&mut deferrals.told, true);
        self.count += u64::from(again);
        if let Some((_, most)) = self.devices.iter_mut().find(|(known, _)| known == name) {
            let news = count > *most;
            *most = count.max(*most);
            return news || again;
        }
        if self.devices.len() < MOST_NAMED {
            self.devices.push((name.to_owned(), count));
        } else {
            self.others = true;
        }
        true
    }

    fn summary(&self, subject: &Subject) -> String {
        if let [(name, count)] = &self.devices[..] {
            return format!("The probe of {name} was deferred {count} times in a row.");
        }
        let driver = subject
            .driver()
            .map_or_else(String::new, |driver| format!(" of {driver}"));
        let named: Vec<String> = self
            .devices
            .iter()
            .map(|(name, count)| format!("{name} {count} times"))
            .collect();
        let others = if self.others { ", and others" } else { "" };
        format!(
            "The probes of several devices{driver} were deferred many times in a row: {}{others}.",
            named.join(", ")
        )
    }
}
