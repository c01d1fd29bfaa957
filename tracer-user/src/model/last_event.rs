//! The last event of a device, as far as it takes to know it again.

use crate::event::{EventKind, Hook, NodeAddress, Time};

/// What an event does, as far as it takes to know it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Add(NodeAddress, Option<u64>),
    Remove(NodeAddress),
    Release(NodeAddress),
    Replace(NodeAddress),
    Enter(Hook),
    Leave(Hook),
}

impl Act {
    /// `None` for what has no place of its own in the order of a task: an interrupt comes in between.
    pub(super) fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Add(node) => Some(Self::Add(node.node, node.size)),
            EventKind::Remove(node) => Some(Self::Remove(node.node)),
            EventKind::Release(node) => Some(Self::Release(node.node)),
            EventKind::Replace(node) => Some(Self::Replace(node.node)),
            EventKind::Enter(call) if matches!(call.hook, Hook::IrqHandler | Hook::Free) => None,
            EventKind::Enter(call) => Some(Self::Enter(call.hook)),
            EventKind::Leave(returned) => Some(Self::Leave(returned.hook)),
            EventKind::Device(_)
            | EventKind::Stack(_)
            | EventKind::Snapshot(_)
            | EventKind::RemoveAction { .. }
            | EventKind::ModuleFree { .. }
            | EventKind::Message(_)
            | EventKind::Loss(_) => None,
        }
    }

    /// Whether the same again, with nothing of the device in between, is the same where no times say: an address
    /// that is added again for something of another size was removed meanwhile, unseen.
    pub(super) fn is_once(self) -> bool {
        match self {
            Self::Add(node, _) | Self::Remove(node) | Self::Release(node) | Self::Replace(node) => {
                node.0 != 0
            }
            Self::Enter(_) | Self::Leave(_) => false,
        }
    }
}

/// What was last seen of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) time: Time,
    pub(super) tid: u32,
    pub(super) act: Act,
}
