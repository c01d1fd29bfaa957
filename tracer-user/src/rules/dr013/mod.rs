//! DR013 dangling-data: a block of memory goes while an action's data or an interrupt's `dev_id` still points
//! into it, or a device that lies in it is alive.

mod devices;
mod open;

use std::collections::BTreeMap;

use smallvec::SmallVec;

use self::{
    devices::Devices,
    open::{Dangling, Within},
};
use super::{
    Rule, blame, interrupt,
    pointer::{Holder, held},
    splat::{self, Proof},
};
use crate::{
    event::{Hook, Message, NodeReference},
    finding::{self, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Model, Node, NodeId, Origin},
};

pub(in crate::rules) static INFO: RuleInfo = RuleInfo {
    id: "DR013",
    name: "dangling-data",
    severities: &[Severity::Error, Severity::Warn],
    description: "Memory is freed while an action or interrupt still points into it, or a live device is in it.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::DevresLog, Hook::ReleaseAll],
        &[Hook::DevresLog, Hook::DevresRemove],
    ],
    details: super::CONTENTS,
    sharpened_by: &[
        Hook::Krealloc,
        Hook::Initialise,
        Hook::Delete,
        Hook::FinalPut,
    ],
    page: include_str!("../dr013.md"),
    ..RuleInfo::PLAIN
};

/// The releases of blocks whose payload is the memory that the driver uses.
const BLOCKS: [&str; 3] = ["devm_kmalloc_release", "devm_kzalloc_release", MOVED];
/// The release of a block that is younger than its place on the list.
const MOVED: &str = "devm_krealloc_release";
/// How a block ends that is released with the rest.
const RELEASED: &str = "released";

/// The rule. It keeps the pointer of each live action and interrupt, and each device that was seen to begin.
#[derive(Debug, Default)]
pub(super) struct DanglingData {
    pointers: BTreeMap<u64, SmallVec<[Holder; 1]>>,
    /// What points into memory that is gone, until its own end shows that it was there all the time.
    dangling: Vec<Dangling>,
    devices: Devices,
}

impl Rule for DanglingData {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        self.devices.observe(change, model, report);
        if !self.dangling.is_empty() {
            self.settle(change, model, report);
        }
        match change {
            Change::NodeAdded(id) => {
                if let Some((pointer, holder)) = held(*id, model) {
                    self.pointers.entry(pointer).or_default().push(holder);
                }
            }
            Change::NodeVanished(id) => self.forget(*id, model),
            Change::NodeRemoved(id) | Change::NodeReleased { node: id, .. } => {
                self.gone(*id, change, model, report);
            }
            Change::NodeReplaced {
                node,
                payload,
                size,
                ..
            } => {
                if let Some(block) = model.node(*node) {
                    let end = End {
                        block,
                        start: *payload,
                        size: *size,
                        how: "moved by devm_krealloc()",
                        unordered: None,
                    };
                    self.ended(&end, model, report);
                }
            }
            Change::KernelMessage {
                device: Some(device),
                message,
            } => {
                if let Message::FreedActive {
                    object,
                    hint,
                    block,
                } = &**message
                {
                    freed_active(*device, object, hint.as_deref(), block, model, report);
                } else {
                    splat::judge(
                        &INFO,
                        Proof::Dangling,
                        Some(*device),
                        message,
                        model,
                        report,
                    );
                }
            }
            Change::KernelMessage {
                device: None,
                message,
            } => splat::judge(&INFO, Proof::Dangling, None, message, model, report),
            Change::DeviceGone { device, .. } => {
                let left = model
                    .device_by_id(*device)
                    .into_iter()
                    .flat_map(Device::owned);
                for (id, _) in left {
                    self.forget(id, model);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        for dangling in self.dangling.drain(..) {
            dangling.stay_open(Doubt::PointerLeftAtEnd, report);
        }
    }
}

/// Whether it is memory that its release only gives back.
pub(super) fn is_block(node: &Node) -> bool {
    node.payload_address() != 0 && node.name().is_some_and(|name| BLOCKS.contains(&&**name))
}

/// The end of a block.
struct End<'m> {
    block: &'m Node,
    start: u64,
    size: Option<u64>,
    how: &'static str,
    /// The release that takes it along, where when it does is not known: what that unregisters may go first.
    unordered: Option<Within>,
}

impl DanglingData {
    /// A node has left its device's list: it points nowhere any more, and nothing may point into it.
    fn gone(&mut self, id: NodeId, change: &Change, model: &Model, report: &mut Report) {
        self.forget(id, model);
        let Some(block) = model.node(id).filter(|node| is_block(node)) else {
            return;
        };
        let end = End {
            block,
            start: block.payload_address(),
            size: block.size(),
            how: if matches!(change, Change::NodeRemoved(_)) {
                "freed"
            } else {
                RELEASED
            },
            unordered: Within::release(change, model),
        };
        self.ended(&end, model, report);
        if block.name().is_none_or(|name| &**name != MOVED) {
            self.devices.ended(&end, model, report);
        }
    }

    /// Looks whether what points into memory that is gone goes itself now, and how.
    fn settle(&mut self, change: &Change, model: &Model, report: &mut Report) {
        let lost = matches!(change, Change::Lost(_));
        for dangling in &mut self.dangling {
            if dangling.is_left(model) || lost && !dangling.is_unordered() {
                dangling.tell(report);
            }
        }
        match change {
            Change::NodeRemoved(node)
            | Change::NodeVanished(node)
            | Change::NodeReleased { node, .. } => {
                let Some(sequence) = model.node(*node).map(Node::sequence) else {
                    return;
                };
                let Some(index) = self
                    .dangling
                    .iter()
                    .position(|dangling| dangling.holder.sequence == sequence)
                else {
                    return;
                };
                if self.dangling.get(index).is_some_and(Dangling::is_unordered) {
                    self.dangling.swap_remove(index);
                    return;
                }
                if let Change::NodeReleased {
                    concluded: true, ..
                } = change
                {
                    if let Some(dangling) = self.dangling.get_mut(index) {
                        dangling.concluded = true;
                    }
                    return;
                }
                let dangling = self.dangling.swap_remove(index);
                match change {
                    Change::NodeVanished(_) => {
                        dangling.stay_open(Doubt::PointerEndMissed, report);
                    }
                    Change::NodeRemoved(node) => dangling.taken_off(*node, model, report),
                    _ => dangling.confirm(model, report),
                }
            }
            Change::Left(left) if matches!(left.hook, Hook::ReleaseAll | Hook::ReleaseGroup) => {
                let over = self.dangling.extract_if(.., |dangling| {
                    dangling.concluded && Some(dangling.holder.device) == left.device
                });
                for dangling in over.collect::<Vec<_>>() {
                    dangling.confirm(model, report);
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, id: NodeId, model: &Model) {
        let Some((pointer, holder)) = held(id, model) else {
            return;
        };
        if let Some(holders) = self.pointers.get_mut(&pointer) {
            holders.retain(|known| *known != holder);
            if holders.is_empty() {
                self.pointers.remove(&pointer);
            }
        }
    }

    fn ended(&mut self, end: &End<'_>, model: &Model, report: &mut Report) {
        if end.start == 0 || self.pointers.is_empty() {
            return;
        }
        // Where the kernel keeps no size only a pointer to the beginning is certain to be into the block.
        let behind = end.start.saturating_add(end.size.unwrap_or(1).max(1));
        let holders: SmallVec<[Holder; 4]> = self
            .pointers
            .range(end.start..behind)
            .flat_map(|(_, holders)| holders.iter().copied())
            .collect();
        for holder in holders {
            if let Some(device) = model.device_by_id(holder.device)
                && let Some(node) = node_at(device, holder.sequence)
            {
                self.dangling
                    .extend(dangling(node, device, end, model, report));
            }
        }
    }
}

/// The kernel itself found, right behind a release, that freed memory was still in use.
fn freed_active(
    id: DeviceId,
    object: &str,
    hint: Option<&str>,
    block: &NodeReference,
    model: &Model,
    report: &mut Report,
) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let subject = Subject::of(device);
    let name = block.name.as_deref().unwrap_or("a resource");
    let size = block
        .size
        .map_or_else(String::new, |size| format!(" ({size} bytes)"));
    let calls = hint.map_or_else(String::new, |hint| format!(" that would call {hint}"));
    report.submit(Finding {
        certainty: Certainty::Likely,
        summary: format!(
            "Memory with an active {object}{calls} was freed, right after the release of {name}{size} of {}.",
            subject.name()
        ),
        meaning: "It uses the memory later, when somebody else may have it. Either it was not stopped, or it \
                  was started again after the driver's remove."
            .to_owned(),
        order: vec![
            Step::at(model.now(), format!("{name}{size} is released")),
            Step::at(model.now(), format!("the kernel finds an active {object} in the freed memory")),
        ],
        expected: vec![
            "whatever can start it is released or disabled".to_owned(),
            format!("the {object} is cancelled"),
            "the memory is released".to_owned(),
        ],
        ..subject.finding(&INFO, Severity::Error, hint.unwrap_or(object), model.now())
    });
}

fn node_at(device: Device<'_>, sequence: u64) -> Option<&Node> {
    device
        .releasing()
        .chain(device.nodes())
        .map(|(_, node)| node)
        .find(|node| node.sequence() == sequence)
}

/// A node points into a block that ends. Likely, until the end of the node shows that it was not gone already.
fn dangling(
    node: &Node,
    device: Device<'_>,
    end: &End<'_>,
    model: &Model,
    report: &mut Report,
) -> Option<Dangling> {
    let block = end.block;
    // A pointer that is older than the block is a stale one to something else that was there before. The
    // order in which a snapshot found them says nothing.
    let both_found = node.origin() == Origin::Snapshot && block.origin() == Origin::Snapshot;
    if node.sequence() < block.sequence() && !both_found {
        return None;
    }
    let owner = model.owner(block)?;
    let subject = Subject::of(device);
    let since = node.sequence().min(block.sequence());
    if !device.is_whole_since(since) || !owner.is_whole_since(since) {
        report.stay_silent(INFO.id, subject.key, Doubt::PointerAfterMiss);
        return None;
    }
    let what = finding::label(node);
    let (how, name, owner_name) = (end.how, subject.name(), owner.name());
    let pointer = if interrupt::of(node).is_some() {
        "dev_id"
    } else {
        "data"
    };
    let caused_by = if owner.id() == device.id() {
        blame::caller_as_cause(&subject, model)
    } else {
        blame::foreign(model, device.id())
            .and_then(|frame| blame::cause(model, frame))
            .or_else(|| blame::caller_as_cause(&Subject::of(owner), model))
    };
    let finding = Finding {
        certainty: Certainty::Likely,
        summary: format!(
            "Memory of {owner_name} was {how} while the {pointer} of {what} on {name} still points into it."
        ),
        meaning: "When the action or interrupt handler runs, or the resource is released, it uses memory that \
                  somebody else may have by then."
            .to_owned(),
        order: vec![
            Step::at(block.added(), format!("the memory is added to {owner_name}")),
            Step::at(node.added(), format!("{what} is added to {name}")),
            Step::at(model.now(), format!("the memory is {how}; {what} is still live")),
        ],
        expected: vec![
            format!("{what} is released"),
            "the memory it uses is released".to_owned(),
        ],
        resources: vec![
            finding::live_resource(node),
            finding::resource(block, Some(model.now()), model.now()),
        ],
        caused_by,
        ..subject.finding(&INFO, Severity::Warn, &finding::mark(node), model.now())
    };
    // Whoever frees or moves the memory may take the action off next.
    let by_hand = how != RELEASED && interrupt::of(node).is_none();
    let within = Within::current(model).filter(|_| by_hand).or(end.unordered);
    if within.is_none() {
        report.submit(finding.clone());
    }
    Some(Dangling {
        holder: Holder {
            sequence: node.sequence(),
            device: device.id(),
        },
        owner: owner.id(),
        since,
        concluded: false,
        within,
        finding: Box::new(finding),
    })
}
