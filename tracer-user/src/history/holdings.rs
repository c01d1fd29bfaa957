//! What a device owns, and around what something happens.

use hashbrown::HashMap;

use super::{DEEPEST, Held, Holdings, Item, Marker, TaskId};
use crate::{
    event::{Hook, Text},
    history::HistoryObserver,
    model::{Device, Frame, Kind, Model, Node, NodeId, Origin},
};

impl HistoryObserver {
    /// What a device owns now.
    pub(super) fn holdings(&mut self, device: Device<'_>, model: &Model) -> Holdings {
        let mut holdings = Holdings::default();
        let groups: HashMap<NodeId, bool> = device
            .groups()
            .map(|(_, open, close)| (open, close.is_none()))
            .collect();
        let mut depth = 0_usize;
        let nodes = device.nodes().chain(device.releasing());
        for (id, node) in nodes {
            let marker = marker(node, id, groups.get(&id).copied(), device, model);
            if marker.is_some_and(|marker| !marker.opens) {
                depth = depth.saturating_sub(1);
            }
            if marker.is_none() {
                holdings.resources += 1;
                holdings.bytes = holdings.bytes.saturating_add(node.size().unwrap_or(0));
            }
            if holdings.held.len() < self.limits.held && self.steps < self.limits.steps {
                holdings.held.push(Held {
                    item: self.item(node, marker),
                    added: (node.origin() == Origin::Seen).then(|| node.added()),
                    task: if node.origin() == Origin::Seen {
                        self.names.of_task(node.task())
                    } else {
                        TaskId::NONE
                    },
                    depth: u8::try_from(depth.min(DEEPEST)).unwrap_or(u8::MAX),
                });
                self.steps += 1;
            } else {
                holdings.hidden += u64::from(marker.is_none());
            }
            if marker.is_some_and(|marker| marker.opens) {
                depth += 1;
            }
        }
        holdings.held.shrink_to_fit();
        holdings
    }

    /// A node, as it is kept.
    pub(super) fn item(&mut self, node: &Node, marker: Option<Marker>) -> Item {
        let (serial, label) = (node.sequence(), self.names.of_node(node));
        match marker {
            Some(marker) => Item::marking(serial, label, marker),
            None => Item::resource(serial, label, node.size()),
        }
    }
}

pub(super) fn marker(
    node: &Node,
    id: NodeId,
    open: Option<bool>,
    device: Device<'_>,
    model: &Model,
) -> Option<Marker> {
    let opens = match node.kind() {
        Kind::GroupOpen => true,
        Kind::GroupClose => false,
        Kind::Memory | Kind::Action(_) | Kind::Resource(_) => return None,
    };
    // Where NULL was passed, the group is called by its own address, which is its opening marker's.
    let own = if opens {
        Some(node.address().0)
    } else {
        device
            .groups()
            .rev()
            .take(DEEPEST)
            .find(|(_, _, close)| *close == Some(id))
            .and_then(|(_, open, _)| model.node(open))
            .map(|opening| opening.address().0)
    };
    let group = node.group().map_or(0, |group| group.0);
    Some(Marker {
        opens,
        open: open.unwrap_or(opens),
        id: (group != 0 && own != Some(group)).then_some(group),
    })
}

/// How many releases of groups of this device run on the current task.
pub(super) fn group_releases(device: Device<'_>, model: &Model) -> usize {
    let frames = model.frames(model.current_task());
    frames
        .iter()
        .filter(|frame| frame.device() == Some(device.id()) && frame.hook() == Hook::ReleaseGroup)
        .count()
}

/// The innermost function of drivers/base/devres.c that runs for this device.
pub(crate) fn frame(device: Device<'_>, frames: &[Frame]) -> Option<Hook> {
    frames
        .iter()
        .rev()
        .filter(|frame| frame.device() == Some(device.id()))
        .map(Frame::hook)
        .find(|hook| {
            matches!(
                hook,
                Hook::ReleaseAll
                    | Hook::ReleaseGroup
                    | Hook::Destroy
                    | Hook::Release
                    | Hook::ReleaseAction
                    | Hook::Krealloc
            )
        })
}

/// The device whose probe, unbind or end it is that runs on the task, where that is another one.
pub(crate) fn foreign(device: Device<'_>, frames: &[Frame], model: &Model) -> Option<Text> {
    let frame = frames.iter().rev().find(|frame| {
        matches!(
            frame.hook(),
            Hook::Probe
                | Hook::Unbind
                | Hook::Remove
                | Hook::Cleanup
                | Hook::Delete
                | Hook::FinalPut
        )
    })?;
    let other = frame.device().filter(|other| *other != device.id())?;
    model.device_by_id(other)?.identity().name.clone()
}
