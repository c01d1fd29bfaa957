//! Single nodes: how they are added, found and taken off the list.

use super::{
    Change, Changes, DesyncKind, DeviceId, Kind, Model, Node, NodeId, Origin, node::NO_SIZE,
    share::SiteKey,
};
use crate::{
    event::{AddedNode, NodeAddress, NodeReference},
    evidence::Addresses,
};

/// The name that the kernel gives a block that `devm_krealloc` has moved.
pub(super) const KREALLOC: &str = "devm_krealloc_release";

impl Model {
    /// A node for the arena, with what the current event and its device's state say about it.
    pub(super) fn make_node(&mut self, id: DeviceId, added: &AddedNode, origin: Origin) -> Node {
        self.sequence += 1;
        let generic = added.name.as_deref() == Some("devm_action_release");
        let stack = match origin {
            Origin::Seen => self.now.stack.and_then(|stack| self.stacks.get(&stack)),
            Origin::Snapshot | Origin::Unknown => None,
        };
        let told = added.action || added.action_data != 0;
        let site = self.sharing.site(SiteKey {
            name: added.name.as_ref(),
            function: added.function.as_ref(),
            stack,
            action: generic || told,
        });
        let task = self.sharing.task(&self.now.task);
        let context = match origin {
            Origin::Seen => self.context(),
            Origin::Snapshot | Origin::Unknown => None,
        };
        let (phase, binding) = self
            .devices
            .get(id)
            .map_or((super::State::Unknown, 0), |record| {
                (record.state(), record.binding)
            });
        // What it was added in is not known; what it goes in is something else.
        let phase = match origin {
            Origin::Unknown => super::State::Unknown,
            Origin::Seen | Origin::Snapshot => phase,
        };
        let is_action = matches!(site.kind, Kind::Action(_)) || told;
        let data = match site.kind {
            Kind::GroupOpen | Kind::GroupClose => added.group.unwrap_or_default().0,
            _ => added.action_data,
        };
        let payload = (!is_action && !site.kind.is_marker() && added.payload != [0; 4])
            .then(|| Box::new(added.payload));
        Node {
            address: added.node,
            sequence: self.sequence,
            added: self.now.time,
            size: added.size.unwrap_or(NO_SIZE),
            data,
            payload_address: added.payload_address,
            payload,
            site,
            task,
            context,
            device: id.slot,
            binding,
            batch: 0,
            phase,
            origin,
            moved: false,
        }
    }

    pub(super) fn add(&mut self, added: &AddedNode, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        self.conclude_removal(id, added.node, changes);
        if let Some(stale) = self.find_address(id, added.node) {
            self.disagree(id, DesyncKind::AddedTwice(added.node), changes);
            let silent = self.depart(id, stale);
            let vanished = std::iter::once(stale).chain(silent);
            changes.extend(vanished.map(|slot| Change::NodeVanished(NodeId(slot))));
        }
        let node = self.make_node(id, added, Origin::Seen);
        let (kind, sequence) = (node.kind(), node.sequence);
        let slot = self.arena.insert(node);
        if let Some(record) = self.devices.get_mut(id) {
            record.last_added = sequence;
            self.arena.push(&mut record.list, slot);
        }
        match kind {
            Kind::GroupOpen => self.open_group(id, slot, added.group, changes),
            Kind::GroupClose => self.close_group(id, slot, changes),
            Kind::Memory | Kind::Action(_) | Kind::Resource(_) => {}
        }
        changes.push(Change::NodeAdded(NodeId(slot)));
    }

    /// Takes a node off its device's lists and out of its groups. It can be looked at until the next
    /// event. Returns the closing marker that goes silently with an opening one.
    pub(super) fn depart(&mut self, id: DeviceId, slot: u32) -> Option<u32> {
        let (batch, kind) = self.arena.get(slot).map(|node| (node.batch, node.kind()))?;
        let record = self.devices.get_mut(id)?;
        let list = if batch == 0 {
            &mut record.list
        } else {
            &mut record.releasing
        };
        self.arena.unlink(list, slot);
        self.arena.forget(slot);
        self.departed.push(slot);
        let mut silent = None;
        match kind {
            Kind::GroupOpen => {
                silent = record.groups.remove(slot).and_then(|group| group.close);
                if let Some(close) = silent {
                    self.arena.unlink(&mut record.list, close);
                    self.arena.forget(close);
                    self.departed.push(close);
                }
            }
            Kind::GroupClose => record.groups.reopen(slot),
            Kind::Memory | Kind::Action(_) | Kind::Resource(_) => {}
        }
        silent
    }

    /// A node of this device by its address, where addresses are worth anything.
    pub(super) fn find_address(&self, id: DeviceId, address: NodeAddress) -> Option<u32> {
        if self.facts.node_addresses == Addresses::Absent {
            return None;
        }
        self.arena.find(id.slot, address)
    }

    /// Whether a node can be the one that `reference` names.
    pub(super) fn fits(&self, node: &Node, reference: &NodeReference) -> bool {
        if node.moved {
            return reference.name.is_none() || reference.name.as_deref() == Some(KREALLOC);
        }
        if self.facts.node_addresses == Addresses::Absent {
            return node.name() == reference.name.as_ref() && node.size() == reference.size;
        }
        node.address == reference.node
    }

    /// The node that `reference` names: by its address, else the newest that fits.
    pub(super) fn find_node(&self, id: DeviceId, reference: &NodeReference) -> Option<u32> {
        if let Some(slot) = self.find_address(id, reference.node) {
            return Some(slot);
        }
        let may_scan = self.facts.node_addresses == Addresses::Absent
            || reference.name.is_none()
            || reference.name.as_deref() == Some(KREALLOC);
        if !may_scan {
            return None;
        }
        let record = self.devices.get(id)?;
        let may_have_moved =
            reference.name.is_none() || reference.name.as_deref() == Some(KREALLOC);
        if may_have_moved {
            let releasing = self.arena.iter(&record.releasing).rev();
            return releasing
                .chain(self.arena.iter(&record.list).rev())
                .find(|(_, node)| self.fits(node, reference))
                .map(|(slot, _)| slot);
        }
        let alike = || {
            self.arena
                .alike(id.slot, reference.name.as_ref(), reference.size)
        };
        let mut releasing = alike().filter(|_| !record.releasing.is_empty());
        releasing
            .find(|(_, node)| node.batch != 0)
            .or_else(|| alike().next())
            .map(|(slot, _)| slot)
    }

    /// Gives a node that `devm_krealloc` moved the address and size under which it is named now.
    pub(super) fn learn(&mut self, slot: u32, reference: &NodeReference) {
        let Some(node) = self.arena.get(slot) else {
            return;
        };
        let moved = node.moved;
        if moved || node.size == NO_SIZE {
            self.arena.change_look(slot, |node| {
                node.moved = false;
                if node.size == NO_SIZE {
                    node.size = reference.size.unwrap_or(NO_SIZE);
                }
            });
        }
        if moved {
            self.arena.set_address(slot, reference.node);
        }
    }

    /// A node that goes and was never seen to come, so that rules see it go.
    pub(super) fn unknown_node(&mut self, id: DeviceId, reference: &NodeReference) -> u32 {
        let added = AddedNode {
            node: reference.node,
            name: reference.name.clone(),
            size: reference.size,
            ..AddedNode::default()
        };
        let node = self.make_node(id, &added, Origin::Unknown);
        let slot = self.arena.insert(node);
        self.departed.push(slot);
        slot
    }
}
