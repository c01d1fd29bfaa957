//! What an event changed.

use std::fmt;

use smallvec::SmallVec;

use super::{DeviceId, InstanceKey, NodeId, SiteId, Taint, bit};
use crate::event::{
    GroupId, Hook, Loss, Message, ModuleCode, NodeAddress, PmDomain, StackId, Text, Time,
};

/// What one event changed, in order. Empty or one entry most of the time.
pub type Changes = SmallVec<[Change; 2]>;

/// One thing that an event changed.
///
/// The ids in it can be looked up in the model until the next event, also those of what has gone.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A device was named for the first time that the source did not see begin.
    DeviceSeen(DeviceId),
    /// `device_initialize`: a device instance began.
    DeviceBegan(DeviceId),
    /// A device's name, driver, bus or parent became known or changed.
    DeviceNamed(DeviceId),
    /// `device_del` was entered.
    DeviceDeleted(DeviceId),
    /// A device instance ended. What it still owned is still on its list.
    DeviceGone {
        /// Which.
        device: DeviceId,
        /// Whether its last put was seen, or only that its address is used for a new device.
        seen: bool,
    },
    /// `really_probe` was entered: a new binding began.
    BindingBegan(DeviceId),
    /// `driver_bound`: the probe succeeded.
    Bound(DeviceId),
    /// A binding ended: its resources have been released, after unbind or a failed probe.
    BindingEnded {
        /// Of which device.
        device: DeviceId,
        /// Whether the device had been bound; otherwise its probe failed.
        was_bound: bool,
    },
    /// A node was added.
    NodeAdded(NodeId),
    /// A node was taken off the list by REM; whether its release runs is not said.
    NodeRemoved(NodeId),
    /// A node's release is about to run.
    NodeReleased {
        /// Which.
        node: NodeId,
        /// Whether the model concluded it because the kernel doesn't say: the release then runs
        /// somewhen between this event and the return of the function that was entered.
        concluded: bool,
    },
    /// `devm_krealloc` replaced a block: the node keeps its place, and loses its name and size until they are reported.
    NodeReplaced {
        /// Which.
        node: NodeId,
        /// Its address until now.
        before: NodeAddress,
        /// Where its payload was; zero where not known.
        payload: u64,
        /// How large its payload was, where known.
        size: Option<u64>,
        /// What stood for where it comes from until now: the kernel gives the new block another name.
        site: SiteId,
    },
    /// The new address of a replaced node is known.
    NodeMoved(NodeId),
    /// A node went without a word: a marker of a group that the kernel unlinks silently, or a node whose
    /// end was lost.
    NodeVanished(NodeId),
    /// A function was entered.
    Entered(Entered),
    /// A function returned.
    Left(Left),
    /// A module's memory is about to be given back.
    ModuleFreed {
        /// The module's name.
        module: Text,
        /// Where its code was, if known.
        code: Option<ModuleCode>,
    },
    /// The kernel itself reported devres in its log.
    KernelMessage {
        /// Of which device, where it is known.
        device: Option<DeviceId>,
        /// What.
        message: Box<Message>,
    },
    /// What a device owned was read from the kernel's memory.
    SnapshotTaken(DeviceId),
    /// Something about a device may be missing from here on.
    Tainted {
        /// Of which device.
        device: DeviceId,
        /// Why.
        reason: Taint,
        /// It was so for the same reason already.
        again: bool,
    },
    /// Everything about the device is known again.
    Cleared(DeviceId),
    /// Events were lost: every device is tainted.
    Lost(Loss),
    /// The model and the kernel disagree (DR900): a fault of the tracer, never one of the kernel.
    Desynced(Box<Desync>),
}

/// A function that was entered.
#[derive(Debug, Clone, PartialEq)]
pub struct Entered {
    /// Which.
    pub hook: Hook,
    /// For which device; `None` where it has none.
    pub device: Option<DeviceId>,
    /// What is known of its arguments.
    pub detail: Detail,
}

/// What is known of a function's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// The device's PM domain.
    Pm(PmDomain),
    /// A group function.
    Group {
        /// The id it was called with; zero for NULL.
        id: GroupId,
        /// The opening marker of the group that the kernel selects for it.
        selected: Option<NodeId>,
        /// Whether that group is closed.
        closed: bool,
    },
    /// The name of a clock or regulator, or what something that is registered is known by.
    Supply(Text),
    /// Where memory begins that is freed.
    Memory(u64),
    /// `free_irq`, or a handler's run.
    Irq {
        /// The interrupt's number.
        number: u32,
        /// What the handler is called with.
        dev_id: u64,
    },
}

/// A function that returned.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Which.
    pub hook: Hook,
    /// For which device; `None` where it has none.
    pub device: Option<DeviceId>,
    /// When it was entered.
    pub entered: Time,
    /// The place of its entry in the order of everything seen; zero where that was not seen.
    pub sequence: u64,
    /// The stack of its entry, if one was taken.
    pub stack: Option<StackId>,
    /// Its return value, where seen.
    pub value: Option<i64>,
    /// The device's PM domain on return, where seen.
    pub pm: Option<PmDomain>,
    /// Its return was not seen; it must have happened.
    pub inferred: bool,
    /// The hooks of functions that were entered for the same device while it ran, as bits.
    pub(super) inside: u64,
}

impl Left {
    /// Whether this function was seen to be entered for the same device while it ran.
    #[must_use]
    pub fn called(&self, hook: Hook) -> bool {
        self.inside & bit(hook) != 0
    }

    /// The error with which `really_probe` failed, negative: it returns a driver's or a bus's error as a positive
    /// number, and one from before it called them as it is. `None` where it returned none, as old kernels do
    /// whatever the driver returned.
    #[must_use]
    pub fn probe_error(&self) -> Option<i64> {
        self.value
            .filter(|value| *value != 0)
            .map(|value| -value.saturating_abs())
    }
}

/// A disagreement between the model and the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desync {
    /// When it showed.
    pub time: Time,
    /// On which device.
    pub device: InstanceKey,
    /// That device's name.
    pub name: Option<Text>,
    /// What disagreed.
    pub kind: DesyncKind,
}

/// What disagreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesyncKind {
    /// A release came out of the order in which the model has the list.
    Order {
        /// The node that should have come.
        expected: NodeAddress,
        /// The node that came.
        found: NodeAddress,
    },
    /// The release function returned before these nodes had been released.
    NotReleased(u32),
    /// The release function returned another count than was released.
    Count {
        /// What it returned.
        told: i64,
        /// What was released.
        seen: u32,
    },
    /// A node went that the model doesn't have.
    UnknownNode(NodeAddress),
    /// A node was added that is on the list already.
    AddedTwice(NodeAddress),
    /// A release came outside of any function that releases.
    OutsideRelease(NodeAddress),
    /// A group was closed that the model doesn't have.
    UnknownGroup(NodeAddress),
}

impl fmt::Display for DesyncKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { expected, found } => write!(
                formatter,
                "{found} was released where {expected} was expected"
            ),
            Self::NotReleased(count) => write!(
                formatter,
                "{count} resources should have been released and were not"
            ),
            Self::Count { told, seen } => write!(
                formatter,
                "the kernel counted {told} releases, the model {seen}"
            ),
            Self::UnknownNode(node) => write!(
                formatter,
                "{node} was released or removed, and its addition was not seen"
            ),
            Self::AddedTwice(node) => write!(formatter, "{node} was added twice"),
            Self::OutsideRelease(node) => {
                write!(
                    formatter,
                    "{node} was released outside of every function seen"
                )
            }
            Self::UnknownGroup(node) => {
                write!(formatter, "{node} closes a group that was never opened")
            }
        }
    }
}
