//! Removals: reported by the tracepoint, by the function that removes, or concluded where nothing reports them.

use super::{
    Change, Changes, DesyncKind, DeviceId, Kind, Model, Node, NodeId, Taint, bit,
    teardown::is_pin_control,
};
use crate::{
    event::{GroupId, Hook, Loss, LossCause, NodeAddress, NodeReference},
    evidence::Addresses,
};

impl Model {
    pub(super) fn remove(&mut self, reference: &NodeReference, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        let Some(slot) = self.find_node(id, reference) else {
            if self.percpu_freed.take() == Some((self.now.task.tid, reference.node)) {
                return;
            }
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

    /// An action was removed, reported by its function and argument: the kernel takes the newest.
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

    /// A block was freed, reported by its payload's address.
    pub(super) fn remove_payload(&mut self, id: DeviceId, pointer: u64, changes: &mut Changes) {
        if pointer != 0 {
            self.remove_newest(id, changes, |node| node.payload_address == pointer);
        }
    }

    /// Pages were freed, reported by their address, which is the first word of the payload.
    pub(super) fn remove_pages(&mut self, id: DeviceId, pointer: u64, changes: &mut Changes) {
        if pointer != 0 {
            self.remove_newest(id, changes, |node| {
                node.kind() == Kind::Memory && node.payload().first() == Some(&pointer)
            });
        }
    }

    /// Memory of each CPU was freed, reported in the same way. Where `devm_free_percpu()` calls `devres_remove()` and has not
    /// swallowed it, that reports the removal once more.
    pub(super) fn remove_percpu(&mut self, id: DeviceId, pointer: u64, changes: &mut Changes) {
        self.remove_pages(id, pointer, changes);
        self.percpu_freed = changes.iter().find_map(|change| match change {
            Change::NodeRemoved(node) => Some((self.now.task.tid, self.node(*node)?.address())),
            _ => None,
        });
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

    /// Where nothing reports removals, a node whose address is added again was removed before.
    pub(super) fn conclude_removal(
        &mut self,
        id: DeviceId,
        address: NodeAddress,
        changes: &mut Changes,
    ) {
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
            self.explain_removal(owner, gone, changes);
            self.remove_slot(owner, gone, changes);
        }
    }

    /// Where nothing reports removals, resources that lie there beyond those that are released were removed before, or
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
        if !is_pin_control(node) || node.batch != 0 {
            return None;
        }
        let block = self.arena.previous(slot)?;
        let before = self.arena.get(block)?;
        (before.kind() == Kind::Memory && before.binding == node.binding).then_some(block)
    }
}
