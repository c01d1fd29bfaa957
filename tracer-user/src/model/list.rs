//! What drivers/base/devres.c does with a device's list: which group it selects, and what it takes off.

use hashbrown::HashSet;

use super::{arena::Arena, device::Record, group::Range};
use crate::event::{GroupId, NodeAddress};

/// Bytes between a group's two markers: the size of `struct devres_node` on the kernels that there are.
const MARKER_DISTANCES: [u64; 3] = [0x18, 0x28, 0x30];

impl Record {
    /// The slot of the opening marker of the group that the kernel's `find_group` selects: for an id the
    /// newest with it, open or closed; for NULL the newest that is still open.
    pub(super) fn find_group(&self, id: GroupId) -> Option<u32> {
        self.groups
            .iter()
            .rev()
            .find(|group| {
                if id.0 == 0 {
                    group.close.is_none()
                } else {
                    group.id == id
                }
            })
            .map(|group| group.open)
    }

    /// The group that a closing marker at `address` belongs to: its memory tells, else `selected`, else
    /// the newest open one.
    pub(super) fn group_of_closing(
        &self,
        arena: &Arena,
        device: u32,
        address: NodeAddress,
        selected: Option<u32>,
        real_addresses: bool,
    ) -> Option<usize> {
        let open = |position: &usize| {
            self.groups
                .get(*position)
                .is_some_and(|group| group.close.is_none())
        };
        if real_addresses && address.0 != 0 {
            return MARKER_DISTANCES
                .iter()
                .find_map(|distance| {
                    let opening =
                        arena.find(device, NodeAddress(address.0.wrapping_sub(*distance)))?;
                    self.groups.iter().rposition(|group| group.open == opening)
                })
                .filter(open);
        }
        selected
            .and_then(|opening| self.groups.iter().rposition(|group| group.open == opening))
            .filter(open)
            .or_else(|| self.groups.iter().rposition(|group| group.close.is_none()))
    }

    pub(super) fn group_position(&self, open: u32) -> Option<usize> {
        self.groups.iter().rposition(|group| group.open == open)
    }

    /// Moves what the kernel would release from the list to what is being released, numbered `batch`:
    /// first pass the ordinary nodes of the range, second pass the groups that lie wholly in it. Returns
    /// the closing markers that the kernel unlinks silently.
    pub(super) fn take(&mut self, arena: &mut Arena, range: Range, batch: u32) -> Vec<u32> {
        let (first, last) = match range {
            Range::All => (self.list.first(), self.list.last()),
            Range::Group(open) => (
                Some(open),
                self.group_position(open)
                    .and_then(|position| self.groups.get(position))
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
            let group = self
                .groups
                .iter()
                .position(|group| group.open == marker || group.close == Some(marker))
                .and_then(|position| self.groups.get(position).map(|group| (position, *group)));
            let Some((position, group)) = group else {
                // A closing marker whose group was never seen.
                arena.unlink(&mut self.list, marker);
                silent.push(marker);
                continue;
            };
            if marker == group.open && group.close.is_some() {
                opened.insert(marker);
            } else if marker == group.open || opened.contains(&group.open) {
                self.groups.remove(position);
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
