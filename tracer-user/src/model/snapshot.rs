//! What a device owned at one moment, read from the kernel's memory.

use hashbrown::{HashMap, HashSet};

use super::{Change, Changes, DeviceId, Kind, Model, NodeId, Origin, State, Taint};
use crate::{
    event::{DeviceSnapshot, GroupId, NodeAddress},
    evidence::Addresses,
};
use std::sync::Arc;

impl Model {
    pub(super) fn snapshot(&mut self, snapshot: &DeviceSnapshot, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        // Behind the place where the device was first seen, with nothing known of it.
        self.sequence += 1;
        let sequence = self.sequence;
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        record.identify(Arc::new(snapshot.identity.clone()));
        record.pm = snapshot.pm;
        if snapshot.consistent {
            record.known_since = sequence;
        }
        if record.phase == State::Unknown {
            record.phase = if snapshot.identity.driver.is_some() {
                record.bind();
                record.binding_sequence = sequence;
                State::Bound
            } else {
                State::Initialised
            };
        }
        changes.push(Change::DeviceNamed(id));
        if snapshot.consistent && record.releasing.is_empty() {
            self.replace_list(id, snapshot, changes);
            self.clear(id, changes);
        } else {
            self.merge_list(id, snapshot, changes);
            self.taint(id, Taint::TornSnapshot, changes);
        }
        changes.push(Change::SnapshotTaken(id));
    }

    /// The list is what the snapshot says. What was seen to be added keeps what is known of it.
    fn replace_list(&mut self, id: DeviceId, snapshot: &DeviceSnapshot, changes: &mut Changes) {
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        record.groups.clear();
        let mut known = HashMap::new();
        let mut vanished = Vec::new();
        while let Some(slot) = record.list.last() {
            self.arena.unlink(&mut record.list, slot);
            if let Some(node) = self.arena.get(slot) {
                vanished.extend(known.insert((node.address, node.name().cloned()), slot));
            }
        }
        let mut placed = HashSet::new();
        for found in &snapshot.nodes {
            if !placed.insert(found.node) {
                continue;
            }
            let slot = if let Some(slot) = known.remove(&(found.node, found.name.clone())) {
                slot
            } else {
                if let Some(stale) = self.arena.find(id.slot, found.node) {
                    self.arena.forget_address(stale);
                }
                let node = self.make_node(id, found, Origin::Snapshot);
                let slot = self.arena.insert(node);
                changes.push(Change::NodeAdded(NodeId(slot)));
                slot
            };
            if let Some(record) = self.devices.get_mut(id) {
                self.arena.push(&mut record.list, slot);
            }
            self.join_group(id, slot);
        }
        vanished.extend(known.into_values());
        vanished.sort_unstable();
        for slot in vanished {
            self.arena.forget(slot);
            self.departed.push(slot);
            changes.push(Change::NodeVanished(NodeId(slot)));
        }
    }

    /// Nodes of the snapshot that were never seen are older than what was.
    fn merge_list(&mut self, id: DeviceId, snapshot: &DeviceSnapshot, changes: &mut Changes) {
        let mut after = None;
        for found in &snapshot.nodes {
            if self.arena.find(id.slot, found.node).is_some() {
                continue;
            }
            let node = self.make_node(id, found, Origin::Snapshot);
            let slot = self.arena.insert(node);
            if let Some(record) = self.devices.get_mut(id) {
                self.arena.link_after(&mut record.list, after, slot);
            }
            after = Some(slot);
            self.join_group(id, slot);
            changes.push(Change::NodeAdded(NodeId(slot)));
        }
    }

    fn join_group(&mut self, id: DeviceId, slot: u32) {
        let Some(node) = self.arena.get(slot) else {
            return;
        };
        let (kind, address, data) = (node.kind(), node.address, node.data);
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        match kind {
            Kind::GroupOpen => {
                let group = GroupId(if data == 0 { address.0 } else { data });
                record.groups.open(group, slot);
                if let Some(node) = self.arena.get_mut(slot) {
                    node.data = group.0;
                }
            }
            Kind::GroupClose => {
                let real =
                    self.facts.node_addresses == Addresses::Real && address != NodeAddress(0);
                if let Some(opening) =
                    record.group_of_closing(&self.arena, id.slot, address, None, real)
                {
                    record.groups.close(opening, slot, false);
                }
            }
            Kind::Memory | Kind::Action(_) | Kind::Resource(_) => {}
        }
    }
}
