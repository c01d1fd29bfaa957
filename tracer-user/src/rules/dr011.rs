//! DR011 unbound-owner-leak: a resource is added to a device that has no driver, so that no unbind ever
//! releases it.

use hashbrown::HashMap;

use super::{
    Rule, blame,
    known::{self, Observed},
};
use crate::{
    event::{Hook, Time},
    finding::{
        self, Adders, Certainty, Doubt, Finding, Known, Repeat, Report, RuleInfo, Severity, Step,
        Subject,
    },
    model::{Change, Device, DeviceId, Hazard, Left, Model, Node, NodeId, Origin, State},
    number::plural,
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR011",
    name: "unbound-owner-leak",
    severities: &[Severity::Error, Severity::Warn, Severity::Info],
    description: "A resource is added to a device that no driver is bound to.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Probe],
        &[Hook::Initialise],
        &[Hook::Delete],
        &[Hook::FinalPut],
    ],
    page: include_str!("dr011.md"),
    ..RuleInfo::PLAIN
};

/// How long after its deletion a device still has its resources before that is worth a word: nanoseconds.
const LATE: u64 = 100_000_000;
const EXPECTED: &str =
    "resources are added by the device's driver, or released before the device is deleted";

/// The rule. It keeps something only of deleted devices that still own what it is about.
#[derive(Debug, Default)]
pub(super) struct UnboundOwnerLeak {
    deleted: HashMap<DeviceId, Time>,
}

impl Rule for UnboundOwnerLeak {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) if !model.coverage().sees(Hook::Probe) => {
                added_by_lines(*id, model, report);
            }
            Change::NodeAdded(id) => self.added(*id, model, report),
            Change::DeviceDeleted(id) => {
                if let Some(device) = model.device_by_id(*id)
                    && owned_without_driver(device).next().is_some()
                    && !self.deleted.contains_key(id)
                {
                    self.deleted.insert(*id, model.now());
                    not_given_up(device, model, report);
                }
            }
            // Its entry was missed: what it left on the device is judged as if it went on living.
            Change::Left(Left {
                hook: Hook::Delete,
                device: Some(id),
                sequence: 0,
                ..
            }) => {
                if let Some(device) = model.device_by_id(*id)
                    && device.state() == State::Initialised
                {
                    let subject = Subject::of(device);
                    report.stay_silent(INFO.id, subject.key, Doubt::DeletionMissed);
                }
            }
            Change::NodeReleased { node, .. } if !self.deleted.is_empty() => {
                self.released(*node, model, report);
            }
            Change::DeviceGone { device, .. } => {
                self.deleted.remove(device);
            }
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut waiting: Vec<_> = self.deleted.iter().collect();
        waiting.sort_by_key(|(id, deleted)| (**deleted, **id));
        for (id, deleted) in waiting {
            if let Some(device) = model.device_by_id(*id)
                && model.now().since(*deleted) > LATE
            {
                never_put(device, *deleted, model, report);
            }
        }
        // What a deleted device has was reported when it was deleted, or when that came.
        for device in model.devices() {
            if !self.deleted.contains_key(&device.id()) {
                not_given_up(device, model, report);
            }
        }
    }
}

impl UnboundOwnerLeak {
    /// Something came: it may be given up by hand, unless the device is deleted already.
    fn added(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id).filter(|node| node.phase() == State::Deleted) else {
            return;
        };
        let Some(device) = model.owner(node).filter(|device| concerns(node, *device)) else {
            return;
        };
        if !blame::runs(model, Hook::ReleaseAll, device.id()) {
            self.deleted.entry(device.id()).or_insert(model.now());
            left(node, device, model, report);
        }
    }

    /// Something went: late, by the last put?
    fn released(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        let Some(deleted) = self.deleted.get(&device.id()).copied() else {
            return;
        };
        let waited = model.now().since(deleted);
        let last_put = device.state() == State::Dead;
        if !last_put || waited <= LATE || !concerns(node, device) || !device.is_whole() {
            return;
        }
        let subject = Subject::of(device);
        let what = finding::label(node);
        report.update(Finding {
            summary: format!(
                "{what} of {}, which never had a driver, was released by the last put, {} ms after the device was \
                 deleted.",
                subject.name(),
                waited / 1_000_000
            ),
            meaning: "Deleting the device did not release it, and somebody held a reference. Until the last \
                      reference is put, the resource stays in use for a deleted device."
                .to_owned(),
            order: vec![
                added_step(node),
                Step::at(deleted, "the device is deleted"),
                Step::at(model.now(), format!("the last reference is put, and {what} is released")),
            ],
            expected: vec!["resources are released before the device is deleted, or by device_del()".to_owned()],
            resources: vec![finding::resource(node, Some(model.now()), deleted)],
            delay_since: "the deletion",
            known: kept_by_deletion(node, device, model),
            ..subject.finding(&INFO, Severity::Warn, &finding::mark(node), model.now())
        });
    }
}

/// What is known of a `device_del` that has returned and left a resource where it was.
fn kept_by_deletion(node: &Node, device: Device<'_>, model: &Model) -> Option<&'static Known> {
    let running = model
        .running()
        .any(|(_, frame)| frame.hook() == Hook::Delete && frame.device() == Some(device.id()));
    let kept = node.phase() != State::Deleted && !running;
    let function = kept.then_some(Hook::Delete.symbol());
    known::of(INFO.id, Observed::function(function))
}

fn added_step(node: &Node) -> Step {
    Step::at(node.added(), format!("{} is added", finding::label(node)))
}

/// The device is deleted, or the trace ends, and nobody has given up what was added.
fn not_given_up(device: Device<'_>, model: &Model, report: &mut Report) {
    for node in owned_without_driver(device) {
        left(node, device, model, report);
    }
}

fn left(node: &Node, device: Device<'_>, model: &Model, report: &mut Report) {
    let subject = Subject::of(device);
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::MaybeUnboundAfterMiss);
        return;
    }
    let mark = finding::mark(node);
    let again = Repeat {
        subject: &subject,
        fingerprint: &subject.fingerprint(&INFO, &mark),
        severity: Severity::Info,
        certainty: Certainty::Confirmed,
        adders: Adders::of_nodes(&[node]),
        now: model.now(),
    };
    if report.repeat(&again) {
        return;
    }
    let what = finding::label(node);
    report.submit(Finding {
        summary: format!("{what} was added to {}, which has no driver.", subject.name()),
        meaning: "No unbind releases it, and nothing else did before the device was deleted or the trace ended. Since 6.6 \
                  device_del() releases it; before, only the last put of the device does, which may come much later, or \
                  never if the resource itself holds a reference."
            .to_owned(),
        order: vec![added_step(node)],
        expected: vec![EXPECTED.to_owned()],
        resources: vec![finding::live_resource(node)],
        ..subject.finding(&INFO, Severity::Info, &mark, model.now())
    });
}

/// The trace ends, the device is deleted, and still owns something.
fn never_put(device: Device<'_>, deleted: Time, model: &Model, report: &mut Report) {
    let subject = Subject::of(device);
    let left: Vec<&Node> = owned_without_driver(device).collect();
    let Some(first) = left.first() else { return };
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::DeletedAfterMiss);
        return;
    }
    // An action on the device itself may hold the very reference for whose last put it waits.
    let holds_itself = left
        .iter()
        .find(|node| node.action_data() == device.address().0);
    let (severity, node) = match holds_itself {
        Some(node) => (Severity::Error, node),
        None => (Severity::Warn, first),
    };
    report.update(Finding {
        certainty: Certainty::Likely,
        summary: format!(
            "{} was deleted, never had a driver, and still held {} {} when the trace ended.",
            subject.name(),
            left.len(),
            plural(left.len(), "resource", "resources"),
        ),
        meaning: match severity {
            Severity::Error => {
                "An action whose argument is the device itself waits for the last put. If that action puts the last \
                 reference, neither ever happens, and the device is leaked with everything on it."
            }
            _ => "They are released when the last reference to the device is put, if ever.",
        }
        .to_owned(),
        order: vec![
            added_step(node),
            Step::at(deleted, "the device is deleted"),
            Step::at(model.now(), "the trace ends; the device still exists"),
        ],
        expected: vec!["resources are released before the device is deleted, or by device_del()".to_owned()],
        resources: left.iter().take(100).map(|node| finding::live_resource(node)).collect(),
        known: kept_by_deletion(node, device, model),
        ..subject.finding(&INFO, severity, &finding::mark(node), model.now())
    });
}

/// Where no probe is seen, the kernel's own words say that there is no driver: it names a device by its
/// driver, or by its bus or class if it has none, and a device without a name is not registered yet.
fn added_by_lines(id: NodeId, model: &Model, report: &mut Report) {
    let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
        return;
    };
    let Some(device) = model.owner(node) else {
        return;
    };
    let identity = device.identity();
    let (why, certainty) = match (&identity.name, &identity.driver, &identity.bus) {
        (Some(_), None, Some(bus)) => (
            format!("a device of bus {bus} without a driver"),
            Certainty::Likely,
        ),
        (None, _, _) => (
            "which has no name yet and hence no driver".to_owned(),
            Certainty::Confirmed,
        ),
        _ => return,
    };
    // What others register with its help is unregistered by no unbind.
    let severity = match node.kind().hazard() {
        Some(Hazard::Interface) => Severity::Warn,
        _ => Severity::Info,
    };
    let subject = Subject::of(device);
    let what = finding::label(node);
    let mark = finding::mark(node);
    let again = Repeat {
        subject: &subject,
        fingerprint: &subject.fingerprint(&INFO, &mark),
        severity,
        certainty,
        adders: Adders::of_nodes(&[node]),
        now: model.now(),
    };
    if report.repeat(&again) {
        return;
    }
    report.submit(Finding {
        certainty,
        summary: format!("{what} was added to {}, {why}.", subject.name()),
        meaning: "No unbind releases it. Since 6.6 device_del() does; before, only the last put of the device. If a \
                  driver added it, it is on the wrong device: it belongs on the device that driver is bound to."
            .to_owned(),
        order: vec![added_step(node)],
        expected: vec![EXPECTED.to_owned()],
        resources: vec![finding::live_resource(node)],
        ..subject.finding(&INFO, severity, &mark, model.now())
    });
}

fn owned_without_driver(device: Device<'_>) -> impl Iterator<Item = &Node> {
    device
        .resources()
        .filter(move |node| concerns(node, device))
}

/// Whether the node was added to a device that no driver was bound to, or ever had been.
fn concerns(node: &Node, device: Device<'_>) -> bool {
    let without_driver = match node.phase() {
        State::Initialised => true,
        State::Unbound | State::Deleted => !device.was_ever_bound(),
        _ => false,
    };
    without_driver && node.origin() == Origin::Seen && !node.kind().is_marker()
}
