//! DR018 deferral-churn: a device's probe is deferred again and again.

use hashbrown::{HashMap, HashSet};

use super::{Rule, RuleInfo, blame};
use crate::{
    event::{Hook, Time},
    finding::{Finding, Report, Severity, Step, Subject},
    model::{Change, DeviceId, Entered, Left, Model},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR018",
    name: "deferral-churn",
    severities: &[Severity::Warn, Severity::Info],
    description: "A device's probe is deferred again and again.",
    needs: &[
        &[Hook::Probe],
        &[Hook::Bound],
        // Before 5.11 `really_probe` keeps the probe's error to itself.
        &[Hook::DevresLog, Hook::Defer],
    ],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr018.md"),
};

/// The kernel's `EPROBE_DEFER`.
const EPROBE_DEFER: u64 = 517;
/// Deferrals in a row that are worth knowing: one or two are ordinary.
const NOTABLE: u32 = 3;
/// Deferrals in a row that are too many.
const MANY: u32 = 10;

/// The rule. It keeps something only of devices whose last probe was deferred.
#[derive(Debug, Default)]
pub struct DeferralChurn {
    deferred: HashMap<DeviceId, Deferrals>,
    /// Devices put on the list of deferred ones by the probe that runs.
    listed: HashSet<DeviceId>,
}

#[derive(Debug)]
struct Deferrals {
    count: u32,
    first: Time,
}

impl Rule for DeferralChurn {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook: Hook::Defer,
                device: Some(device),
                ..
            }) if blame::runs(model, Hook::Probe, *device) => {
                self.listed.insert(*device);
            }
            Change::Left(
                left @ Left {
                    hook: Hook::Probe,
                    device: Some(device),
                    ..
                },
            ) => {
                let deferred = left
                    .value
                    .is_some_and(|value| value.unsigned_abs() == EPROBE_DEFER);
                if self.listed.remove(device) || deferred {
                    self.deferred(*device, left, model, report);
                } else {
                    self.deferred.remove(device);
                }
            }
            Change::Bound(device)
            | Change::DeviceGone { device, .. }
            | Change::Tainted { device, .. } => {
                self.deferred.remove(device);
                self.listed.remove(device);
            }
            Change::Lost(_) => {
                self.deferred.clear();
                self.listed.clear();
            }
            _ => {}
        }
    }
}

impl DeferralChurn {
    fn deferred(&mut self, id: DeviceId, left: &Left, model: &Model, report: &mut Report) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let deferrals = self.deferred.entry(id).or_insert(Deferrals {
            count: 0,
            first: left.entered,
        });
        deferrals.count += 1;
        let count = deferrals.count;
        // Once at each threshold; what is beyond is the same.
        let severity = match count {
            NOTABLE => Severity::Info,
            MANY => Severity::Warn,
            _ => return,
        };
        let subject = Subject::of(device);
        report.submit(Finding {
            summary: format!("The probe of {} was deferred {count} times in a row.", subject.name()),
            meaning: "Each try acquires and releases everything anew. The supplier that it waits for may be missing, \
                      or it asks for it too late in its probe."
                .to_owned(),
            order: vec![
                Step {
                    time: deferrals.first,
                    what: "the first of these probes begins".to_owned(),
                },
                Step {
                    time: model.now(),
                    what: format!("the probe returns -EPROBE_DEFER for the {count}th time"),
                },
            ],
            ..subject.finding(&INFO, severity, "", model.now())
        });
    }
}
