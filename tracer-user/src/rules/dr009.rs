//! DR009 add-after-unbind: a resource is added to a device that a driver has left, or that is deleted.

use hashbrown::HashMap;

use super::{Rule, blame};
use crate::{
    event::{Hook, Time},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, DeviceId, Model, Node, NodeId, Origin, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR009",
    name: "add-after-unbind",
    severities: &[Severity::Error, Severity::Warn],
    description: "A resource is added to a device after its driver was unbound, or after it was deleted.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Probe],
        &[Hook::Bound],
        &[Hook::Unbind],
        &[Hook::Delete],
    ],
    sharpened_by: &[Hook::FinalPut],
    page: include_str!("dr009.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps something for each resource that it is about while that lives.
#[derive(Debug, Default)]
pub(super) struct AddAfterUnbind {
    added: HashMap<DeviceId, HashMap<u64, Addition>>,
}

#[derive(Debug)]
struct Addition {
    subject: Subject,
    state: State,
    resource: finding::Resource,
    what: String,
    mark: String,
    added: Time,
}

impl Rule for AddAfterUnbind {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => self.add(*id, model, report),
            Change::NodeReleased { node, .. } if !self.added.is_empty() => {
                if let Some(addition) = self.take(*node, model) {
                    addition.report(Severity::Warn, "is released", model, report);
                }
            }
            // Somebody took it off again: no harm done.
            Change::NodeRemoved(node) | Change::NodeVanished(node) if !self.added.is_empty() => {
                self.take(*node, model);
            }
            Change::BindingBegan(device)
                if !self.added.is_empty() && !blame::runs(model, Hook::Probe, *device) =>
            {
                // It is bound without a probe, or the begin of its probe was missed: then that had added them.
                self.added.remove(device);
            }
            Change::BindingBegan(device) if !self.added.is_empty() => {
                self.end(
                    *device,
                    "is still there when the device is probed again",
                    model,
                    report,
                );
            }
            Change::DeviceGone { device, seen: true } if !self.added.is_empty() => {
                self.end(
                    *device,
                    "is still there when the device's memory is freed",
                    model,
                    report,
                );
            }
            Change::DeviceGone { device, .. } | Change::Tainted { device, .. } => {
                self.added.remove(device);
            }
            Change::Lost(_) => self.added.clear(),
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut left: Vec<_> = self.added.drain().flat_map(|(_, nodes)| nodes).collect();
        left.sort_by_key(|(sequence, _)| *sequence);
        for (_, addition) in left {
            addition.report(
                Severity::Warn,
                "is still there when the trace ends",
                model,
                report,
            );
        }
    }
}

impl AddAfterUnbind {
    fn add(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id).filter(|node| concerns(node)) else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        // Never bound: DR011. Added by a release: DR008.
        let after_unbind = node.phase() == State::Deleted || device.was_ever_bound();
        if !after_unbind || blame::runs(model, Hook::ReleaseAll, device.id()) {
            return;
        }
        let subject = Subject::of(device);
        if !device.is_whole() {
            report.stay_silent(INFO.id, subject.key, Doubt::AddedUnboundAfterMiss);
            return;
        }
        let addition = Addition {
            subject,
            state: node.phase(),
            resource: finding::live_resource(node),
            what: finding::label(node).to_owned(),
            mark: finding::mark(node),
            added: node.added(),
        };
        self.added
            .entry(device.id())
            .or_default()
            .insert(node.sequence(), addition);
    }

    fn take(&mut self, id: NodeId, model: &Model) -> Option<Addition> {
        let node = model.node(id).filter(|node| concerns(node))?;
        let device = model.owner(node)?.id();
        let nodes = self.added.get_mut(&device)?;
        let addition = nodes.remove(&node.sequence());
        if nodes.is_empty() {
            self.added.remove(&device);
        }
        addition
    }

    fn end(&mut self, id: DeviceId, how: &str, model: &Model, report: &mut Report) {
        let mut left: Vec<_> = self.added.remove(&id).into_iter().flatten().collect();
        left.sort_by_key(|(sequence, _)| *sequence);
        for (_, addition) in left {
            addition.report(Severity::Error, how, model, report);
        }
    }
}

/// Whether a node is of the kind of which something is kept.
fn concerns(node: &Node) -> bool {
    matches!(node.phase(), State::Unbound | State::Deleted)
        && node.origin() == Origin::Seen
        && !node.kind().is_marker()
}

impl Addition {
    fn report(self, severity: Severity, end: &str, model: &Model, report: &mut Report) {
        let name = self.subject.name();
        let (when, step) = if self.state == State::Deleted {
            ("deleted", "device_del()")
        } else {
            ("unbound", "the driver was unbound")
        };
        let meaning = if severity == Severity::Error {
            "Nothing releases it in time: the next probe is refused with -EBUSY because of it, or it is leaked with \
             the device."
        } else {
            "No unbind will release it: it stays until device_del(), the last put, or a probe that is refused \
             because of it."
        };
        let what = &self.what;
        report.submit(Finding {
            summary: format!("{what} was added to {name} after the device was {when}, and {end}."),
            meaning: meaning.to_owned(),
            order: vec![
                Step::at(self.added, format!("{what} is added, after {step}")),
                Step::at(model.now(), format!("it {end}")),
            ],
            expected: vec![
                "resources are added to a device only between its probe and its unbind".to_owned(),
            ],
            resources: vec![self.resource],
            ..self
                .subject
                .finding(&INFO, severity, &self.mark, model.now())
        });
    }
}
