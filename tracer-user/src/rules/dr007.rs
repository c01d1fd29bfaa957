//! DR007 resources-before-probe: a device has resources when its driver is to be probed, and the driver core
//! refuses it with -EBUSY.

use hashbrown::HashMap;

use super::{Rule, RuleInfo};
use crate::{
    event::{Hook, Message, Time},
    finding::{self, Finding, Report, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Entered, Left, Model},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR007",
    name: "resources-before-probe",
    severities: &[Severity::Error],
    description: "A device has resources before its probe, which is refused for that.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::Probe]],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr007.md"),
};

const MEANING: &str = "The driver core probes no device that has resources already, because it would release them \
                       with the driver's. Until somebody releases them no driver can be bound to it.";
const EXPECTED: &str = "only a driver's probe, and what comes after it, adds resources to a device";
/// The kernel's `EBUSY`.
const EBUSY: i64 = 16;
/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// The rule. It keeps something only of devices with resources while their probe begins.
#[derive(Debug, Default)]
pub struct ResourcesBeforeProbe {
    probes: HashMap<DeviceId, Probe>,
}

#[derive(Debug)]
struct Probe {
    subject: Subject,
    began: Time,
    what: String,
    count: usize,
    resources: Vec<finding::Resource>,
    /// Nothing that concerns these resources was missed.
    whole: bool,
}

impl Rule for ResourcesBeforeProbe {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook: Hook::Probe,
                device: Some(id),
                ..
            }) => self.begin(*id, model),
            Change::Left(
                left @ Left {
                    hook: Hook::Probe,
                    device: Some(id),
                    ..
                },
            ) if !self.probes.is_empty() => {
                if let Some(probe) = self.probes.remove(id)
                    && left.value == Some(-EBUSY)
                {
                    // The device may have been doubtful before; what is told now is what the kernel says.
                    let still = model.device_by_id(*id).is_some_and(Device::is_whole);
                    probe.report(still, model.now(), report);
                }
            }
            Change::Told {
                device: Some(id),
                message,
            } if **message == Message::ProbeRefused => refused(*id, model, report),
            Change::Bound(device) | Change::DeviceGone { device, .. } => {
                self.probes.remove(device);
            }
            _ => {}
        }
    }
}

impl ResourcesBeforeProbe {
    fn begin(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model
            .device_by_id(id)
            .filter(|device| device.node_count() > 0)
        else {
            return;
        };
        let oldest = device.nodes().next().map_or(0, |(_, node)| node.sequence());
        let probe = Probe {
            subject: Subject::of(device),
            began: model.now(),
            what: device
                .resources()
                .next()
                .map_or("group", finding::label)
                .to_owned(),
            count: device.resources().count(),
            resources: device
                .resources()
                .take(MOST_RESOURCES)
                .map(finding::live_resource)
                .collect(),
            whole: device.is_whole_since(oldest) && !device.is_tainted(),
        };
        self.probes.insert(id, probe);
    }
}

/// The kernel itself says that it refused a probe: what was on the device may never have been seen.
fn refused(id: DeviceId, model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let subject = Subject::of(device);
    let name = subject.name().to_owned();
    let known = device.resources().next().map(finding::label);
    let seen = match device.resources().count() {
        0 => "which ones, and who added them, is not in the log".to_owned(),
        count => format!("{count} of them were seen to be added"),
    };
    report.submit(Finding {
        summary: format!("The kernel refused the probe of {name}: resources were on the device before it; {seen}."),
        meaning: MEANING.to_owned(),
        order: vec![Step {
            time: model.now(),
            what: "the kernel says \"Resources present before probing\"".to_owned(),
        }],
        expected: vec![EXPECTED.to_owned()],
        resources: device
            .resources()
            .take(MOST_RESOURCES)
            .map(finding::live_resource)
            .collect(),
        ..subject.finding(&INFO, Severity::Error, known.unwrap_or(&name), model.now())
    });
}

impl Probe {
    fn report(self, still_whole: bool, now: Time, report: &mut Report) {
        let name = self.subject.name();
        if !self.whole || !still_whole {
            report.stay_silent(
                INFO.id,
                self.subject.key,
                name,
                "a probe was refused with -EBUSY on a device of which something was missed",
            );
            return;
        }
        report.submit(Finding {
            summary: format!(
                "The probe of {name} was refused with -EBUSY: {} resources were on the device before it.",
                self.count
            ),
            meaning: MEANING.to_owned(),
            order: vec![
                Step {
                    time: self.began,
                    what: format!("probe begins, with {} resources on the device", self.count),
                },
                Step {
                    time: now,
                    what: "probe returns -EBUSY".to_owned(),
                },
            ],
            expected: vec![EXPECTED.to_owned()],
            resources: self.resources,
            ..self.subject.finding(&INFO, Severity::Error, &self.what, now)
        });
    }
}
