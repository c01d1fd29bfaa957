//! What the probes are told of resources that were there before: to which memory they point, and which memory they are.
//! From then on the probes keep that themselves.

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData},
};
use tracer_ebpf::{Hook, Trait};

use super::options::Options;
use crate::event::{AddedNode, Event, EventKind};

/// Whether frees of memory are wanted.
pub(super) fn frees(options: &Options) -> bool {
    options.optional.contains(&Hook::Free)
}

/// Whether it is wanted what is pending or registered in memory that goes.
pub(super) fn pending(options: &Options) -> bool {
    let in_memory = |hook: &Hook| hook.description().has(Trait::InMemory);
    options.optional.iter().any(in_memory)
}

/// Bits of an address within a page, as the probes count.
const PAGE_BITS: u32 = 12;
/// Entries of a map that is not used.
pub(super) const UNUSED: u32 = 64;

/// Lets maps that nothing is kept in take no room.
pub(super) fn make_room(loader: &mut EbpfLoader<'_>, options: &Options) {
    if !frees(options) {
        loader.map_max_entries("HELD", UNUSED);
    }
    if !pending(options) {
        for map in ["MANAGED_PAGES", "MANAGED_NODES", "STARTED", "ADDED"] {
            loader.map_max_entries(map, UNUSED);
        }
    }
}

/// Tells the probes of what the snapshot has found. What finds no room is missed.
pub(super) fn begin(ebpf: &mut Ebpf, options: &Options, events: &[Event]) {
    let found = || {
        events.iter().filter_map(|event| match &event.kind {
            EventKind::Snapshot(snapshot) => Some((event.time.0, &snapshot.nodes)),
            _ => None,
        })
    };
    if frees(options)
        && let Some(map) = ebpf.map_mut("HELD")
        && let Ok(mut held) = HashMap::<&mut MapData, u64, u8>::try_from(map)
    {
        for node in found().flat_map(|(_, nodes)| nodes) {
            for pointer in pointers(node) {
                let _ = held.insert(pointer, 1, 0);
            }
        }
    }
    if !pending(options) {
        return;
    }
    if let Some(map) = ebpf.map_mut("MANAGED_NODES")
        && let Ok(mut known) = HashMap::<&mut MapData, u64, u64>::try_from(map)
    {
        for (time, nodes) in found() {
            for node in nodes.iter().filter(|node| size(node) > 0) {
                let _ = known.insert(node.node.0, time, 0);
            }
        }
    }
    if let Some(map) = ebpf.map_mut("MANAGED_PAGES")
        && let Ok(mut pages) = Array::<&mut MapData, u8>::try_from(map)
    {
        let count = u64::from(pages.len());
        for node in found().flat_map(|(_, nodes)| nodes) {
            for page in pages_of(node) {
                if let Ok(page) = u32::try_from(page % count) {
                    let _ = pages.set(page, 1, 0);
                }
            }
        }
    }
}

/// What a resource may be called with: an action's argument, an interrupt's `dev_id`.
fn pointers(node: &AddedNode) -> impl Iterator<Item = u64> {
    [node.action_data, node.payload[1]]
        .into_iter()
        .filter(|pointer| pointer >> 63 == 1)
}

fn size(node: &AddedNode) -> u64 {
    node.size.unwrap_or_default()
}

/// The pages in which a resource's payload lies, of a large one the first three.
fn pages_of(node: &AddedNode) -> impl Iterator<Item = u64> + use<> {
    const MOST: u64 = 3;
    let begin = node.payload_address;
    let known = begin != 0 && size(node) > 0;
    let first = begin >> PAGE_BITS;
    let last = begin.saturating_add(size(node).saturating_sub(1)) >> PAGE_BITS;
    (first..=last.min(first + MOST - 1)).filter(move |_| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_lies_in_each_page_from_its_first_byte_to_its_last() {
        let of = |payload_address, size| {
            let node = AddedNode {
                payload_address,
                size: Some(size),
                ..AddedNode::default()
            };
            pages_of(&node).collect::<Vec<_>>()
        };
        assert_eq!(of(0x5ff8, 8), [5]);
        assert_eq!(of(0x5ff8, 9), [5, 6]);
        assert_eq!(of(0x5ff8, 0x1009), [5, 6, 7]);
        assert_eq!(of(0x5000, 1 << 20), [5, 6, 7]);
        assert!(of(0x5000, 0).is_empty());
        assert!(of(0, 16).is_empty());
    }

    #[test]
    fn only_what_may_be_an_address_is_one() {
        let node = AddedNode {
            action_data: 0xffff_8880_0100_0000,
            payload: [7, 0xffff_8880_0200_0000, 3, 4],
            ..AddedNode::default()
        };
        let found: Vec<u64> = pointers(&node).collect();
        assert_eq!(found, [0xffff_8880_0100_0000, 0xffff_8880_0200_0000]);
        assert_eq!(pointers(&AddedNode::default()).count(), 0);
    }
}
