//! The markers of groups as they are added: which call opens or closes which group.

use super::{Changes, DesyncKind, DeviceId, Model, Taint, bit};
use crate::{
    event::{GroupId, Hook},
    evidence::Addresses,
};

impl Model {
    pub(super) fn open_group(
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
        // The call says it exactly; what was read from the marker only where that was not seen.
        let group = called
            .or(told)
            .filter(|group| group.0 != 0)
            .unwrap_or(GroupId(address.unwrap_or_default()));
        record.groups.open(group, slot);
        if let Some(node) = self.arena.get_mut(slot) {
            node.data = group.0;
        }
    }

    pub(super) fn close_group(&mut self, id: DeviceId, slot: u32, changes: &mut Changes) {
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
}
