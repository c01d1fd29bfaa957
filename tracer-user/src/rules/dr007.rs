//! DR007 resources-before-probe: a device has resources when its driver is to be probed, and the driver core
//! refuses it with -EBUSY.

use hashbrown::HashMap;

use super::Rule;
use crate::{
    event::{Hook, Message, Time},
    finding::{self, Cause, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Entered, Left, Model, Node, NodeId, Origin},
    number::plural,
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR007",
    name: "resources-before-probe",
    severities: &[Severity::Error],
    description: "A probe is refused (-EBUSY) because the device already has resources.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::Probe]],
    page: include_str!("dr007.md"),
    ..RuleInfo::PLAIN
};

const MEANING: &str = "The driver core refuses to probe a device that already has resources, because it would release \
                       them with the driver's. No driver can be bound until somebody releases them.";
const EXPECTED: &str = "resources are added to a device only in its driver's probe or later";
/// The kernel's `EBUSY`.
const EBUSY: i64 = 16;
/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// Within this, releases that follow each other are of one run: nanoseconds.
const ONE_RUN: u64 = 1_000_000_000;

/// The rule. It keeps something only of devices with resources while their probe begins, and, where no function
/// is seen, of those whose resources are released.
#[derive(Debug, Default)]
pub(super) struct ResourcesBeforeProbe {
    probes: HashMap<DeviceId, Probe>,
    runs: HashMap<DeviceId, Run>,
}

/// A run of releases, as lines without functions show it.
#[derive(Debug, Default)]
struct Run {
    last: Time,
    /// What was added since, by its place in the order of everything seen.
    added: Option<u64>,
    /// What was added between two releases.
    between: Vec<u64>,
}

#[derive(Debug)]
struct Probe {
    subject: Subject,
    began: Time,
    mark: String,
    caused_by: Option<Cause>,
    count: usize,
    resources: Vec<finding::Resource>,
    /// Nothing that concerns these resources was missed.
    whole: bool,
}

impl Rule for ResourcesBeforeProbe {
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
            ) => {
                let probe = self.probes.remove(id);
                if left.value == Some(-EBUSY)
                    && let Some(device) = model.device_by_id(*id)
                {
                    match probe {
                        // The device may have been doubtful before; what is reported now is what the kernel says.
                        Some(probe) => probe.report(device.is_whole(), model.now(), report),
                        None => refused_unseen(left, device, model, report),
                    }
                }
            }
            Change::KernelMessage {
                device: Some(id),
                message,
            } if **message == Message::ProbeRefused => {
                let between = self.runs.get(id).map(|run| &*run.between);
                refused(*id, between.unwrap_or_default(), model, report);
            }
            Change::NodeReleased { node, .. } => self.released(*node, model),
            Change::NodeAdded(node) if !self.runs.is_empty() => self.added(*node, model),
            Change::Bound(device) | Change::DeviceGone { device, .. } => {
                self.probes.remove(device);
                self.runs.remove(device);
            }
            Change::Lost(_) => self.runs.clear(),
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
            mark: device
                .resources()
                .next()
                .map_or_else(|| "group".to_owned(), finding::mark),
            caused_by: device
                .resources()
                .next()
                .and_then(|node| adder(node, device, model)),
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

impl ResourcesBeforeProbe {
    fn released(&mut self, id: NodeId, model: &Model) {
        if model.coverage().sees(Hook::ReleaseAll) {
            return;
        }
        let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
            return;
        };
        let Some(device) = model.owner(node).map(Device::id) else {
            return;
        };
        let run = self.runs.entry(device).or_default();
        let soon = model.now().since(run.last) <= ONE_RUN;
        if let Some(added) = run.added.take()
            && soon
            && added != node.sequence()
            && run.between.len() < MOST_RESOURCES
        {
            run.between.push(added);
        }
        run.last = model.now();
    }

    fn added(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
            return;
        };
        let Some(device) = model.owner(node).map(Device::id) else {
            return;
        };
        if let Some(run) = self.runs.get_mut(&device) {
            // A second addition in a row is no longer the doing of one release.
            let first = run.added.is_none() && model.now().since(run.last) <= ONE_RUN;
            if first {
                run.added = Some(node.sequence());
            } else {
                self.runs.remove(&device);
            }
        }
    }
}

/// A probe returned what it does when it is refused, and no resource is known. One that goes on and fails cleans up.
fn refused_unseen(left: &Left, device: Device<'_>, model: &Model, report: &mut Report) {
    let cleanup = [Hook::Cleanup, Hook::ReleaseAll]
        .into_iter()
        .find(|hook| model.coverage().sees(*hook));
    if !left.inferred && cleanup.is_some_and(|hook| left.sequence > 0 && !left.called(hook)) {
        let subject = Subject::of(device);
        report.stay_silent(INFO.id, subject.key, Doubt::RefusedForUnseen);
    }
}

/// The kernel itself says that it refused a probe: what was on the device may never have been seen.
fn refused(id: DeviceId, between: &[u64], model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let subject = Subject::of(device);
    let name = subject.name().to_owned();
    let first = device.resources().next();
    let by_release = device
        .resources()
        .find(|node| between.contains(&node.sequence()));
    let seen = match device.resources().count() {
        0 => "the log shows neither which ones nor who added them".to_owned(),
        1 => "the addition of one of them was seen".to_owned(),
        count => format!("the additions of {count} of them were seen"),
    };
    let (mut meaning, mut order) = (MEANING.to_owned(), Vec::new());
    if let Some(node) = by_release {
        let label = finding::label(node);
        meaning.push_str(" It is likely that a release added ");
        meaning.push_str(label);
        meaning.push_str(
            " (DR008): its line is between two releases of this device, and a resource added then stays.",
        );
        order.push(Step::at(
            node.added(),
            format!("{label} is added between two releases"),
        ));
    }
    order.push(Step::at(
        model.now(),
        "the kernel says \"Resources present before probing\"",
    ));
    report.submit(Finding {
        summary: format!(
            "The kernel refused the probe of {name}: the device already had resources; {seen}."
        ),
        meaning,
        order,
        expected: vec![EXPECTED.to_owned()],
        resources: device
            .resources()
            .take(MOST_RESOURCES)
            .map(finding::live_resource)
            .collect(),
        caused_by: by_release
            .or(first)
            .and_then(|node| adder(node, device, model)),
        // By the device, so that each one that is refused is named.
        ..subject.finding(&INFO, Severity::Error, &name, model.now())
    });
}

/// Who added the resource, as far as that is known: in another device's probe, say.
fn adder(node: &Node, device: Device<'_>, model: &Model) -> Option<Cause> {
    let context = node.context();
    if node.origin() != Origin::Seen || context.is_none() && node.stack().is_none() {
        return None;
    }
    let (instance, name) = context.map_or_else(
        || (device.key(), Subject::of(device).name().to_owned()),
        |context| {
            let name = context.name.as_deref().unwrap_or("unnamed device");
            (context.device, name.to_owned())
        },
    );
    let driver = model
        .device(instance.address)
        .filter(|culprit| culprit.key() == instance)
        .and_then(Device::last_driver);
    Some(Cause {
        device: name,
        instance,
        driver: driver.map(ToString::to_string),
        frame: match context.map(|context| context.hook) {
            None => "a call",
            Some(Hook::Probe) => "probe",
            Some(Hook::ReleaseAll | Hook::ReleaseGroup) => "a release",
            Some(Hook::Delete | Hook::FinalPut) => "the end",
            Some(_) => "unbind",
        },
        task: node.task().comm.name().into_owned(),
        tid: node.task().tid,
        stack: node.stack().map(finding::frames).unwrap_or_default(),
        line: node.stack().and_then(finding::call_site),
    })
}

impl Probe {
    fn report(self, still_whole: bool, now: Time, report: &mut Report) {
        let name = self.subject.name();
        if !self.whole || !still_whole {
            report.stay_silent(INFO.id, self.subject.key, Doubt::RefusedAfterMiss);
            return;
        }
        report.submit(Finding {
            summary: format!(
                "The probe of {name} was refused with -EBUSY: {} {} already on the device.",
                self.count,
                plural(self.count, "resource was", "resources were"),
            ),
            meaning: MEANING.to_owned(),
            order: vec![
                Step::at(
                    self.began,
                    format!(
                        "probe begins, with {} {} on the device",
                        self.count,
                        plural(self.count, "resource", "resources")
                    ),
                ),
                Step::at(now, "probe returns -EBUSY"),
            ],
            expected: vec![EXPECTED.to_owned()],
            resources: self.resources,
            caused_by: self.caused_by,
            ..self
                .subject
                .finding(&INFO, Severity::Error, &self.mark, now)
        });
    }
}
