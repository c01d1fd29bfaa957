//! The group that some buses keep for all that a driver adds: they open it before the driver's probe, leave it open by
//! design, and release it when the driver's remove has returned.

use super::blame;
use crate::{
    event::Hook,
    model::{Device, Node},
};

/// Functions of buses that open such a group.
const OPENERS: [&str; 3] = ["i2c_device_probe", "hid_device_probe", "__hid_device_probe"];
/// Those buses.
const BUSES: [&str; 2] = ["i2c", "hid"];

/// Whether a group, by its opening marker, is the one that its device's bus keeps for the driver.
pub(super) fn is_of_bus(marker: &Node, device: Device<'_>) -> bool {
    if let Some(stack) = marker.stack() {
        return blame::caller(stack, Hook::OpenGroup.symbol())
            .is_some_and(|opener| blame::is_named(opener, |name| OPENERS.contains(&name)));
    }
    // Without a stack: the bus opens its group before the driver can have added anything.
    let began = device.pm_attached().unwrap_or(device.binding_sequence());
    let first = device.nodes().map(|(_, node)| node).find(|node| {
        let is_of_pins = node
            .name()
            .is_some_and(|name| &**name == "devm_pinctrl_release");
        node.sequence() > began && !is_of_pins
    });
    let bus = device.identity().bus.as_deref().unwrap_or_default();
    BUSES.contains(&bus) && first.is_some_and(|node| node.sequence() == marker.sequence())
}
