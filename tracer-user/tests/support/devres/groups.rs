//! Groups, and how what is on a list is released, as drivers/base/devres.c does it.

use std::collections::{BTreeMap, BTreeSet};

use devres_tracer::event::{CallDetail, EventKind, GroupId, Hook};

use super::{
    super::{Dev, added},
    CLOSING, Callback, Group, Item, Kernel, pick,
};

impl Kernel {
    pub(crate) fn open_group(&mut self, device: Dev, id: u64) {
        let address = self.allocate();
        self.story
            .call(device, Hook::OpenGroup, CallDetail::Group(GroupId(id)));
        let group = self.groups.len();
        let id = if id == 0 { address } else { id };
        self.groups.push(Group {
            address,
            id,
            closed: false,
        });
        self.device(device).list.push(Item::Open(group));
        let mut marker = added(address, self.marker("grp<", "group_open_release"), 0);
        marker.group = Some(GroupId(id));
        self.story.push(device, EventKind::Add(marker));
    }

    fn marker(&self, logged: &'static str, symbol: &'static str) -> &'static str {
        if self.logs { logged } else { symbol }
    }

    /// `find_group`: backwards; by id open or closed, for NULL only open ones.
    fn find_group(&mut self, device: Dev, id: u64) -> Option<usize> {
        let list = self.device(device).list.clone();
        list.iter().rev().find_map(|item| match item {
            Item::Open(group) => {
                let known = self.groups[*group];
                let wanted = if id == 0 {
                    !known.closed
                } else {
                    known.id == id
                };
                wanted.then_some(*group)
            }
            _ => None,
        })
    }

    /// An id for group calls: NULL, one of the explicit ones, or that of an existing group.
    pub(crate) fn group_id(&mut self, device: Dev, choice: usize) -> u64 {
        let list = self.device(device).list.clone();
        let ids: Vec<u64> = list
            .iter()
            .filter_map(|item| match item {
                Item::Open(group) => Some(self.groups[*group].id),
                _ => None,
            })
            .collect();
        match choice % 4 {
            0 => 0,
            1 => 0x1000 + (choice as u64 / 4 % 3),
            _ => pick(&ids, choice / 4).unwrap_or(0),
        }
    }

    pub(crate) fn close_group(&mut self, device: Dev, id: u64) {
        let Some(group) = self.find_group(device, id) else {
            return;
        };
        if self.groups[group].closed {
            return;
        }
        self.story
            .call(device, Hook::CloseGroup, CallDetail::Group(GroupId(id)));
        self.groups[group].closed = true;
        self.device(device).list.push(Item::Close(group));
        let name = self.marker("grp>", "group_close_release");
        let address = self.groups[group].address + CLOSING;
        self.story.add(device, address, name, 0);
    }

    pub(crate) fn remove_group(&mut self, device: Dev, id: u64) {
        let Some(group) = self.find_group(device, id) else {
            return;
        };
        self.story
            .call(device, Hook::RemoveGroup, CallDetail::Group(GroupId(id)));
        self.device(device)
            .list
            .retain(|item| *item != Item::Open(group) && *item != Item::Close(group));
        let address = self.groups[group].address;
        if self.logs {
            self.story.rem(device, address, "grp<", 0);
        }
        self.freed.push(address);
    }

    pub(crate) fn release_group(&mut self, device: Dev, id: u64, before: usize, after: usize) {
        let Some(group) = self.find_group(device, id) else {
            return;
        };
        self.story.release_group(device, id);
        self.others_add(device, before);
        let list = &self.device(device).list;
        let first = list
            .iter()
            .position(|item| *item == Item::Open(group))
            .unwrap();
        let end = list
            .iter()
            .position(|item| *item == Item::Close(group))
            .map_or(list.len(), |close| close + 1);
        let (todo, count) = self.remove_nodes(device, first, end);
        self.others_add(device, after);
        self.release_nodes(device, todo);
        self.disturbed &= self.depth > 0;
        self.story.returned(device, Hook::ReleaseGroup, Some(count));
    }

    /// `devres_release_all`; others add nodes between its entry and the lock, and after it.
    pub(crate) fn release_all(&mut self, device: Dev, before: usize, after: usize) {
        self.story.enter(device, Hook::ReleaseAll);
        self.others_add(device, before);
        let length = self.device(device).list.len();
        let (todo, count) = self.remove_nodes(device, 0, length);
        // Without a release to say, nothing is known of when the list was emptied.
        if !todo.is_empty() {
            self.others_add(device, after);
        }
        self.release_nodes(device, todo);
        self.disturbed &= self.depth > 0;
        self.story.returned(device, Hook::ReleaseAll, Some(count));
    }

    fn others_add(&mut self, device: Dev, count: usize) {
        if !self.logs {
            return;
        }
        self.disturbed |= count > 0;
        self.story.task("other", 99);
        for _ in 0..count {
            self.add(device, Callback::Nothing, false);
        }
        self.story.task("init", 1);
    }

    /// The two passes of `remove_nodes` over `list[first..end]`.
    fn remove_nodes(&mut self, device: Dev, first: usize, end: usize) -> (Vec<Item>, i64) {
        let list = std::mem::take(&mut self.device(device).list);
        let mut todo = Vec::new();
        let mut rest = list[..first].to_vec();
        let mut markers = Vec::new();
        for item in &list[first..end] {
            match item {
                Item::Node(_) => todo.push(*item),
                marker => markers.push(*marker),
            }
        }
        let count = i64::try_from(todo.len()).unwrap();
        let mut colour: BTreeMap<usize, u32> = BTreeMap::new();
        let mut whole = BTreeSet::new();
        for marker in &markers {
            let (Item::Open(group) | Item::Close(group)) = *marker else {
                continue;
            };
            let colour = colour.entry(group).or_default();
            *colour += if self.groups[group].closed { 1 } else { 2 };
            if *colour == 2 {
                todo.push(Item::Open(group));
                whole.insert(group);
            }
        }
        rest.extend(markers.into_iter().filter(|marker| {
            let (Item::Open(group) | Item::Close(group)) = marker else {
                return false;
            };
            !whole.contains(group)
        }));
        rest.extend_from_slice(&list[end..]);
        self.device(device).list = rest;
        (todo, count)
    }

    fn release_nodes(&mut self, device: Dev, todo: Vec<Item>) {
        self.depth += 1;
        for item in todo.into_iter().rev() {
            let address = self.address(item);
            match item {
                Item::Node(_) => {
                    let node = self.nodes.remove(&address).unwrap();
                    if self.logs {
                        self.story.rel(device, address, node.name, node.size);
                        self.check_amid(device);
                    }
                    self.call_back(device, node.callback);
                }
                _ if self.logs => {
                    self.story.rel(device, address, "grp<", 0);
                    self.check_amid(device);
                }
                _ => {}
            }
            self.freed.push(address);
        }
        self.depth -= 1;
    }

    fn call_back(&mut self, device: Dev, callback: Callback) {
        match callback {
            Callback::Adds => {
                self.add(device, Callback::Nothing, false);
            }
            Callback::AddsAndRemoves => {
                let address = self.add(device, Callback::Nothing, false);
                self.remove_node(device, address);
            }
            Callback::OpensGroup => self.open_group(device, 0),
            Callback::ReleasesGroup if self.depth < 4 => self.release_group(device, 0, 0, 0),
            Callback::Nothing | Callback::ReleasesGroup => {}
        }
    }
}
