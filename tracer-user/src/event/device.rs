//! Devices, as an event names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AddedNode, Text,
    hex::{self, hexadecimal},
};

hexadecimal! {
    /// The address of a `struct device`. Addresses are reused: an instance is an address and a generation.
    DeviceAddress
}

impl DeviceAddress {
    /// No device.
    pub const NONE: Self = Self(0);
}

/// Who a device is: what `dev_name()`, `dev->driver`, `dev->bus` and `dev->parent` say at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeviceIdentity {
    /// `dev_name()`; `None` before the device has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The driver's name while one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Text>,
    /// The bus's name, or the class's where there is no bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<Text>,
    /// The parent device.
    pub parent: DeviceAddress,
}

/// The PM domain of a device: zero where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PmDomain {
    /// `dev->pm_domain`.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub domain: u64,
    /// `dev->pm_domain->detach`: without it `dev_pm_domain_detach()` does nothing.
    #[serde(with = "hex")]
    #[schemars(with = "hex::Hexadecimal")]
    pub detach: u64,
}

impl PmDomain {
    /// Whether `dev_pm_domain_detach()` would really detach something.
    #[must_use]
    pub const fn detaches(self) -> bool {
        self.domain != 0 && self.detach != 0
    }
}

/// What a device owned at one moment, read from the kernel's memory without its lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceSnapshot {
    /// Who the device is.
    pub identity: DeviceIdentity,
    /// Its nodes, oldest first, as they lay on `dev->devres_head`.
    pub nodes: Vec<AddedNode>,
    /// Its PM domain.
    pub pm: PmDomain,
    /// Whether the list was read whole and nothing touched it meanwhile.
    pub consistent: bool,
}
