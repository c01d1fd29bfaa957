//! Where nodes live: slots that are used again, linked into one list per device, found by address.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use smallvec::SmallVec;

use super::Node;
use crate::event::{NodeAddress, Text};

/// Slots are allocated in chunks of this many, so that growing never copies and leaves little unused.
const CHUNK: usize = 512;
const NONE: u32 = u32::MAX;

/// A list of nodes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    first: u32,
    last: u32,
    length: u32,
}

impl Default for List {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
            length: 0,
        }
    }
}

impl List {
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

#[derive(Debug, Clone)]
struct Slot {
    node: Option<Node>,
    previous: u32,
    /// The next node of the list, or the next free slot.
    next: u32,
}

/// What tells nodes of a device apart where their addresses are not told: name and size.
type Look = (u32, Option<Text>, Option<u64>);

/// All nodes of all devices.
#[derive(Debug, Clone)]
pub(super) struct Arena {
    chunks: Vec<Vec<Slot>>,
    free: u32,
    by_address: HashTable<u32>,
    /// The nodes of each look, oldest first, where addresses are of no use.
    by_look: Option<HashMap<Look, SmallVec<[u32; 2]>>>,
    hasher: DefaultHashBuilder,
}

impl Arena {
    /// `addressed`: addresses find nodes; else their looks do.
    pub(super) fn new(addressed: bool) -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            by_address: HashTable::new(),
            by_look: (!addressed).then(HashMap::new),
            hasher: DefaultHashBuilder::default(),
        }
    }

    fn slot(&self, id: u32) -> Option<&Slot> {
        slot(&self.chunks, id)
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot> {
        let id = id as usize;
        self.chunks.get_mut(id / CHUNK)?.get_mut(id % CHUNK)
    }

    pub(super) fn get(&self, id: u32) -> Option<&Node> {
        self.slot(id)?.node.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Node> {
        self.slot_mut(id)?.node.as_mut()
    }

    /// Stores `node` in no list. Its address, unless zero, finds it from now on.
    pub(super) fn insert(&mut self, node: Node) -> u32 {
        let address = node.address;
        let id = if let Some(slot) = self.slot_mut(self.free) {
            let next = slot.next;
            *slot = Slot {
                node: Some(node),
                previous: NONE,
                next: NONE,
            };
            std::mem::replace(&mut self.free, next)
        } else {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            let chunks = self.chunks.len();
            let Some(chunk) = self.chunks.last_mut() else {
                return NONE;
            };
            chunk.push(Slot {
                node: Some(node),
                previous: NONE,
                next: NONE,
            });
            u32::try_from((chunks - 1) * CHUNK + chunk.len() - 1).unwrap_or(NONE)
        };
        self.index(id, address);
        self.index_look(id);
        id
    }

    /// Drops a node that is in no list.
    pub(super) fn free(&mut self, id: u32) {
        self.forget(id);
        let free = self.free;
        if let Some(slot) = self.slot_mut(id)
            && slot.node.take().is_some()
        {
            slot.next = free;
            self.free = id;
        }
    }

    fn index(&mut self, id: u32, address: NodeAddress) {
        if address.0 == 0 {
            return;
        }
        let hash = self.hasher.hash_one(address.0);
        let Self {
            chunks,
            by_address,
            hasher,
            ..
        } = self;
        by_address.insert_unique(hash, id, |other| {
            slot(chunks, *other)
                .and_then(|slot| slot.node.as_ref())
                .map_or(0, |node| hasher.hash_one(node.address.0))
        });
    }

    /// Gives the node a new address.
    pub(super) fn set_address(&mut self, id: u32, address: NodeAddress) {
        self.forget_address(id);
        let Some(node) = self.get_mut(id) else {
            return;
        };
        node.address = address;
        self.index(id, address);
    }

    /// From now on the node's address no longer finds it.
    pub(super) fn forget_address(&mut self, id: u32) {
        let Some(node) = self.get(id) else {
            return;
        };
        if node.address.0 == 0 {
            return;
        }
        let hash = self.hasher.hash_one(node.address.0);
        if let Ok(entry) = self.by_address.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    /// From now on nothing finds the node.
    pub(super) fn forget(&mut self, id: u32) {
        self.forget_address(id);
        self.forget_look(id);
    }

    /// Changes what a node looks like.
    pub(super) fn change_look(&mut self, id: u32, change: impl FnOnce(&mut Node)) {
        self.forget_look(id);
        if let Some(node) = self.get_mut(id) {
            change(node);
        }
        self.index_look(id);
    }

    fn look(&self, id: u32) -> Option<Look> {
        self.by_look.as_ref()?;
        let node = self.get(id)?;
        Some((node.device, node.name().cloned(), node.size()))
    }

    fn index_look(&mut self, id: u32) {
        if let (Some(look), Some(by_look)) = (self.look(id), &mut self.by_look) {
            by_look.entry(look).or_default().push(id);
        }
    }

    fn forget_look(&mut self, id: u32) {
        let Some(look) = self.look(id) else {
            return;
        };
        if let Some(by_look) = &mut self.by_look
            && let Some(alike) = by_look.get_mut(&look)
            && let Some(place) = alike.iter().rposition(|other| *other == id)
        {
            alike.remove(place);
            if alike.is_empty() {
                by_look.remove(&look);
            }
        }
    }

    /// The nodes of a device that look like this, the newest first.
    pub(super) fn alike(
        &self,
        device: u32,
        name: Option<&Text>,
        size: Option<u64>,
    ) -> impl Iterator<Item = (u32, &Node)> {
        let by_look = self.by_look.as_ref();
        let alike = by_look.and_then(|by_look| by_look.get(&(device, name.cloned(), size)));
        let alike = alike.map_or(&[][..], SmallVec::as_slice);
        alike
            .iter()
            .rev()
            .filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The node of a device with this address.
    pub(super) fn find(&self, device: u32, address: NodeAddress) -> Option<u32> {
        self.find_where(address, |node| node.device == device)
    }

    /// A node of another device with this address.
    pub(super) fn find_elsewhere(&self, device: u32, address: NodeAddress) -> Option<u32> {
        self.find_where(address, |node| node.device != device)
    }

    fn find_where(&self, address: NodeAddress, wanted: impl Fn(&Node) -> bool) -> Option<u32> {
        if address.0 == 0 {
            return None;
        }
        self.by_address
            .find(self.hasher.hash_one(address.0), |id| {
                self.get(*id)
                    .is_some_and(|node| node.address == address && wanted(node))
            })
            .copied()
    }

    pub(super) fn next(&self, id: u32) -> Option<u32> {
        let next = self.slot(id)?.next;
        (next != NONE).then_some(next)
    }

    pub(super) fn previous(&self, id: u32) -> Option<u32> {
        let previous = self.slot(id)?.previous;
        (previous != NONE).then_some(previous)
    }

    /// Links a node that is in no list behind `after`, or in front of all.
    pub(super) fn link_after(&mut self, list: &mut List, after: Option<u32>, id: u32) {
        let next = match after {
            Some(after) => self.slot(after).map_or(NONE, |slot| slot.next),
            None => list.first,
        };
        if let Some(slot) = self.slot_mut(id) {
            slot.previous = after.unwrap_or(NONE);
            slot.next = next;
        }
        match after.and_then(|after| self.slot_mut(after)) {
            Some(slot) => slot.next = id,
            None => list.first = id,
        }
        match self.slot_mut(next) {
            Some(slot) => slot.previous = id,
            None => list.last = id,
        }
        list.length += 1;
    }

    pub(super) fn push(&mut self, list: &mut List, id: u32) {
        self.link_after(list, list.last(), id);
    }

    /// Links a node so that everything older stays in front of it.
    pub(super) fn link_by_sequence(&mut self, list: &mut List, id: u32) {
        let sequence = self.get(id).map_or(0, |node| node.sequence);
        let mut after = list.last();
        while let Some(candidate) = after
            && self
                .get(candidate)
                .is_some_and(|node| node.sequence > sequence)
        {
            after = self.previous(candidate);
        }
        self.link_after(list, after, id);
    }

    /// Takes a node out of the list that it is in.
    pub(super) fn unlink(&mut self, list: &mut List, id: u32) {
        let Some(slot) = self.slot_mut(id) else {
            return;
        };
        let (previous, next) = (slot.previous, slot.next);
        slot.previous = NONE;
        slot.next = NONE;
        match self.slot_mut(previous) {
            Some(slot) => slot.next = next,
            None => list.first = next,
        }
        match self.slot_mut(next) {
            Some(slot) => slot.previous = previous,
            None => list.last = previous,
        }
        list.length = list.length.saturating_sub(1);
    }

    /// The nodes of a list, oldest first.
    pub(super) fn iter(&self, list: &List) -> Nodes<'_> {
        Nodes {
            arena: self,
            front: list.first,
            back: list.last,
            left: list.length,
        }
    }
}

fn slot(chunks: &[Vec<Slot>], id: u32) -> Option<&Slot> {
    let id = id as usize;
    chunks.get(id / CHUNK)?.get(id % CHUNK)
}

/// The nodes of a list from either end, with their slots.
#[derive(Debug, Clone)]
pub(super) struct Nodes<'a> {
    arena: &'a Arena,
    front: u32,
    back: u32,
    left: u32,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = (u32, &'a Node);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let id = self.front;
        let slot = self.arena.slot(id)?;
        self.front = slot.next;
        slot.node.as_ref().map(|node| (id, node))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl DoubleEndedIterator for Nodes<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let id = self.back;
        let slot = self.arena.slot(id)?;
        self.back = slot.previous;
        slot.node.as_ref().map(|node| (id, node))
    }
}
