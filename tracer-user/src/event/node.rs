//! Devres nodes, as an event names them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Function, Text,
    hex::{self, hexadecimal},
};

hexadecimal! {
    /// The address of a `struct devres_node`. Addresses are reused within one probe.
    NodeAddress
}

hexadecimal! {
    /// The id of a devres group: what its opener passed, or the group's own address where that was NULL.
    GroupId
}

/// A node that is being added to a device's list, or that was found on it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct AddedNode {
    /// Its address.
    pub node: NodeAddress,
    /// The name that the kernel logs: the release function, the action's expression, `grp<` or `grp>`.
    /// On kernels that log no names it is the release function's symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Payload size in bytes as the kernel logs it; `None` where it keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The function that runs on release: the action where the node is an action, else the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Arc<Function>>,
    /// Whether it is known to be an action although its argument is unknown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub action: bool,
    /// The action's argument; zero if the node is none, or if it is unknown.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub action_data: u64,
    /// Where the payload begins; zero where not known.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub payload_address: u64,
    /// The first words of the payload.
    #[serde(with = "hex::words")]
    #[schemars(with = "[hex::Hexadecimal; 4]")]
    pub payload: [u64; 4],
    /// The group's id, for `grp<`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}

/// A node that was on a device's list, as REM, REL and REPLACE name it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeReference {
    /// Its address; zero if the source can't distinguish nodes.
    pub node: NodeAddress,
    /// The name that the kernel logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Payload size in bytes as the kernel logs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
