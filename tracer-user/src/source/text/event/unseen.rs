//! Removals that a capture doesn't have.
//!
//! Kernels before 5.15 have no tracepoint, and a capture of `add_dr` alone has additions and no removals.
//! Two things show that a node was removed nevertheless: its address is added again, and fewer nodes are
//! released than were added. The first tells which node it was; pin control, which is set up and given back
//! on most probes, removes the block that it added before its node with it. The second tells only that
//! events are missing.

use hashbrown::HashMap;

use crate::event::{DeviceAddress, NodeAddress};

/// Nodes that were added and not released, as far as the capture tells.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Unseen {
    owners: HashMap<NodeAddress, Owned>,
    devices: HashMap<DeviceAddress, Devres>,
}

#[derive(Debug, Clone, Copy)]
struct Owned {
    device: DeviceAddress,
    /// The node that goes with it.
    block: Option<NodeAddress>,
}

#[derive(Debug, Default)]
struct Devres {
    nodes: Vec<NodeAddress>,
    markers: u64,
    /// A group was released, and what was in it is not known here.
    unknown: bool,
}

impl Unseen {
    /// A node is added. Returns the nodes that must have been removed before.
    pub(in crate::source::text) fn add(
        &mut self,
        device: DeviceAddress,
        node: NodeAddress,
        release: &str,
    ) -> Vec<(DeviceAddress, NodeAddress)> {
        let mut removed = Vec::new();
        if let Some(owned) = self.owners.remove(&node) {
            removed.push((owned.device, node));
            if let Some(block) = owned
                .block
                .filter(|block| self.owners.remove(block).is_some())
            {
                removed.push((owned.device, block));
            }
            if let Some(devres) = self.devices.get_mut(&owned.device) {
                devres
                    .nodes
                    .retain(|kept| !removed.iter().any(|(_, gone)| gone == kept));
            }
        }
        let devres = self.devices.entry(device).or_default();
        let block = (release == "devm_pinctrl_release")
            .then(|| devres.nodes.last().copied())
            .flatten();
        devres.nodes.push(node);
        devres.markers += u64::from(release.starts_with("group_"));
        self.owners.insert(node, Owned { device, block });
        removed
    }

    /// Everything of a device is released, and `count` nodes were. Returns how many removals were not seen.
    pub(in crate::source::text) fn release_all(
        &mut self,
        device: DeviceAddress,
        count: Option<u64>,
    ) -> u64 {
        let Some(devres) = self.devices.remove(&device) else {
            return 0;
        };
        let added = (devres.nodes.len() as u64).saturating_sub(devres.markers);
        for node in devres.nodes {
            self.owners.remove(&node);
        }
        match count {
            Some(count) if !devres.unknown => added.saturating_sub(count),
            _ => 0,
        }
    }

    /// A group of a device is released.
    pub(in crate::source::text) fn release_group(&mut self, device: DeviceAddress) {
        self.release_all(device, None);
        self.devices.entry(device).or_default().unknown = true;
    }

    /// A removal was seen after all.
    pub(in crate::source::text) fn remove(&mut self, node: NodeAddress) {
        if let Some(owned) = self.owners.remove(&node)
            && let Some(devres) = self.devices.get_mut(&owned.device)
        {
            devres.nodes.retain(|kept| *kept != node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceAddress = DeviceAddress(1);

    #[test]
    fn an_address_that_is_added_again_was_removed() {
        let mut unseen = Unseen::default();
        let nodes = [0x10, 0x20, 0x30].map(NodeAddress);
        assert_eq!(unseen.add(DEVICE, nodes[0], "devm_kmalloc_release"), []);
        assert_eq!(unseen.add(DEVICE, nodes[1], "devm_pinctrl_release"), []);
        assert_eq!(unseen.add(DEVICE, nodes[2], "devm_kmalloc_release"), []);
        let other = DeviceAddress(2);
        let removed = [(DEVICE, nodes[1]), (DEVICE, nodes[0])];
        assert_eq!(unseen.add(other, nodes[1], "devm_clk_release"), removed);
        assert_eq!(unseen.release_all(DEVICE, Some(1)), 0);
        assert_eq!(unseen.release_all(other, Some(1)), 0);
    }

    #[test]
    fn fewer_releases_than_additions_tell_of_removals() {
        let mut unseen = Unseen::default();
        for node in [0x10, 0x20, 0x30].map(NodeAddress) {
            unseen.add(DEVICE, node, "devm_kmalloc_release");
        }
        unseen.add(DEVICE, NodeAddress(0x40), "group_open_release");
        unseen.remove(NodeAddress(0x10));
        assert_eq!(unseen.release_all(DEVICE, Some(1)), 1);
        unseen.add(DEVICE, NodeAddress(0x10), "devm_kmalloc_release");
        unseen.release_group(DEVICE);
        assert_eq!(unseen.release_all(DEVICE, Some(0)), 0);
    }
}
