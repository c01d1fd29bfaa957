//! Which device a name or an address means at a place in the input.
//!
//! The tracepoint and the kernel's log know a device's name, function events its address and sometimes
//! its name. A device is called by its address where the input has it anywhere, and else by a small
//! number that stands for the name. Both names and addresses are used again, so what is learned holds
//! from where it is learned on; before that, the first thing that will be learned holds.

use hashbrown::HashMap;

use super::names::NameId;
use crate::event::DeviceAddress;

/// Devices that may begin before what held earlier is forgotten, where it can be.
const MOST_BEGUN: u32 = 4096;

/// What the input says about names and addresses.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Devices {
    /// For each name, from which record on it means which address.
    addresses: HashMap<NameId, Vec<(u32, u64)>>,
    /// For each address, from which record on it has which name; `None` where a device begins.
    names: HashMap<u64, Vec<(u32, Option<NameId>)>>,
    /// Devices that have begun since the last time that anything was forgotten.
    begun: u32,
    /// Names of devices that were seen before they had one.
    unnamed: HashMap<NameId, NameId>,
}

impl Devices {
    /// The input says at `record` that the device at `address` is called `name`.
    pub(in crate::source::text) fn learn(&mut self, record: u32, name: NameId, address: u64) {
        let addresses = self.addresses.entry(name).or_default();
        if addresses.last().is_none_or(|(_, last)| *last != address) {
            addresses.push((record, address));
        }
        let names = self.names.entry(address).or_default();
        if names.last().is_none_or(|(_, last)| *last != Some(name)) {
            names.push((record, Some(name)));
        }
    }

    /// A device begins at `address`: what was called so before is another one.
    pub(in crate::source::text) fn begin(&mut self, record: u32, address: u64) {
        self.names.entry(address).or_default().push((record, None));
        self.begun = self.begun.saturating_add(1);
    }

    /// The device called `name` is the one that was seen without a name as `unnamed`.
    pub(in crate::source::text) fn named(&mut self, unnamed: NameId, name: NameId) {
        self.unnamed.entry(name).or_insert(unnamed);
    }

    /// Whether the device at `address` has a name, as far as the input has reported until now.
    pub(in crate::source::text) fn has_name(&self, address: u64) -> bool {
        let names = self.names.get(&address).and_then(|names| names.last());
        names.is_some_and(|(_, name)| name.is_some())
    }

    /// Forgets what held only before what comes next, once that is worth the while.
    pub(in crate::source::text) fn forget(&mut self) {
        fn keep_last<T>(list: &mut Vec<T>) {
            list.drain(..list.len().saturating_sub(1));
        }
        if self.begun < MOST_BEGUN {
            return;
        }
        self.begun = 0;
        self.addresses.values_mut().for_each(keep_last);
        self.names.retain(|_, names| {
            keep_last(names);
            // One that has begun and has no name yet is as good as one of which nothing is known.
            names.iter().any(|(_, name)| name.is_some())
        });
    }

    /// Whether the input gives the address of a device with this name.
    pub(in crate::source::text) fn knows(&self, name: NameId) -> bool {
        self.addresses.contains_key(&name)
    }

    /// What stands for the device called `name` at `record`.
    pub(in crate::source::text) fn address(&self, name: NameId, record: u32) -> DeviceAddress {
        let Some(addresses) = self.addresses.get(&name) else {
            let stand_in = self.unnamed.get(&name).unwrap_or(&name);
            return DeviceAddress(u64::from(stand_in.number()));
        };
        let later = addresses.partition_point(|(from, _)| *from <= record);
        let found = addresses.get(later.saturating_sub(1));
        DeviceAddress(found.map_or(0, |(_, address)| *address))
    }

    /// The name of the device at `address` at `record`, if the input has it while that device lives.
    pub(in crate::source::text) fn name(&self, address: u64, record: u32) -> Option<NameId> {
        let names = self.names.get(&address)?;
        let later = names.partition_point(|(from, _)| *from <= record);
        let now = later.checked_sub(1).and_then(|now| names.get(now));
        match now {
            Some((_, Some(name))) => Some(*name),
            Some((_, None)) | None => names.get(later)?.1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::text::event::names::Names;

    #[test]
    fn names_and_addresses_hold_from_where_they_are_learned() {
        let mut names = Names::default();
        let (name, other) = (names.intern(b"0-0048"), names.intern(b"other"));
        let mut devices = Devices::default();
        devices.begin(5, 0x10);
        devices.learn(7, name, 0x10);
        devices.learn(8, name, 0x10);
        devices.learn(20, name, 0x20);
        devices.begin(30, 0x10);
        devices.learn(31, other, 0x10);

        for (record, address) in [(0, 0x10), (7, 0x10), (19, 0x10), (20, 0x20), (99, 0x20)] {
            assert_eq!(
                devices.address(name, record),
                DeviceAddress(address),
                "{record}"
            );
        }
        let known = [
            (0, None),
            (5, Some(name)),
            (29, Some(name)),
            (30, Some(other)),
            (40, Some(other)),
        ];
        for (record, name) in known {
            assert_eq!(devices.name(0x10, record), name, "{record}");
        }
        assert_eq!(devices.name(0x20, 0), Some(name));
        assert_eq!(devices.name(0x30, 0), None);

        for round in 50..50 + MOST_BEGUN {
            devices.begin(round, 0x20);
        }
        devices.forget();
        let next = 50 + MOST_BEGUN;
        assert_eq!(devices.name(0x10, next), Some(other));
        assert_eq!(devices.name(0x20, next), None);
        assert_eq!(devices.address(name, next), DeviceAddress(0x20));
        assert_eq!(devices.names.values().map(Vec::len).sum::<usize>(), 1);
    }

    #[test]
    fn a_name_without_address_is_a_number_of_its_own() {
        let mut names = Names::default();
        let (name, other) = (names.intern(b"a"), names.intern(b"b"));
        let unnamed = names.unnamed();
        let mut devices = Devices::default();
        assert_ne!(devices.address(name, 0), devices.address(other, 0));
        devices.named(unnamed, name);
        assert_eq!(devices.address(name, 0), devices.address(unnamed, 9));
        assert!(!devices.knows(name));
    }
}
