//! Pointers that resources hold: what an action is called with, an interrupt's `dev_id`.

use super::interrupt;
use crate::{
    evidence::Addresses,
    model::{DeviceId, Model, NodeId},
};

/// Below this no memory is.
const FIRST_POINTER: u64 = 1 << 16;

/// Who has a pointer: the node by its place in the order of everything seen, and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    pub(super) sequence: u64,
    pub(super) device: DeviceId,
}

/// The pointer that a node holds.
pub(super) fn held(id: NodeId, model: &Model) -> Option<(u64, Holder)> {
    let node = model.node(id)?;
    let pointer = match interrupt::of(node) {
        Some((_, dev_id)) => dev_id,
        None => node.action_data(),
    };
    if pointer < FIRST_POINTER || model.coverage().node_addresses != Addresses::Real {
        return None;
    }
    let holder = Holder {
        sequence: node.sequence(),
        device: model.owner(node)?.id(),
    };
    Some((pointer, holder))
}
