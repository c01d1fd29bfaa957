//! DR003 where no function is seen: what the order of the lines of a log lets conclude.
//!
//! A kernel log reports nodes and nothing else. The component framework is known by what it leaves there: its
//! master has a `devm_component_match_release`, older than the groups; a component's unbind first releases
//! the component's own group and then, in the same breath, the master's. If that was never closed, and
//! more was added to the master since it was opened, then that goes too. What is older stays, because the
//! master's driver is still bound: in its own unbind that would go right behind.

use hashbrown::HashMap;

use super::{
    INFO,
    group_release::{GroupRelease, NEAR, ONE_CALL},
    unopened::Unopened,
};
use crate::{
    event::{Hook, Time},
    finding::{self, Cause, Certainty, Doubt, Finding, Report, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Kind, Model, Node, NodeId, Origin},
    number::plural,
};

/// The resource by which a component master is known.
const MASTER: &str = "devm_component_match_release";
/// Within this, what a device still has is released in the same unbind: nanoseconds.
const ONE_UNBIND: u64 = 5_000_000_000;
/// A pause of this length ends what binding the components adds: nanoseconds.
const PAUSE: u64 = 1_000_000;
/// What was added this long before is not what a bind that fails takes back: nanoseconds.
const SETTLED: u64 = 100_000_000;
/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;

/// What is kept of open groups and of the release of one.
#[derive(Debug, Default)]
pub(super) struct Lines {
    groups: HashMap<DeviceId, Vec<Group>>,
    releases: HashMap<DeviceId, Release>,
    last: Option<GroupRelease>,
    /// Releases of groups that were not seen to be opened.
    unopened: Unopened,
    /// Whether the last closing marker that went without a word went with the current event.
    closed: Option<u64>,
}

/// A group that was seen to be opened and not to be closed.
#[derive(Debug)]
struct Group {
    sequence: u64,
    opened: Time,
    /// Some group of this device was closed since: perhaps this one.
    perhaps_closed: bool,
    /// Where the last group within it ended: what is older was added while components were bound.
    inner_until: u64,
    /// What was added until then, one after the other without a pause, can be the doing of the bind.
    bound_until: Time,
}

/// The release of an open group.
#[derive(Debug)]
struct Release {
    subject: Subject,
    group: Group,
    culprit: Option<GroupRelease>,
    began: Time,
    last: Time,
    tid: u32,
    swallowed: Vec<finding::Resource>,
    swallowed_count: usize,
    /// One of them was added after a pause.
    clearly_later: bool,
    /// When the last of them was added.
    youngest: Time,
}

impl Lines {
    /// Looks at a change, of a source that sees none of the functions that DR003 is about.
    pub(super) fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        self.unopened.observe(change, model, report);
        match change {
            Change::NodeAdded(id) => self.added(*id, model, report),
            Change::NodeRemoved(id) => self.removed(*id, Some(model.now()), model),
            Change::NodeVanished(id) => self.removed(*id, None, model),
            Change::NodeReleased { node, .. } => self.released(*node, model, report),
            Change::DeviceNamed(id) => {
                // Its driver is gone: the release was part of its own unbind.
                let unbound = model.device_by_id(*id).is_some_and(|device| {
                    device.identity().driver.is_none() && device.identity().bus.is_some()
                });
                if unbound {
                    self.releases.remove(id);
                }
            }
            Change::DeviceGone { device, .. } => {
                self.groups.remove(device);
                self.releases.remove(device);
            }
            Change::Lost(_) => *self = Self::default(),
            _ => {}
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, model: &Model, report: &mut Report) {
        self.unopened.finish(report);
        let mut pending: Vec<_> = self.releases.drain().collect();
        pending.sort_by_key(|(_, release)| release.group.sequence);
        for (_, release) in pending {
            release.conclude(false, model, report);
        }
    }

    fn added(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        // It goes on: what was released was not its own end.
        if let Some(release) = self.releases.remove(&device.id()) {
            release.conclude(true, model, report);
        }
        let now = model.now();
        for group in self.groups.get_mut(&device.id()).into_iter().flatten() {
            if now.since(group.bound_until) < PAUSE {
                group.bound_until = now;
            }
        }
        match node.kind() {
            Kind::GroupOpen => self.groups.entry(device.id()).or_default().push(Group {
                sequence: node.sequence(),
                opened: model.now(),
                perhaps_closed: false,
                inner_until: 0,
                bound_until: model.now(),
            }),
            Kind::GroupClose => {
                for group in self.groups.entry(device.id()).or_default() {
                    group.perhaps_closed = true;
                }
            }
            Kind::Memory | Kind::Action(_) | Kind::Resource(_) => {}
        }
    }

    fn removed(&mut self, id: NodeId, when: Option<Time>, model: &Model) {
        let Some(node) = model.node(id).filter(|node| node.kind().is_marker()) else {
            return;
        };
        if node.kind() == Kind::GroupClose {
            self.closed = Some(model.sequence());
        } else if let Some(device) = model.owner(node) {
            self.end_group(device.id(), node.sequence(), when, model.sequence());
        }
    }

    /// Forgets a group; those around it know that it ended.
    fn end_group(
        &mut self,
        device: DeviceId,
        sequence: u64,
        when: Option<Time>,
        now: u64,
    ) -> Option<Group> {
        let groups = self.groups.get_mut(&device)?;
        let position = groups.iter().position(|group| group.sequence == sequence)?;
        let ended = groups.remove(position);
        for group in groups.iter_mut().filter(|group| group.sequence < sequence) {
            group.inner_until = now;
            // If its removal was not observed, nothing says when it happened.
            group.bound_until = when.unwrap_or(ended.bound_until);
        }
        if groups.is_empty() {
            self.groups.remove(&device);
        }
        Some(ended)
    }

    fn released(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        match node.kind() {
            Kind::GroupOpen => self.group_released(node, device, model),
            Kind::GroupClose => {}
            _ => self.resource_released(node, device, model, report),
        }
    }

    fn group_released(&mut self, node: &Node, device: Device<'_>, model: &Model) {
        let here = GroupRelease {
            device: device.id(),
            subject: Subject::of(device),
            tid: model.current_task().tid,
            time: model.now(),
            sequence: model.sequence(),
            among_others: self.last.as_ref().is_some_and(|last| {
                last.device != device.id()
                    && last.tid == model.current_task().tid
                    && model.sequence() - last.sequence <= NEAR
                    && model.now().since(last.time) <= ONE_CALL
            }),
        };
        let was_closed = self.closed == Some(model.sequence());
        let now = Some(model.now());
        let group = self.end_group(device.id(), node.sequence(), now, model.sequence());
        let before = self.last.replace(here.clone());
        if node.origin() == Origin::Unknown {
            if let Some(culprit) = before.filter(|culprit| here.is_behind(culprit, model))
                && may_be_bound(device)
            {
                self.unopened.begin(here, culprit);
            }
            return;
        }
        let Some(group) = group.filter(|group| !was_closed && !group.perhaps_closed) else {
            return;
        };
        if let Some(release) = self.releases.get_mut(&device.id()) {
            // One of the two is within the other, and was open still: components were being bound.
            if group.sequence < release.group.sequence {
                release.group = group;
            }
            release.group.inner_until = model.sequence();
            release.group.bound_until = model.now();
            return;
        }
        let is_master = device.nodes().any(|(_, older)| {
            older.sequence() < group.sequence && older.name().is_some_and(|name| &**name == MASTER)
        });
        if !is_master || !may_be_bound(device) {
            return;
        }
        let culprit = before.filter(|culprit| here.is_behind(culprit, model));
        self.releases.insert(
            device.id(),
            Release {
                subject: here.subject,
                group,
                culprit,
                began: here.time,
                last: here.time,
                tid: here.tid,
                swallowed: Vec::new(),
                swallowed_count: 0,
                clearly_later: false,
                youngest: Time::default(),
            },
        );
    }

    fn resource_released(
        &mut self,
        node: &Node,
        device: Device<'_>,
        model: &Model,
        report: &mut Report,
    ) {
        let id = device.id();
        let Some(release) = self.releases.get_mut(&id) else {
            return;
        };
        if node.origin() != Origin::Seen {
            // Too little is known of what was on it.
            self.releases.remove(&id);
            return;
        }
        let since = if model.coverage().times {
            model.now().since(release.last)
        } else {
            0
        };
        if node.sequence() > release.group.sequence {
            if since <= ONE_CALL {
                release.take(node, model.now());
            }
        } else if let Some(release) = self.releases.remove(&id)
            && since > ONE_UNBIND
        {
            // It lived on, and was unbound some other time.
            release.conclude(true, model, report);
        }
    }
}

fn may_be_bound(device: Device<'_>) -> bool {
    device.identity().driver.is_some() || device.identity().bus.is_none()
}

/// Whether this source sees none of the functions by which DR003 decides, so that the lines must do.
pub(super) fn only_lines(model: &Model) -> bool {
    let coverage = model.coverage();
    coverage.sees(Hook::DevresLog)
        && ![
            Hook::ReleaseGroup,
            Hook::ReleaseAll,
            Hook::Probe,
            Hook::Unbind,
        ]
        .into_iter()
        .any(|hook| coverage.sees(hook))
}

impl Release {
    fn take(&mut self, node: &Node, now: Time) {
        self.last = now;
        if node.sequence() < self.group.inner_until {
            // Added while components were being bound: it belongs to the group.
            return;
        }
        self.clearly_later |= node.added() > self.group.bound_until;
        self.youngest = self.youngest.max(node.added());
        self.swallowed_count += 1;
        if self.swallowed.len() < MOST_RESOURCES {
            self.swallowed
                .push(finding::resource(node, Some(now), self.began));
        }
    }

    /// What happened to the device of this name, step by step.
    fn order(&self, name: &str) -> Vec<Step> {
        let count = self.swallowed_count;
        let mut order = vec![Step::at(
            self.group.opened,
            format!("a group is opened on {name} and not closed"),
        )];
        let first = self.swallowed.iter().filter_map(|resource| {
            let time = resource.added.time?;
            Some((time, &resource.name))
        });
        if let Some((time, first)) = first.min() {
            order.push(Step::at(
                time,
                format!("{first} is added, after the components were bound"),
            ));
        }
        if let Some(culprit) = &self.culprit {
            order.push(Step::at(
                culprit.time,
                format!(
                    "the group of the component {} is released",
                    culprit.subject.name()
                ),
            ));
        }
        order.push(Step::at(
            self.began,
            format!("the open group of {name} is released"),
        ));
        order.push(Step::at(
            self.last,
            format!(
                "{count} {} added later {} released with it",
                plural(count, "resource", "resources"),
                plural(count, "is", "are"),
            ),
        ));
        order
    }

    /// Reports what went with the group. `lived_on` says that the device was seen to go on afterwards.
    fn conclude(self, lived_on: bool, model: &Model, report: &mut Report) {
        if self.swallowed_count == 0 {
            return;
        }
        let name = self.subject.name();
        if self.culprit.is_none() && !lived_on {
            report.stay_silent(INFO.id, self.subject.key, Doubt::MasterReleasedByUnknown);
            return;
        }
        let settled = self.began.since(self.youngest) >= SETTLED && model.coverage().times;
        let severity = if self.clearly_later && settled && self.culprit.is_some() {
            Severity::Error
        } else {
            Severity::Warn
        };
        let what = self
            .swallowed
            .first()
            .map_or("", finding::Resource::label)
            .to_owned();
        let count = self.swallowed_count;
        let by = match &self.culprit {
            Some(culprit) if culprit.among_others => {
                "Right after the groups of its components, component.c".to_owned()
            }
            Some(culprit) => format!(
                "Right after its group on {}, component.c",
                culprit.subject.name()
            ),
            None => "Somebody".to_owned(),
        };
        let alone = self
            .culprit
            .as_ref()
            .filter(|culprit| !culprit.among_others);
        let order = self.order(name);
        let caused_by = alone.map(|culprit| Cause {
            tid: self.tid,
            ..culprit.subject.cause("unbind", model.current_task(), None)
        });
        report.submit(Finding {
            certainty: Certainty::Likely,
            summary: format!(
                "{by} released an open group of {name}, including {count} {} that {} added to {name} after its components were \
                 bound. Older resources stayed: its driver is still bound.",
                plural(count, "resource", "resources"),
                plural(count, "was", "were"),
            ),
            meaning: "An open group takes in everything added later. The driver is still bound and keeps using the \
                      released resources: mappings, interrupts, memory. The log has no stacks: it is likely, not \
                      certain, that the master's bind did not add them."
                .to_owned(),
            order,
            expected: vec![
                "the group is closed when the components are bound".to_owned(),
                "only resources added in it are released with it".to_owned(),
            ],
            resources: self.swallowed,
            delay_since: "the group's release",
            caused_by,
            ..self.subject.finding(&INFO, severity, &what, model.now())
        });
    }
}
