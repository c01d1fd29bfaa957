//! What the payloads of resources point to: it says whose they are where nobody saw them added.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::{
    event::DeviceAddress,
    finding::label,
    model::{Kind, Model, Node},
};

/// Addresses of the kernel lie in the upper half of what a word can hold.
const KERNEL: u64 = 1 << 63;

/// The words of a node that may point to what it is about, the likeliest first: an action's argument, else the first
/// words of the payload.
#[must_use]
pub(super) fn pointers(node: &Node) -> Vec<u64> {
    let words = match node.kind() {
        kind if kind.is_marker() => return Vec::new(),
        Kind::Action(_) => vec![node.action_data()],
        _ => node.payload().to_vec(),
    };
    words.into_iter().filter(|word| *word >= KERNEL).collect()
}

/// What is known by its address.
#[derive(Debug, Default)]
pub struct Targets {
    devices: HashMap<DeviceAddress, String>,
    /// Managed memory: where it begins, how large it is, and what to call it.
    blocks: BTreeMap<u64, (u64, DeviceAddress, String)>,
    variables: BTreeMap<u64, String>,
}

impl Targets {
    /// The devices and the managed memory that the model knows.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let mut targets = Self::default();
        for device in model.devices() {
            let address = device.key().address;
            let Some(name) = device.identity().name.as_deref() else {
                continue;
            };
            targets.devices.insert(address, name.to_owned());
            for node in device.resources() {
                let (Kind::Memory, Some(size)) = (node.kind(), node.size()) else {
                    continue;
                };
                if node.payload_address() != 0 {
                    let what = format!("{} ({size} bytes)", label(node));
                    let block = (size, address, what);
                    targets.blocks.insert(node.payload_address(), block);
                }
            }
        }
        targets
    }

    /// Variables of the kernel and its modules, by the pointers into them.
    pub fn add_variables(&mut self, variables: BTreeMap<u64, String>) {
        self.variables.extend(variables);
    }

    /// Those of the pointers that nothing is known of.
    #[must_use]
    pub fn unknown(&self, pointers: impl Iterator<Item = u64>) -> BTreeSet<u64> {
        let is_known = |pointer: &u64| {
            self.devices.contains_key(&DeviceAddress(*pointer)) || self.block(*pointer).is_some()
        };
        pointers.filter(|pointer| !is_known(pointer)).collect()
    }

    fn block(&self, pointer: u64) -> Option<&(u64, DeviceAddress, String)> {
        let (begin, block) = self.blocks.range(..=pointer).next_back()?;
        (pointer - begin < block.0).then_some(block)
    }

    /// What the first of the pointers that leads anywhere points to. A variable comes first, because it names a module;
    /// the `owner` itself is no news.
    pub(super) fn named(&self, pointers: &[u64], owner: DeviceAddress) -> Option<String> {
        let variable = |pointer: &u64| self.variables.get(pointer).cloned();
        let other = |pointer: &u64| self.device_or_block(*pointer, owner);
        let variable = pointers.iter().find_map(variable);
        variable.or_else(|| pointers.iter().find_map(other))
    }

    fn device_or_block(&self, pointer: u64, owner: DeviceAddress) -> Option<String> {
        if let Some(name) = self.devices.get(&DeviceAddress(pointer)) {
            return (pointer != owner.0).then(|| format!("device {name}"));
        }
        let (_, of, what) = self.block(pointer)?;
        match self.devices.get(of) {
            Some(name) if *of != owner => Some(format!("{what} of {name}")),
            _ => Some(what.clone()),
        }
    }
}
