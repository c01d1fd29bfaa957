//! Single nodes: added, removed, replaced.

use std::sync::Arc;

use super::{
    Change, Changes, DesyncKind, DeviceId, Kind, Model, Node, NodeId, Origin, Taint, bit,
    frames::{NodeMark, Work},
    node::NO_SIZE,
    share::SiteKey,
};
use crate::{
    event::{AddedNode, GroupId, Hook, Loss, LossCause, NodeAddress, NodeReference, Text},
    evidence::Addresses,
};

/// The name that the kernel gives a block that `devm_krealloc` has moved.
pub(super) const KREALLOC: &str = "devm_krealloc_release";

impl Model {
    /// A node for the arena, with what the current event and its device's state tell of it.
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

    /// Where nothing tells of removals, a node whose address is added again was removed before.
    fn conclude_removal(&mut self, id: DeviceId, address: NodeAddress, changes: &mut Changes) {
        if !self.facts.removals_unseen || self.facts.node_addresses != Addresses::Real {
            return;
        }
        let Some(slot) = self
            .find_address(id, address)
            .or_else(|| self.arena.find_elsewhere(id.slot, address))
        else {
            return;
        };
        let owner = self.arena.get(slot).map(|node| node.device);
        let Some(owner) = owner.and_then(|owner| self.devices.id_in(owner)) else {
            return;
        };
        let block = self.block_of_pin_control(slot);
        for gone in std::iter::once(slot).chain(block) {
            self.remove_slot(owner, gone, changes);
        }
    }

    /// Where nothing tells of removals, resources that lie there beyond those that are released were removed before, or
    /// their releases by group were missed: which, nobody knows.
    pub(super) fn conclude_removals(&mut self, id: DeviceId, released: u32, changes: &mut Changes) {
        let Some(record) = self.devices.get(id).filter(|_| self.facts.removals_unseen) else {
            return;
        };
        // An unknown group was released: what lies there is not known anyway.
        if record.taints.iter().any(|taint| taint == Taint::Indistinct) {
            return;
        }
        let lying = self.arena.iter(&record.list);
        let lying = lying.filter(|(_, node)| !node.kind().is_marker()).count() as u64;
        let count = lying.saturating_sub(u64::from(released));
        if count > 0 {
            let cause = LossCause::Input;
            self.lose(&Loss { count, cause }, changes);
            // What is entered now comes behind the loss.
            self.sequence += 1;
        }
    }

    /// The block that pin control, which is set up and given back on most probes, adds before its node and removes with
    /// it.
    fn block_of_pin_control(&self, slot: u32) -> Option<u32> {
        let node = self.arena.get(slot)?;
        if node
            .name()
            .is_none_or(|name| &**name != "devm_pinctrl_release")
            || node.batch != 0
        {
            return None;
        }
        let block = self.arena.previous(slot)?;
        let before = self.arena.get(block)?;
        (before.kind() == Kind::Memory && before.binding == node.binding).then_some(block)
    }

    fn open_group(
        &mut self,
        id: DeviceId,
        slot: u32,
        told: Option<GroupId>,
        changes: &mut Changes,
    ) {
        let tid = self.now.task.tid;
        let address = self.arena.get(slot).map(|node| node.address.0);
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        let called = record
            .group_call
            .take_if(|call| call.hook == Hook::OpenGroup && call.tid == tid)
            .map(|call| call.id);
        if called.is_none() && self.facts.entries & bit(Hook::OpenGroup) != 0 {
            self.taint(id, Taint::Unfitting, changes);
        }
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        // The call tells exactly; what was read from the marker only where that was not seen.
        let group = called
            .or(told)
            .filter(|group| group.0 != 0)
            .unwrap_or(GroupId(address.unwrap_or_default()));
        record.groups.open(group, slot);
        if let Some(node) = self.arena.get_mut(slot) {
            node.data = group.0;
        }
    }

    fn close_group(&mut self, id: DeviceId, slot: u32, changes: &mut Changes) {
        let tid = self.now.task.tid;
        let address = self
            .arena
            .get(slot)
            .map(|node| node.address)
            .unwrap_or_default();
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        let call = record
            .group_call
            .take_if(|call| call.hook == Hook::CloseGroup && call.tid == tid);
        let selected = call.and_then(|call| call.open);
        let real = self.facts.node_addresses == Addresses::Real;
        let opening = record.group_of_closing(&self.arena, id.slot, address, selected, real);
        let group = opening.and_then(|opening| record.groups.close(opening, slot, call.is_some()));
        let unexplained = call.is_none() && self.facts.entries & bit(Hook::CloseGroup) != 0;
        if let Some(group) = group {
            if let Some(node) = self.arena.get_mut(slot) {
                node.data = group.0;
            }
        } else {
            self.disagree(id, DesyncKind::UnknownGroup(address), changes);
        }
        if unexplained {
            self.taint(id, Taint::Unfitting, changes);
        }
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

    pub(super) fn remove(&mut self, reference: &NodeReference, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        let Some(slot) = self.find_node(id, reference) else {
            self.disagree(id, DesyncKind::UnknownNode(reference.node), changes);
            let slot = self.unknown_node(id, reference);
            changes.push(Change::NodeRemoved(NodeId(slot)));
            return;
        };
        self.learn(slot, reference);
        self.explain_removal(id, slot, changes);
        self.remove_slot(id, slot, changes);
    }

    /// Markers go only by `devres_remove_group` or with a release.
    fn explain_removal(&mut self, id: DeviceId, slot: u32, changes: &mut Changes) {
        if self.arena.get(slot).map(Node::kind) != Some(Kind::GroupOpen) {
            return;
        }
        let tid = self.now.task.tid;
        let called = self.devices.get_mut(id).and_then(|record| {
            record
                .group_call
                .take_if(|call| call.hook == Hook::RemoveGroup && call.tid == tid)
        });
        if called.is_none() && self.facts.entries & bit(Hook::RemoveGroup) != 0 {
            self.taint(id, Taint::Unfitting, changes);
        }
    }

    /// Markers of a group were removed, where the kernel does not log it.
    pub(super) fn remove_markers(&mut self, id: DeviceId, group: GroupId, changes: &mut Changes) {
        let selected = self
            .devices
            .get(id)
            .and_then(|record| record.find_group(group))
            .map(|group| group.open);
        if let Some(slot) = selected {
            self.remove_slot(id, slot, changes);
        }
    }

    fn remove_slot(&mut self, id: DeviceId, slot: u32, changes: &mut Changes) {
        let silent = self.depart(id, slot);
        changes.push(Change::NodeRemoved(NodeId(slot)));
        if let Some(silent) = silent {
            changes.push(Change::NodeVanished(NodeId(silent)));
        }
    }

    /// An action was removed, told by its function and argument: the kernel takes the newest.
    pub(super) fn remove_action(&mut self, function: u64, data: u64, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        self.remove_newest(id, changes, |node| {
            node.data == data
                && !node.kind().is_marker()
                && node
                    .function()
                    .is_some_and(|known| known.address == function)
        });
    }

    /// A block was freed, told by its payload's address.
    pub(super) fn remove_payload(&mut self, id: DeviceId, pointer: u64, changes: &mut Changes) {
        if pointer != 0 {
            self.remove_newest(id, changes, |node| node.payload_address == pointer);
        }
    }

    /// Pages were freed, told by their address, which is the first word of the payload.
    pub(super) fn remove_pages(&mut self, id: DeviceId, pointer: u64, changes: &mut Changes) {
        if pointer != 0 {
            self.remove_newest(id, changes, |node| {
                node.kind() == Kind::Memory && node.payload().first() == Some(&pointer)
            });
        }
    }

    fn remove_newest(
        &mut self,
        id: DeviceId,
        changes: &mut Changes,
        wanted: impl Fn(&Node) -> bool,
    ) {
        let found = self.devices.get(id).and_then(|record| {
            self.arena
                .iter(&record.list)
                .rev()
                .find(|(_, node)| wanted(node))
                .map(|(slot, _)| slot)
        });
        match found {
            Some(slot) => self.remove_slot(id, slot, changes),
            None => self.disagree(id, DesyncKind::UnknownNode(NodeAddress(0)), changes),
        }
    }

    pub(super) fn replace(&mut self, reference: &NodeReference, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        let found = self.find_node(id, reference).filter(|slot| {
            let node = self.arena.get(*slot);
            node.is_some_and(|node| !node.kind().is_marker())
        });
        let Some(slot) = found else {
            self.disagree(id, DesyncKind::UnknownNode(reference.node), changes);
            return;
        };
        self.learn(slot, reference);
        let mark = self.start_move(slot, changes);
        let subject = self.now.device;
        let frame = self
            .tasks
            .of_mut(&self.now.task)
            .iter_mut()
            .rfind(|frame| frame.hook == Hook::Krealloc && frame.address == subject);
        if let Some(frame) = frame
            && let Work::Krealloc { replaced, .. } = &mut frame.work
        {
            *replaced = mark;
        }
    }

    /// A node's block is replaced: until told, nothing is known of the new one but its place.
    fn start_move(&mut self, slot: u32, changes: &mut Changes) -> Option<(NodeMark, NodeAddress)> {
        self.arena.forget_address(slot);
        let old = Arc::clone(&self.arena.get(slot)?.site);
        let name: Text = Arc::from(KREALLOC);
        let site = self.sharing.site(SiteKey {
            name: Some(&name),
            function: old.function.as_ref(),
            stack: old.stack.as_ref(),
            action: false,
        });
        let node = self.arena.get(slot)?;
        let (before, sequence) = (node.address, node.sequence);
        let (payload, bytes, before_site) = (node.payload_address, node.size(), node.site());
        self.arena.change_look(slot, |node| {
            node.address = NodeAddress(0);
            node.site = site;
            node.size = NO_SIZE;
            node.payload_address = 0;
            node.payload = None;
            node.moved = true;
        });
        changes.push(Change::NodeReplaced {
            node: NodeId(slot),
            before,
            payload,
            size: bytes,
            site: before_site,
        });
        Some((NodeMark { slot, sequence }, before))
    }

    /// `devm_krealloc` of the block at `pointer` returned that of a new node.
    pub(super) fn finish_krealloc(
        &mut self,
        id: DeviceId,
        pointer: u64,
        replaced: Option<(NodeMark, NodeAddress)>,
        address: NodeAddress,
        changes: &mut Changes,
    ) {
        // Where replacements are not logged, the old block tells which node it was.
        let replaced = replaced.or_else(|| {
            let record = self.devices.get(id)?;
            let (slot, node) = self
                .arena
                .iter(&record.list)
                .rev()
                .find(|(_, node)| pointer != 0 && node.payload_address == pointer)?;
            if !self.facts.concluded || node.address == address {
                return None;
            }
            self.start_move(slot, changes)
        });
        let Some((mark, before)) = replaced else {
            return;
        };
        let Some(slot) = self.still(mark) else {
            return;
        };
        if self.arena.get(slot).is_some_and(|node| node.moved) {
            self.arena.set_address(slot, address);
            if let Some(node) = self.arena.get_mut(slot) {
                node.moved = false;
                if pointer > before.0 && before.0 != 0 {
                    node.payload_address = address.0.wrapping_add(pointer - before.0);
                }
            }
            changes.push(Change::NodeMoved(NodeId(slot)));
        }
    }

    /// The marked node's slot, if it is still the same node.
    pub(super) fn still(&self, mark: NodeMark) -> Option<u32> {
        (self.arena.get(mark.slot)?.sequence == mark.sequence).then_some(mark.slot)
    }
}
