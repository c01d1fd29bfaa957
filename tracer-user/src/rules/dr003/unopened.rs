//! DR003 where a log shows the release of a group and not how it was opened.
//!
//! Nothing says then what the group began with. What the release took is known, and whether the device's driver
//! was still there afterwards: who removes a resource that is older than the release has not been unbound by it.

use hashbrown::HashMap;

use super::{
    INFO,
    group_release::{GroupRelease, ONE_CALL},
};
use crate::{
    event::Time,
    finding::{self, Certainty, Doubt, Finding, Report, Severity, Step},
    model::{Change, DeviceId, Model, Node, NodeId, Origin},
};

/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// Releases of such groups, right behind the release of another driver's group.
#[derive(Debug, Default)]
pub(super) struct Unopened {
    releases: HashMap<DeviceId, Release>,
}

#[derive(Debug)]
struct Release {
    here: GroupRelease,
    culprit: GroupRelease,
    last: Time,
    taken: Vec<finding::Resource>,
    count: usize,
}

impl Unopened {
    /// A group was released right behind another driver's.
    pub(super) fn begin(&mut self, here: GroupRelease, culprit: GroupRelease) {
        let release = Release {
            last: here.time,
            culprit,
            taken: Vec::new(),
            count: 0,
            here,
        };
        self.releases.insert(release.here.device, release);
    }

    /// Looks at a change.
    pub(super) fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if self.releases.is_empty() {
            return;
        }
        match change {
            Change::NodeReleased { node, .. } => self.released(*node, model, report),
            Change::NodeRemoved(node) => self.removed(*node, model, report),
            Change::NodeAdded(node) => {
                if let Some((_, device)) = resource(*node, model) {
                    self.give_up(device, report);
                }
            }
            Change::DeviceNamed(device) | Change::DeviceGone { device, .. } => {
                self.give_up(*device, report);
            }
            Change::Lost(_) => self.finish(report),
            _ => {}
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, report: &mut Report) {
        let mut devices: Vec<DeviceId> = self.releases.keys().copied().collect();
        devices.sort_unstable();
        for device in devices {
            self.give_up(device, report);
        }
    }

    fn released(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some((node, device)) = resource(id, model) else {
            return;
        };
        let Some(release) = self.releases.get_mut(&device) else {
            return;
        };
        let late = model.coverage().times && model.now().since(release.last) > ONE_CALL;
        if late || model.current_task().tid != release.here.tid {
            self.give_up(device, report);
            return;
        }
        release.last = model.now();
        release.count += 1;
        if release.taken.len() < MOST_RESOURCES {
            let began = release.here.time;
            release
                .taken
                .push(finding::resource(node, Some(model.now()), began));
        }
    }

    fn removed(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some((node, device)) = resource(id, model) else {
            return;
        };
        let Some(release) = self.releases.remove(&device) else {
            return;
        };
        let soon = !model.coverage().times || model.now().since(release.last) <= ONE_CALL;
        let same_task = model.current_task().tid == release.here.tid;
        if release.count > 0 && node.origin() == Origin::Unknown && soon && same_task {
            release.report(finding::label(node), model.now(), report);
        } else {
            release.stay_silent(report);
        }
    }

    fn give_up(&mut self, device: DeviceId, report: &mut Report) {
        if let Some(release) = self.releases.remove(&device) {
            release.stay_silent(report);
        }
    }
}

/// A node that is no marker, and its device.
fn resource(id: NodeId, model: &Model) -> Option<(&Node, DeviceId)> {
    let node = model.node(id).filter(|node| !node.kind().is_marker())?;
    Some((node, model.owner(node)?.id()))
}

impl Release {
    fn stay_silent(self, report: &mut Report) {
        if self.count == 0 {
            return;
        }
        let subject = self.here.subject;
        report.stay_silent(INFO.id, subject.key, Doubt::ReleasedGroupUnopened);
    }

    /// Reports what went with the group; afterwards the driver itself removed `removed`.
    fn report(self, removed: &str, now: Time, report: &mut Report) {
        let subject = self.here.subject;
        let (name, culprit) = (subject.name(), self.culprit.subject.name());
        let (count, resources) = match self.count {
            1 => (1, "resource"),
            count => (count, "resources"),
        };
        let what = self
            .taken
            .first()
            .map_or("", finding::Resource::label)
            .to_owned();
        report.submit(Finding {
            certainty: Certainty::Likely,
            summary: format!(
                "A group of {name} was released right after a group of {culprit}, with {count} {resources}. The driver of \
                 {name} was still bound: it removed {removed} afterwards."
            ),
            meaning: "An open group takes in everything added later. The driver is still bound and keeps using the \
                      released resources: mappings, interrupts, memory. The log does not show how the group was \
                      opened: it is likely, not certain, that not all of them belonged to it."
                .to_owned(),
            order: vec![
                Step::at(self.culprit.time, format!("a group of {culprit} is released")),
                Step::at(self.here.time, format!("a group of {name} is released, with {count} {resources}")),
                Step::at(now, format!("{removed} of {name} is removed: its driver is still bound")),
            ],
            expected: vec![
                "the group is closed when the components are bound".to_owned(),
                "only resources added in it are released with it".to_owned(),
            ],
            resources: self.taken,
            delay_since: "the group's release",
            ..subject.finding(&INFO, Severity::Warn, &what, now)
        });
    }
}
