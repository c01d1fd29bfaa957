//! Releases: `devres_release_all` and `devres_release_group` take nodes off the list and run their
//! releases, the newest first.
//!
//! The list is emptied under the device's lock somewhen between the function's entry and its first
//! release. What is added in between by somebody else may or may not be among what is released, so the
//! model takes the nodes off the list only when the first release shows, and keeps those additions apart.

use super::{
    Change, Changes, DesyncKind, DeviceId, Model, NodeId, Taint,
    frames::{Batch, Frame, Work},
    group::Range,
};
use crate::{
    event::{GroupId, Hook, NodeReference, Task},
    evidence::Addresses,
};

impl Model {
    /// What entering a function that releases brings with it.
    pub(super) fn begin_release(&mut self, id: DeviceId, group: Option<GroupId>) -> Batch {
        self.batches = self.batches.wrapping_add(1).max(1);
        let range = match group {
            None => Some(Range::All),
            Some(group) => self
                .devices
                .get(id)
                .and_then(|record| record.find_group(group))
                .map(|group| Range::Group(group.open)),
        };
        Batch {
            number: self.batches,
            range,
            formed: false,
            released: 0,
        }
    }

    /// The release of a group of which nothing is known.
    pub(super) fn begin_release_of_unknown(&mut self) -> Batch {
        self.batches = self.batches.wrapping_add(1).max(1);
        Batch {
            number: self.batches,
            range: None,
            formed: false,
            released: 0,
        }
    }

    /// Takes the batch's nodes off the device's list.
    fn form(&mut self, id: DeviceId, batch: &mut Batch, changes: &mut Changes) {
        if std::mem::replace(&mut batch.formed, true) {
            return;
        }
        let Some(range) = batch.range else { return };
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        if let Range::Group(open) = range
            && record.groups.of_marker(open).is_none()
        {
            return;
        }
        for silent in record.take(&mut self.arena, range, batch.number) {
            self.arena.forget(silent);
            self.departed.push(silent);
            changes.push(Change::NodeVanished(NodeId(silent)));
        }
    }

    /// Where the kernel does not log releases: everything the function takes off the list is released.
    pub(super) fn conclude(&mut self, id: DeviceId, batch: &mut Batch, changes: &mut Changes) {
        self.form(id, batch, changes);
        while let Some(slot) = self.next_of(id, batch.number) {
            let marker = self
                .arena
                .get(slot)
                .is_some_and(|node| node.kind().is_marker());
            self.depart(id, slot);
            batch.released += u32::from(!marker);
            changes.push(Change::NodeReleased {
                node: NodeId(slot),
                concluded: true,
            });
        }
    }

    /// The node of this batch that is to be released next.
    fn next_of(&self, id: DeviceId, batch: u32) -> Option<u32> {
        let record = self.devices.get(id)?;
        self.arena
            .iter(&record.releasing)
            .rev()
            .find(|(_, node)| node.batch == batch)
            .map(|(slot, _)| slot)
    }

    pub(super) fn release(&mut self, reference: &NodeReference, changes: &mut Changes) {
        let Some(id) = self.subject(changes) else {
            return;
        };
        let task = self.now.task;
        let depth = self.tasks.innermost(&task, |frame| {
            frame.device == Some(id) && matches!(frame.work, Work::Release(_))
        });
        let slot = match depth.and_then(|depth| self.batch_at(&task, depth)) {
            Some((mut batch, entered)) => {
                self.form(id, &mut batch, changes);
                let slot = self.take_expected(id, batch.number, entered, reference, changes);
                let marker = self
                    .arena
                    .get(slot)
                    .is_some_and(|node| node.kind().is_marker());
                batch.released += u32::from(!marker);
                if let Some(frame) = depth.and_then(|depth| self.tasks.of_mut(&task).get_mut(depth))
                {
                    frame.work = Work::Release(batch);
                }
                slot
            }
            None => self.take_unframed(id, reference, changes),
        };
        changes.push(Change::NodeReleased {
            node: NodeId(slot),
            concluded: false,
        });
    }

    fn batch_at(&self, task: &Task, depth: usize) -> Option<(Batch, u64)> {
        let frame = self.tasks.of(task).get(depth)?;
        match frame.work {
            Work::Release(batch) => Some((batch, frame.sequence)),
            _ => None,
        }
    }

    /// Takes the node that `reference` names out of the batch, where it should be the next.
    fn take_expected(
        &mut self,
        id: DeviceId,
        batch: u32,
        entered: u64,
        reference: &NodeReference,
        changes: &mut Changes,
    ) -> u32 {
        while let Some(slot) = self.next_of(id, batch) {
            let Some(node) = self.arena.get(slot) else {
                break;
            };
            if self.fits(node, reference) {
                self.learn(slot, reference);
                self.depart(id, slot);
                return slot;
            }
            if node.sequence < entered {
                break;
            }
            // Added while the release began, and too late to be among what it releases.
            self.put_back(id, slot);
        }
        let found = self.find_node(id, reference);
        let expected = self
            .next_of(id, batch)
            .and_then(|slot| self.arena.get(slot))
            .map(|node| node.address);
        let kind = match (found, expected) {
            (Some(_), Some(expected)) => DesyncKind::Order {
                expected,
                found: reference.node,
            },
            _ => DesyncKind::UnknownNode(reference.node),
        };
        self.disagree(id, kind, changes);
        self.take_found(id, found, reference, changes)
    }

    /// A release that no function explains: it was not seen to be entered, or the source sees none.
    fn take_unframed(
        &mut self,
        id: DeviceId,
        reference: &NodeReference,
        changes: &mut Changes,
    ) -> u32 {
        self.watch_release(id, reference, changes);
        let found = self.find_node(id, reference);
        if self.facts.sees(Hook::ReleaseAll) && self.facts.sees(Hook::ReleaseGroup) {
            self.disagree(id, DesyncKind::OutsideRelease(reference.node), changes);
        } else if found.is_none() {
            self.disagree(id, DesyncKind::UnknownNode(reference.node), changes);
        }
        self.take_found(id, found, reference, changes)
    }

    fn take_found(
        &mut self,
        id: DeviceId,
        found: Option<u32>,
        reference: &NodeReference,
        changes: &mut Changes,
    ) -> u32 {
        let Some(slot) = found else {
            return self.unknown_node(id, reference);
        };
        self.learn(slot, reference);
        if let Some(silent) = self.depart(id, slot) {
            changes.push(Change::NodeVanished(NodeId(silent)));
        }
        slot
    }

    fn put_back(&mut self, id: DeviceId, slot: u32) {
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        self.arena.unlink(&mut record.releasing, slot);
        self.arena.link_by_sequence(&mut record.list, slot);
        if let Some(node) = self.arena.get_mut(slot) {
            node.batch = 0;
        }
    }

    /// A function that releases has returned, or must have: nothing of its batch may be left.
    pub(super) fn settle(
        &mut self,
        id: DeviceId,
        frame: &Frame,
        value: Option<i64>,
        inferred: bool,
        changes: &mut Changes,
    ) {
        let Work::Release(mut batch) = frame.work else {
            return;
        };
        self.form(id, &mut batch, changes);
        let mut missing = 0;
        while let Some(slot) = self.next_of(id, batch.number) {
            if self
                .arena
                .get(slot)
                .is_some_and(|node| node.sequence > frame.sequence)
            {
                self.put_back(id, slot);
                continue;
            }
            let marker = self
                .arena
                .get(slot)
                .is_some_and(|node| node.kind().is_marker());
            missing += u32::from(!marker);
            self.depart(id, slot);
            changes.push(Change::NodeVanished(NodeId(slot)));
        }
        if inferred {
            self.taint(id, Taint::MissedReturn, changes);
            return;
        }
        let told = value.filter(|value| *value >= 0);
        let agrees = told.is_none_or(|told| told == i64::from(batch.released));
        let Some(record) = self.devices.get(id) else {
            return;
        };
        if self.tainted_at(record).is_some() {
            let lost = self.last_loss() > Some(frame.sequence);
            let emptied = frame.hook == Hook::ReleaseAll && record.releasing.is_empty();
            if emptied
                && told.is_some()
                && agrees
                && !lost
                && self.facts.node_addresses != Addresses::Absent
            {
                self.clear(id, changes);
            }
        } else if missing > 0 {
            self.disagree(id, DesyncKind::NotReleased(missing), changes);
        } else if !agrees {
            if self.facts.concluded && record.last_added > frame.sequence {
                // An addition while the release began may have been among what it released.
                self.taint(id, Taint::Indistinct, changes);
                return;
            }
            let kind = DesyncKind::Count {
                told: told.unwrap_or_default(),
                seen: batch.released,
            };
            self.disagree(id, kind, changes);
        }
    }
}
