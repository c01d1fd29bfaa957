//! `devm_krealloc`: a block moves, and its node keeps its place.

use std::sync::Arc;

use super::{
    Change, Changes, DesyncKind, DeviceId, Model, NodeId,
    frames::{NodeMark, Work},
    node::NO_SIZE,
    nodes::KREALLOC,
    share::SiteKey,
};
use crate::event::{Hook, NodeAddress, NodeReference, Text};

impl Model {
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

    /// A node's block is replaced: until reported, nothing is known of the new one but its place.
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
        // Where replacements are not logged, the old block says which node it was.
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
