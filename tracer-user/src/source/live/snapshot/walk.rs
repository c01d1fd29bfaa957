//! The walk along the device set.

use std::collections::{HashMap, HashSet};

use tracer_ebpf::Layout;

use super::memory::{Memory, Unreadable};
use crate::{
    event::{DeviceAddress, DeviceIdentity, PmDomain, Text, Time},
    kernel::DeviceSetLayout,
};

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The set's address could not be found out.
    #[error("the kernel's set of devices can't be found: {0}")]
    NoDeviceSet(String),
    /// The memory reader could not be loaded.
    #[error("kernel memory can't be read: {0}")]
    NoMemory(String),
    /// The very beginning of the set can't be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// A device as it was found.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::live) struct Found {
    /// Its address.
    pub device: DeviceAddress,
    /// Who it is.
    pub identity: DeviceIdentity,
    /// Its PM domain.
    pub pm: PmDomain,
    /// Its nodes, oldest first.
    pub nodes: Vec<FoundNode>,
    /// Whether the list was read twice and was the same, to its end.
    pub consistent: bool,
    /// When the reading of this device began and ended.
    pub read: (Time, Time),
}

/// A devres node as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::live) struct FoundNode {
    /// Its address.
    pub node: u64,
    /// Its name, on kernels that keep it.
    pub name: Option<Text>,
    /// Its size, on kernels that keep it.
    pub size: u64,
    /// `node->release`.
    pub release: u64,
    /// The two words behind the node.
    pub behind: [u64; 2],
    /// The first words of the payload; for an opening group marker the group's id is the first.
    pub payload: [u64; 4],
}

/// The memory of a `struct device`.
struct DeviceBytes {
    device: DeviceAddress,
    bytes: Vec<u8>,
}

impl DeviceBytes {
    /// The word at this offset.
    fn member(&self, offset: u32) -> Result<u64, Unreadable> {
        let at = offset as usize;
        self.bytes
            .get(at..at + 8)
            .and_then(|word| word.try_into().ok())
            .map(u64::from_ne_bytes)
            .ok_or(Unreadable(self.device.0.wrapping_add(u64::from(offset))))
    }
}

/// More devices than any machine has: a list that is longer goes in a circle.
const MOST_DEVICES: usize = 1 << 18;
/// More resources than any device has.
const MOST_NODES: usize = 1 << 20;
/// Bytes of a node that are read at once: the node itself and what is known to lie behind it.
const NODE_BYTES: usize = 168;
/// How often an inconsistent list is read again.
const TRIES: u32 = 3;

/// A walk along the device set.
pub(in crate::source::live) struct Walk<'kernel, M> {
    memory: M,
    layout: &'kernel Layout,
    set: &'kernel DeviceSetLayout,
    clock: fn() -> Time,
    strings: HashMap<u64, Option<Text>>,
}

impl<'kernel, M: Memory> Walk<'kernel, M> {
    /// A walk with these offsets; `clock` is the clock that events are timed with.
    pub(in crate::source::live) fn new(
        memory: M,
        layout: &'kernel Layout,
        set: &'kernel DeviceSetLayout,
        clock: fn() -> Time,
    ) -> Self {
        Self {
            memory,
            layout,
            set,
            clock,
            strings: HashMap::new(),
        }
    }

    /// Reads every device in the set at this address.
    ///
    /// The second value is whether the set was followed to its end.
    pub(in crate::source::live) fn devices(
        &mut self,
        set: u64,
    ) -> Result<(Vec<Found>, bool), SnapshotError> {
        let head = set.wrapping_add(self.set.set_list as u64);
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut entry = self.memory.word(head)?;
        while entry != head {
            let device = entry.wrapping_sub(self.set.device_entry as u64);
            // Read before the device itself: a device that goes away takes its link with it.
            let next = self.memory.word(entry);
            if !seen.insert(device) || found.len() >= MOST_DEVICES {
                return Ok((found, false));
            }
            if let Ok(device) = self.device(DeviceAddress(device)) {
                found.push(device);
            }
            match next {
                Ok(next) => entry = next,
                Err(_) => return Ok((found, false)),
            }
        }
        Ok((found, true))
    }

    /// Reads one device.
    pub(in crate::source::live) fn device(
        &mut self,
        device: DeviceAddress,
    ) -> Result<Found, Unreadable> {
        let mut last = self.device_once(device)?;
        for _ in 0..TRIES {
            let again = self.device_once(device)?;
            let same = last.consistent
                && again.consistent
                && last.nodes == again.nodes
                && last.identity.driver == again.identity.driver;
            let read = (last.read.0, again.read.1);
            if same {
                return Ok(Found { read, ..again });
            }
            last = again;
        }
        Ok(Found {
            consistent: false,
            ..last
        })
    }

    /// Reads who a device is.
    pub(in crate::source::live) fn identity(
        &mut self,
        device: DeviceAddress,
    ) -> Result<DeviceIdentity, Unreadable> {
        let bytes = self.bytes(device)?;
        self.identity_in(&bytes)
    }

    fn bytes(&mut self, device: DeviceAddress) -> Result<DeviceBytes, Unreadable> {
        let mut bytes = vec![0; self.set.device_size];
        self.memory.read(device.0, &mut bytes)?;
        Ok(DeviceBytes { device, bytes })
    }

    fn identity_in(&mut self, bytes: &DeviceBytes) -> Result<DeviceIdentity, Unreadable> {
        let init_name = bytes.member(self.layout.device_init_name)?;
        let name = if init_name == 0 {
            bytes.member(self.layout.device_name)?
        } else {
            init_name
        };
        let driver = bytes.member(self.layout.device_driver)?;
        let bus = bytes.member(self.layout.device_bus)?;
        let class = bytes.member(self.layout.device_class)?;
        // A device's name can change, so it is read each time; the others are constant.
        Ok(DeviceIdentity {
            name: self.fresh_string(name),
            driver: self.named(driver, self.layout.driver_name),
            bus: if bus == 0 {
                self.named(class, self.layout.class_name)
            } else {
                self.named(bus, self.layout.bus_name)
            },
            parent: DeviceAddress(bytes.member(self.layout.device_parent)?),
        })
    }

    fn device_once(&mut self, device: DeviceAddress) -> Result<Found, Unreadable> {
        let began = (self.clock)();
        let bytes = self.bytes(device)?;
        let identity = self.identity_in(&bytes)?;
        let pm_domain = bytes.member(self.layout.device_pm_domain)?;
        let first = bytes.member(self.layout.device_devres_head)?;
        let detach = if pm_domain == 0 {
            0
        } else {
            self.memory
                .word(pm_domain.wrapping_add(u64::from(self.layout.pm_domain_detach)))
                .unwrap_or(0)
        };
        let head = device
            .0
            .wrapping_add(u64::from(self.layout.device_devres_head));
        let (nodes, consistent) = self.nodes(head, first);
        Ok(Found {
            device,
            identity,
            pm: PmDomain {
                domain: pm_domain,
                detach,
            },
            nodes,
            consistent,
            read: (began, (self.clock)()),
        })
    }

    /// Follows a device's list from its first link; the second value is whether it led back to the head.
    fn nodes(&mut self, head: u64, first: u64) -> (Vec<FoundNode>, bool) {
        let mut nodes = Vec::new();
        let mut entry = first;
        // A list head of zeros belongs to a device that has not been initialised.
        while entry != head && entry != 0 {
            let node = entry.wrapping_sub(self.set.node_entry as u64);
            if nodes.len() >= MOST_NODES {
                return (nodes, false);
            }
            match self.node(node) {
                Ok((found, next)) => {
                    nodes.push(found);
                    entry = next;
                }
                Err(_) => return (nodes, false),
            }
        }
        (nodes, true)
    }

    /// One node, and the link to the next.
    fn node(&mut self, node: u64) -> Result<(FoundNode, u64), Unreadable> {
        let mut bytes = [0; NODE_BYTES];
        self.memory.read(node, &mut bytes)?;
        let word = |at: usize| {
            let word = bytes
                .get(at..at + 8)
                .and_then(|word| word.try_into().ok())
                .map(u64::from_ne_bytes);
            word.unwrap_or(0)
        };
        let name = match self.set.node_name.map(word) {
            None | Some(0) => None,
            Some(name) => self.string(name),
        };
        let behind = self.layout.node_size as usize;
        let is_group = name.as_deref() == Some("grp<");
        // Without names a group is recognised later, by its release function: the id is kept for that.
        let payload = if is_group {
            self.layout.group_id
        } else {
            self.layout.payload
        } as usize;
        let found = FoundNode {
            node,
            name,
            size: self.set.node_size.map_or(0, word),
            release: word(self.layout.node_release as usize),
            behind: [word(behind), word(behind.wrapping_add(8))],
            payload: [
                word(payload),
                word(payload.wrapping_add(8)),
                word(payload.wrapping_add(16)),
                word(payload.wrapping_add(24)),
            ],
        };
        Ok((found, word(self.set.node_entry)))
    }

    fn named(&mut self, structure: u64, member: u32) -> Option<Text> {
        if structure == 0 {
            return None;
        }
        let name = self
            .memory
            .word(structure.wrapping_add(u64::from(member)))
            .ok()?;
        self.string(name)
    }

    /// A string that stays what it is.
    fn string(&mut self, address: u64) -> Option<Text> {
        if let Some(known) = self.strings.get(&address) {
            return known.clone();
        }
        let string = self.fresh_string(address);
        self.strings.insert(address, string.clone());
        string
    }

    fn fresh_string(&mut self, address: u64) -> Option<Text> {
        if address == 0 {
            return None;
        }
        // In steps that don't cross a page: the next one may not be there.
        let mut string = Vec::new();
        let mut at = address;
        while string.len() < 64 {
            let step = (32 - at % 32).min(64 - string.len() as u64);
            let mut bytes = vec![0; usize::try_from(step).ok()?];
            self.memory.read(at, &mut bytes).ok()?;
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                string.extend_from_slice(&bytes[..end]);
                break;
            }
            string.extend_from_slice(&bytes);
            at = at.wrapping_add(step);
        }
        (!string.is_empty()).then(|| String::from_utf8_lossy(&string).into())
    }
}
