//! drivers/base/devres.c in plain lists, logging as the kernel does: what the model is compared with.

mod groups;

use std::collections::BTreeMap;

use devres_tracer::event::{CallDetail, EventKind, Hook, NodeAddress, PmDomain, Return};

use super::{DOMAIN, Dev, NO_DOMAIN, Story, added, reference};

/// Bytes from one allocation to the next.
const SPACING: u64 = 0x100;
/// From a group's `grp<` to its `grp>`.
const CLOSING: u64 = 0x28;

/// What a node's release does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callback {
    Nothing,
    /// Adds a node to the same device.
    Adds,
    /// Adds a node and removes it again.
    AddsAndRemoves,
    /// Opens a group with id NULL and leaves it open.
    OpensGroup,
    /// Releases the newest open group.
    ReleasesGroup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Node(u64),
    Open(usize),
    Close(usize),
}

#[derive(Debug, Clone, Copy)]
struct Group {
    address: u64,
    id: u64,
    closed: bool,
}

#[derive(Debug, Clone)]
struct Node {
    name: &'static str,
    size: u64,
    callback: Callback,
    /// Added after its binding's PM domain was attached.
    after_attach: bool,
}

#[derive(Debug, Default)]
struct Device {
    list: Vec<Item>,
    bound: bool,
}

/// What the kernel has on a device's list, and which groups, when `events` events had been reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) events: usize,
    pub(crate) device: Dev,
    pub(crate) list: Vec<u64>,
    pub(crate) groups: Vec<(u64, bool)>,
}

/// Two devices and their resources.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) story: Story,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Detaches with resources live that were released after.
    pub(crate) inversions: usize,
    devices: BTreeMap<u64, Device>,
    nodes: BTreeMap<u64, Node>,
    groups: Vec<Group>,
    freed: Vec<u64>,
    next: u64,
    /// Whether releases are logged (6.1 and later) or not (5.10).
    logs: bool,
    /// Whether buses detach the PM domain before the resources are released.
    inverted: bool,
    depth: usize,
    /// Whether others have added nodes while a release began: until it ends, nobody who only sees the
    /// events can say which of them it takes.
    disturbed: bool,
}

impl Kernel {
    pub(crate) fn new(logs: bool, inverted: bool) -> Self {
        Self {
            story: Story::new(),
            checkpoints: Vec::new(),
            inversions: 0,
            devices: BTreeMap::new(),
            nodes: BTreeMap::new(),
            groups: Vec::new(),
            freed: Vec::new(),
            next: 0xff11_0000_0000_0000,
            logs,
            inverted,
            depth: 0,
            disturbed: false,
        }
    }

    fn allocate(&mut self) -> u64 {
        // The allocator hands out what was freed last.
        self.freed.pop().unwrap_or_else(|| {
            self.next += SPACING;
            self.next
        })
    }

    fn device(&mut self, device: Dev) -> &mut Device {
        self.devices.entry(device.0).or_default()
    }

    fn address(&self, item: Item) -> u64 {
        match item {
            Item::Node(address) => address,
            Item::Open(group) => self.groups[group].address,
            Item::Close(group) => self.groups[group].address + CLOSING,
        }
    }

    fn check_amid(&mut self, device: Dev) {
        if !self.disturbed {
            self.check(device);
        }
    }

    pub(crate) fn check(&mut self, device: Dev) {
        let list: Vec<Item> = self.device(device).list.clone();
        let groups = list
            .iter()
            .filter_map(|item| match item {
                Item::Open(group) => Some((self.groups[*group].id, self.groups[*group].closed)),
                _ => None,
            })
            .collect();
        self.checkpoints.push(Checkpoint {
            events: self.story.events.len(),
            device,
            list: list.iter().map(|item| self.address(*item)).collect(),
            groups,
        });
    }

    pub(crate) fn begin(&mut self, device: Dev, name: &str) {
        self.story
            .enter(device, Hook::Initialise)
            .named(device, name, "platform", name);
    }

    pub(crate) fn add(&mut self, device: Dev, callback: Callback, after_attach: bool) -> u64 {
        let address = self.allocate();
        let memory = address & SPACING == 0 && callback == Callback::Nothing;
        let (name, size) = if memory {
            ("devm_kzalloc_release", 40)
        } else {
            ("devm_irq_release", 16)
        };
        let node = Node {
            name,
            size,
            callback,
            after_attach,
        };
        self.nodes.insert(address, node);
        let block = self.newest_block(device);
        self.device(device).list.push(Item::Node(address));
        let mut event = added(address, name, size);
        event.payload_address = address + 40;
        if !memory {
            // An interrupt's handler uses the newest block of memory, if there is one.
            event.payload = [17, block.map_or(0, |block| block + 48), 0, 0];
        }
        self.story.push(device, EventKind::Add(event));
        address
    }

    /// Takes the `choice`th node off the list (`devres_remove`).
    pub(crate) fn remove(&mut self, device: Dev, choice: usize) {
        let nodes: Vec<u64> = self.plain_nodes(device);
        if let Some(address) = pick(&nodes, choice) {
            self.remove_node(device, address);
        }
    }

    fn newest_block(&mut self, device: Dev) -> Option<u64> {
        let nodes = self.plain_nodes(device);
        let mut blocks = nodes.into_iter().rev();
        blocks.find(|node| self.nodes[node].name.starts_with("devm_k"))
    }

    /// Takes the newest node off the list, as a driver does that gives up what it has acquired last.
    pub(crate) fn remove_newest(&mut self, device: Dev) {
        if let Some(address) = self.plain_nodes(device).last() {
            self.remove_node(device, *address);
        }
    }

    pub(crate) fn is_bound(&mut self, device: Dev) -> bool {
        self.device(device).bound
    }

    fn plain_nodes(&mut self, device: Dev) -> Vec<u64> {
        self.device(device)
            .list
            .iter()
            .filter_map(|item| match item {
                Item::Node(address) => Some(*address),
                _ => None,
            })
            .collect()
    }

    fn remove_node(&mut self, device: Dev, address: u64) {
        self.device(device)
            .list
            .retain(|item| *item != Item::Node(address));
        let node = self.nodes.remove(&address).unwrap();
        self.story.rem(device, address, node.name, node.size);
        self.freed.push(address);
    }

    pub(crate) fn krealloc(&mut self, device: Dev, choice: usize) {
        let mut nodes = self.plain_nodes(device);
        nodes.retain(|address| self.nodes[address].name.starts_with("devm_k"));
        let Some(before) = pick(&nodes, choice) else {
            return;
        };
        let after = self.allocate();
        self.story
            .call(device, Hook::Krealloc, CallDetail::Pointer(before + 40));
        let old = self.nodes.remove(&before).unwrap();
        if self.logs {
            self.story.push(
                device,
                EventKind::Replace(reference(before, old.name, old.size)),
            );
        }
        for item in &mut self.device(device).list {
            if *item == Item::Node(before) {
                *item = Item::Node(after);
            }
        }
        self.nodes.insert(
            after,
            Node {
                name: "devm_krealloc_release",
                size: 4000,
                ..old
            },
        );
        self.freed.push(before);
        let returned = Return {
            hook: Hook::Krealloc,
            value: Some(1),
            pm: None,
            node: Some(NodeAddress(after)),
        };
        self.story.push(device, EventKind::Leave(returned));
    }

    /// A probe that adds `count` nodes after the PM domain was attached.
    pub(crate) fn probe(&mut self, device: Dev, count: usize) {
        if self.device(device).bound || !self.device(device).list.is_empty() {
            return;
        }
        self.device(device).bound = true;
        self.story.enter(device, Hook::Probe);
        let block = self.add(device, Callback::Nothing, false);
        let pinctrl = self.add(device, Callback::Nothing, false);
        self.remove_node(device, pinctrl);
        self.remove_node(device, block);
        self.story.pm(device, Hook::PmAttach, NO_DOMAIN);
        self.pm_returned(device, Hook::PmAttach, DOMAIN);
        for _ in 0..count {
            self.add(device, Callback::Nothing, true);
        }
        let bound = i64::from(!self.logs);
        self.story
            .enter(device, Hook::Bound)
            .returned(device, Hook::Probe, Some(bound));
    }

    fn pm_returned(&mut self, device: Dev, hook: Hook, pm: PmDomain) {
        let returned = Return {
            hook,
            value: Some(0),
            pm: Some(pm),
            node: None,
        };
        self.story.push(device, EventKind::Leave(returned));
    }

    pub(crate) fn unbind(&mut self, device: Dev) {
        if !std::mem::take(&mut self.device(device).bound) {
            return;
        }
        self.story.enter(device, Hook::Unbind);
        if self.logs {
            self.story.enter(device, Hook::Remove);
        }
        if self.inverted {
            let live = self.plain_nodes(device);
            if live.iter().any(|node| self.nodes[node].after_attach) {
                self.inversions += 1;
            }
            self.story.detach(device);
        }
        if self.logs {
            self.story
                .leave(device, Hook::Remove)
                .enter(device, Hook::Cleanup);
        }
        self.release_all(device, 0, 0);
        if !self.inverted {
            self.story.detach(device);
        }
        if self.logs {
            self.story.leave(device, Hook::Cleanup);
        }
        self.story.leave(device, Hook::Unbind);
    }

    /// The device goes, and a new one begins at its address.
    pub(crate) fn reincarnate(&mut self, device: Dev, name: &str) {
        self.story.enter(device, Hook::Delete);
        self.unbind(device);
        self.release_all(device, 0, 0);
        self.story
            .leave(device, Hook::Delete)
            .enter(device, Hook::FinalPut);
        self.release_all(device, 0, 0);
        self.story.leave(device, Hook::FinalPut);
        // What a release has added is leaked.
        self.device(device).list.clear();
        self.begin(device, name);
    }
}

fn pick<T: Copy>(from: &[T], choice: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[choice % from.len()])
}
