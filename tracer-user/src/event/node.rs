//! Devres nodes, as an event names them.

use std::{fmt, sync::Arc};

use super::{Function, Text};

/// The address of a `struct devres_node`. Addresses are reused within one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeAddress(pub u64);

impl fmt::Display for NodeAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

/// The id of a devres group: what its opener passed, or the group's own address where that was NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupId(pub u64);

/// A node that is being added to a device's list, or that was found on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AddedNode {
    /// Its address.
    pub node: NodeAddress,
    /// The name that the kernel logs: the release function, the action's expression, `grp<` or `grp>`.
    /// On kernels that log no names it is the release function's symbol.
    pub name: Option<Text>,
    /// Payload size in bytes as the kernel logs it; `None` where it keeps none.
    pub size: Option<u64>,
    /// The function that runs on release: the action where the node is an action, else the release.
    pub function: Option<Arc<Function>>,
    /// The action's argument; zero where the node is none.
    pub action_data: u64,
    /// Where the payload begins; zero where not known.
    pub payload_address: u64,
    /// The first words of the payload.
    pub payload: [u64; 4],
    /// The group's id, for `grp<`.
    pub group: Option<GroupId>,
}

/// A node that was on a device's list, as REM, REL and REPLACE name it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeReference {
    /// Its address; zero where the source does not tell nodes apart.
    pub node: NodeAddress,
    /// The name that the kernel logs.
    pub name: Option<Text>,
    /// Payload size in bytes as the kernel logs it.
    pub size: Option<u64>,
}
