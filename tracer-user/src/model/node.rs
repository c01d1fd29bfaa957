//! One resource on a device's list.

use std::sync::Arc;

use super::{InstanceKey, Kind, State};
use crate::event::{Function, GroupId, Hook, NodeAddress, StackDefinition, Task, Text, Time};

/// Where the model has a node. What an event removed can still be looked at until the next event; after
/// that the id may stand for another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub(super) u32);

/// How the model came to know of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Its addition was seen.
    Seen,
    /// It was read from the kernel's memory.
    Snapshot,
    /// It was first named when it went.
    Unknown,
}

/// The frame around an addition: which device's probe, unbind or release was running on the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The function that was running.
    pub hook: Hook,
    /// The device it ran for.
    pub device: InstanceKey,
    /// That device's name.
    pub name: Option<Text>,
}

/// Stands for what nodes that come from the same place in the kernel have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SiteId(usize);

/// What nodes that come from the same place in the kernel have in common.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: Option<Text>,
    pub(super) function: Option<Arc<Function>>,
    pub(super) stack: Option<Arc<StackDefinition>>,
    pub(super) kind: Kind,
    /// Whether `devm_request_irq` added them.
    pub(super) is_interrupt: bool,
}

/// One resource on a device's list, or a marker of a group.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) address: NodeAddress,
    pub(super) sequence: u64,
    pub(super) added: Time,
    pub(super) size: u64,
    /// The action's argument, or the group's id for a marker.
    pub(super) data: u64,
    pub(super) payload_address: u64,
    pub(super) payload: Option<Box<[u64; 4]>>,
    pub(super) site: Arc<Site>,
    pub(super) task: Arc<Task>,
    pub(super) context: Option<Arc<Context>>,
    /// The slot of the device that owns it.
    pub(super) device: u32,
    pub(super) binding: u32,
    /// The release that has taken it off the list; zero while it is on it.
    pub(super) batch: u32,
    pub(super) phase: State,
    pub(super) origin: Origin,
    /// `devm_krealloc` moved it and its new address is not known yet.
    pub(super) moved: bool,
}

/// The size of a node for which the source reported none.
pub(super) const NO_SIZE: u64 = u64::MAX;

impl Node {
    /// Its address now; zero where not known.
    #[must_use]
    pub fn address(&self) -> NodeAddress {
        self.address
    }

    /// Its place in the order of everything seen: unique, and greater than that of whatever came before.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was added; for a node of a snapshot, when that was taken.
    #[must_use]
    pub fn added(&self) -> Time {
        self.added
    }

    /// The task that added it.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.site.kind
    }

    /// Whether it is what `devm_request_irq` adds, a `struct irq_devres`.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        self.site.is_interrupt
    }

    /// The name that the kernel logs.
    #[must_use]
    pub fn name(&self) -> Option<&Text> {
        self.site.name.as_ref()
    }

    /// Where in the kernel it comes from: the same for nodes of the same name, function and stack. It means
    /// something only as long as one of them lives.
    #[must_use]
    pub fn site(&self) -> SiteId {
        SiteId(std::ptr::from_ref(&*self.site).addr())
    }

    /// What runs on its release: the action where it is one.
    #[must_use]
    pub fn function(&self) -> Option<&Arc<Function>> {
        self.site.function.as_ref()
    }

    /// Payload size in bytes, as the kernel logs it.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        (self.size != NO_SIZE).then_some(self.size)
    }

    /// The action's argument; zero where it is no action.
    #[must_use]
    pub fn action_data(&self) -> u64 {
        if self.kind().is_marker() {
            0
        } else {
            self.data
        }
    }

    /// The id of the group of which this is a marker.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.kind().is_marker().then_some(GroupId(self.data))
    }

    /// Where its payload begins; zero where not known.
    #[must_use]
    pub fn payload_address(&self) -> u64 {
        self.payload_address
    }

    /// The first words of its payload when it was added; zeros where not known. Not kept for actions,
    /// whose payload is their function and argument.
    #[must_use]
    pub fn payload(&self) -> [u64; 4] {
        self.payload.as_deref().copied().unwrap_or_default()
    }

    /// The kernel stack of its addition.
    #[must_use]
    pub fn stack(&self) -> Option<&StackDefinition> {
        self.site.stack.as_deref()
    }

    /// A copy that outlives the node, without the words of its payload.
    #[must_use]
    pub fn outline(&self) -> Self {
        Self {
            payload: None,
            site: Arc::clone(&self.site),
            task: Arc::clone(&self.task),
            context: self.context.clone(),
            ..*self
        }
    }

    /// What the device was doing when it was added.
    #[must_use]
    pub fn phase(&self) -> State {
        self.phase
    }

    /// The binding in which it was added: how many probes of its device had been seen to begin.
    #[must_use]
    pub fn binding(&self) -> u32 {
        self.binding
    }

    /// What was running on the task that added it: the innermost probe, unbind or release, of any device.
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        self.context.as_deref()
    }

    /// How the model came to know of it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }
}
