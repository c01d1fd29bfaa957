//! What drivers/base/devres.c does with a device's list: which group it selects, and what it takes off.

use hashbrown::HashSet;

use super::{
    arena::Arena,
    device::Record,
    group::{Group, Range},
};
use crate::event::{GroupId, NodeAddress};

/// Bytes between a group's two markers: the size of `struct devres_node` on the kernels that there are, 64-bit ones first;
/// the newest 32-bit ones have the first again.
const MARKER_DISTANCES: [u64; 5] = [0x18, 0x28, 0x30, 0xc, 0x14];

impl Record {
    /// The group that the kernel's `find_group` selects: for an id the newest with it, open or closed; for NULL the
    /// newest that is still open.
    pub(super) fn find_group(&self, id: GroupId) -> Option<&Group> {
        if id.0 == 0 {
            self.groups.newest_unclosed()
        } else {
            self.groups.newest_of(id)
        }
    }

    /// The slot of the opening marker of the group that a closing marker at `address` belongs to: its memory says,
    /// else `selected`, else the newest open one.
    pub(super) fn group_of_closing(
        &self,
        arena: &Arena,
        device: u32,
        address: NodeAddress,
        selected: Option<u32>,
        real_addresses: bool,
    ) -> Option<u32> {
        let open_one = |opening: u32| {
            let group = self.groups.of_marker(opening);
            group.filter(|group| group.open == opening && group.close.is_none())
        };
        let group = if real_addresses && address.0 != 0 {
            let mut openings = MARKER_DISTANCES.iter().filter_map(|distance| {
                arena.find(device, NodeAddress(address.0.wrapping_sub(*distance)))
            });
            openings
                .find(|opening| {
                    let group = self.groups.of_marker(*opening);
                    group.is_some_and(|group| group.open == *opening)
                })
                .and_then(open_one)
        } else {
            let newest = || self.groups.newest_unclosed();
            selected.and_then(open_one).or_else(newest)
        };
        group.map(|group| group.open)
    }

    /// Moves what the kernel would release from the list to what is being released, numbered `batch`:
    /// first pass the ordinary nodes of the range, second pass the groups that lie wholly in it. Returns
    /// the closing markers that the kernel unlinks silently.
    pub(super) fn take(&mut self, arena: &mut Arena, range: Range, batch: u32) -> Vec<u32> {
        let (first, last) = match range {
            Range::All => (self.list.first(), self.list.last()),
            Range::Group(open) => (
                Some(open),
                self.groups
                    .of_marker(open)
                    .and_then(|group| group.close)
                    .or_else(|| self.list.last()),
            ),
        };
        let mut markers = Vec::new();
        let mut next = first;
        while let Some(id) = next {
            next = if Some(id) == last {
                None
            } else {
                arena.next(id)
            };
            if arena.get(id).is_some_and(|node| node.kind().is_marker()) {
                markers.push(id);
            } else {
                self.start_release(arena, id, batch);
            }
        }
        let mut silent = Vec::new();
        let mut opened = HashSet::new();
        for marker in markers {
            let Some(group) = self.groups.of_marker(marker).copied() else {
                // A closing marker whose group was never seen.
                arena.unlink(&mut self.list, marker);
                silent.push(marker);
                continue;
            };
            if marker == group.open && group.close.is_some() {
                opened.insert(marker);
            } else if marker == group.open || opened.contains(&group.open) {
                self.groups.remove(group.open);
                self.start_release(arena, group.open, batch);
                if let Some(close) = group.close {
                    arena.unlink(&mut self.list, close);
                    silent.push(close);
                }
            }
        }
        silent
    }

    fn start_release(&mut self, arena: &mut Arena, id: u32, batch: u32) {
        arena.unlink(&mut self.list, id);
        arena.push(&mut self.releasing, id);
        if let Some(node) = arena.get_mut(id) {
            node.batch = batch;
        }
    }
}
