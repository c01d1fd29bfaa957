//! DR012 outlives-creator: a driver's probe adds a resource to another device, where it stays when that
//! driver goes.

use hashbrown::{HashMap, HashSet};

use super::{
    Rule, blame,
    known::{self, Observed},
};
use crate::{
    event::{Hook, Time},
    finding::{self, Cause, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, InstanceKey, Model, Node, NodeId, Origin, State},
    number::plural,
    rules::attribution::{Attribution, attribute},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR012",
    name: "outlives-creator",
    severities: &[Severity::Error, Severity::Warn],
    description: "A resource that a driver added to another device outlives the driver.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Probe],
        &[Hook::Unbind],
    ],
    page: include_str!("dr012.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps something only of resources that live on another device than that whose probe added
/// them.
#[derive(Debug, Default)]
pub(super) struct OutlivesCreator {
    creators: HashMap<DeviceId, Creator>,
}

#[derive(Debug)]
struct Creator {
    subject: Subject,
    /// The nodes by their place in the order of everything seen.
    nodes: HashMap<u64, Left>,
}

/// A node that is left on another device unless it goes first.
#[derive(Debug, Clone, Copy)]
struct Left {
    owner: DeviceId,
    attribution: Attribution,
}

impl Rule for OutlivesCreator {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => self.added(*id, model),
            Change::NodeRemoved(id)
            | Change::NodeVanished(id)
            | Change::NodeReleased { node: id, .. }
                if !self.creators.is_empty() =>
            {
                if let Some(node) = model.node(*id) {
                    self.gone(node, model);
                }
            }
            Change::BindingEnded { device, was_bound } if !self.creators.is_empty() => {
                if let Some(creator) = self.creators.remove(device) {
                    creator.ended(*device, *was_bound, model, report);
                }
            }
            Change::DeviceGone { device, .. } if !self.creators.is_empty() => {
                self.creators.remove(device);
                for (_, node) in model
                    .device_by_id(*device)
                    .into_iter()
                    .flat_map(Device::owned)
                {
                    self.gone(node, model);
                }
            }
            _ => {}
        }
    }
}

/// The device whose probe added the node, if that is another than its owner.
fn creator<'m>(node: &Node, model: &'m Model) -> Option<Device<'m>> {
    let context = node
        .context()
        .filter(|context| context.hook == Hook::Probe && node.origin() == Origin::Seen)?;
    let creator = model.device(context.device.address)?;
    let owner = model.owner(node)?;
    (creator.key() == context.device && creator.id() != owner.id()).then_some(creator)
}

impl OutlivesCreator {
    fn gone(&mut self, node: &Node, model: &Model) {
        if let Some(creator) = creator(node, model)
            && let Some(kept) = self.creators.get_mut(&creator.id())
        {
            kept.nodes.remove(&node.sequence());
            if kept.nodes.is_empty() {
                self.creators.remove(&creator.id());
            }
        }
    }

    fn added(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
            return;
        };
        let (Some(creator), Some(owner)) = (creator(node, model), model.owner(node)) else {
            return;
        };
        // What a driver creates goes with it; and component.c releases what it binds itself.
        let is_own_child = owner
            .creator()
            .is_some_and(|context| context.device == creator.key());
        if is_own_child || node.stack().is_some_and(blame::through_component_core) {
            return;
        }
        let subject = Subject::of(creator);
        let attribution = attribute(node, &subject, owner);
        if attribution == Attribution::Other {
            return;
        }
        let left = Left {
            owner: owner.id(),
            attribution,
        };
        self.creators
            .entry(creator.id())
            .or_insert_with(|| Creator {
                subject,
                nodes: HashMap::new(),
            })
            .nodes
            .insert(node.sequence(), left);
    }
}

impl Creator {
    fn ended(self, id: DeviceId, was_bound: bool, model: &Model, report: &mut Report) {
        let Some(creator) = model.device_by_id(id) else {
            return;
        };
        let mut owners: Vec<DeviceId> = self
            .nodes
            .values()
            .map(|left| left.owner)
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        owners.sort_by_key(|owner| model.device_by_id(*owner).map(Device::key));
        for owner in owners {
            let Some(owner) = model.device_by_id(owner) else {
                continue;
            };
            // It is being taken down too: what is on it is about to go.
            if matches!(
                owner.state(),
                State::Removing | State::Cleanup | State::Deleted | State::Dead
            ) {
                continue;
            }
            let left: Vec<&Node> = owner
                .nodes()
                .map(|(_, node)| node)
                .filter(|node| self.nodes.contains_key(&node.sequence()))
                .filter(|node| !in_own_group(node, owner, creator.key(), model))
                .collect();
            let Some(oldest) = left.first() else { continue };
            let subject = Subject::of(owner);
            let mut stay_silent = |doubt| report.stay_silent(INFO.id, subject.key, doubt);
            if !creator.is_whole() || !owner.is_whole_since(oldest.sequence()) {
                stay_silent(Doubt::LeftAfterMiss);
                continue;
            }
            let (known, unknown): (Vec<&Node>, Vec<&Node>) = left
                .into_iter()
                .partition(|node| self.attribution(node) != Attribution::Unknown);
            if !unknown.is_empty() {
                stay_silent(Doubt::AskerUnknown);
            }
            if !known.is_empty() {
                report.submit(self.finding(owner, &known, was_bound, model));
            }
        }
    }

    fn attribution(&self, node: &Node) -> Attribution {
        let left = self.nodes.get(&node.sequence());
        left.map_or(Attribution::Unknown, |left| left.attribution)
    }

    /// The probe that added the resources, by the first of them.
    fn cause(&self, first: Option<&Node>) -> Cause {
        let task = first.map(|node| *node.task()).unwrap_or_default();
        self.subject
            .cause("probe", &task, first.and_then(Node::stack))
    }

    fn finding(
        &self,
        owner: Device<'_>,
        left: &[&Node],
        was_bound: bool,
        model: &Model,
    ) -> Finding {
        let subject = Subject::of(owner);
        let is_known = |node: &&&Node| self.attribution(node) == Attribution::Driver;
        let is_hazard = |node: &&&Node| node.kind().hazard().is_some();
        let culprit = left.iter().filter(is_known).find(is_hazard);
        let known = left.iter().any(|node| is_known(&node));
        let worst = culprit.or(left.iter().find(is_hazard));
        let severity = if culprit.is_some() {
            Severity::Error
        } else {
            Severity::Warn
        };
        let shown = worst
            .or(left.first())
            .map_or("", |node| finding::label(node));
        let driver = self.subject.driver().unwrap_or("?");
        let (creator, name) = (self.subject.name(), subject.name());
        let end = if was_bound {
            "was unbound"
        } else {
            "failed its probe"
        };
        let meaning = if worst.is_some() {
            "It is released only with the other device, long after the driver whose code and data it uses is gone."
        } else {
            "The memory stays allocated until the other device is released, and each probe adds more: a leak."
        };
        let first_added = left.first().map_or(Time(0), |node| node.added());
        Finding {
            certainty: if known {
                Certainty::Confirmed
            } else {
                Certainty::Likely
            },
            summary: format!(
                "The probe of {creator} added {shown} to {name}, where it stayed when {creator} {end}."
            ),
            meaning: meaning.to_owned(),
            order: vec![
                Step::at(
                    first_added,
                    format!("the probe of {creator} adds {shown} to {name}"),
                ),
                Step::at(
                    model.now(),
                    format!(
                        "{creator} {end}; {} {} still on {name}",
                        left.len(),
                        plural(left.len(), "resource is", "resources are")
                    ),
                ),
            ],
            expected: vec![format!(
                "the driver adds its resources to its own device, {creator}, and they are released with it"
            )],
            resources: left
                .iter()
                .take(100)
                .map(|node| finding::live_resource(node))
                .collect(),
            caused_by: Some(self.cause(left.first().copied())),
            known: known::of(INFO.id, Observed::driver(self.subject.driver())),
            ..subject.finding(&INFO, severity, &format!("{driver}/{shown}"), model.now())
        }
    }
}

/// Whether the node lies in a group of its owner that the same probe opened: then that driver can still
/// release it.
fn in_own_group(node: &Node, owner: Device<'_>, creator: InstanceKey, model: &Model) -> bool {
    owner.groups().any(|(_, open, close)| {
        let Some(open) = model.node(open) else {
            return false;
        };
        let ends_behind = close
            .and_then(|close| model.node(close))
            .is_none_or(|close| node.sequence() < close.sequence());
        open.sequence() < node.sequence()
            && ends_behind
            && open
                .context()
                .is_some_and(|context| context.device == creator)
    })
}
