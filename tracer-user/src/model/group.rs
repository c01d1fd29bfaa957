//! Devres groups, as `find_group()`, `remove_nodes()` and their callers in drivers/base/devres.c treat
//! them.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::event::{GroupId, Hook};

/// Groups of a device up to which they are searched one by one.
const FEW: usize = 16;

/// A group on a device's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) id: GroupId,
    /// The slot of `grp<`.
    pub(super) open: u32,
    /// The slot of `grp>`, once closed.
    pub(super) close: Option<u32>,
    /// Whether the call that closed it was seen.
    pub(super) close_called: bool,
    /// The place of `grp>` among the markers, once closed.
    closed: u64,
}

/// The groups of a device, in the order in which they were opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// By the place of `grp<` among the markers.
    all: BTreeMap<u64, Group>,
    /// The place of the next marker.
    next: u64,
    /// Where there are more than a few.
    index: Option<Box<Index>>,
}

/// What finds groups, each by the place of its `grp<`.
#[derive(Debug, Clone, Default)]
struct Index {
    /// By the slots of both markers.
    by_marker: HashMap<u32, u64>,
    by_id: HashMap<GroupId, SmallVec<[u64; 1]>>,
    unclosed: BTreeSet<u64>,
    /// The others: the place of `grp>` by that of `grp<`, and the other way round.
    closed: BTreeMap<u64, u64>,
    closings: BTreeMap<u64, u64>,
}

impl Index {
    fn insert(&mut self, place: u64, group: &Group) {
        self.by_marker.insert(group.open, place);
        self.by_id.entry(group.id).or_default().push(place);
        match group.close {
            Some(close) => self.close(place, close, group.closed),
            None => {
                self.unclosed.insert(place);
            }
        }
    }

    fn close(&mut self, place: u64, close: u32, closed: u64) {
        self.unclosed.remove(&place);
        self.by_marker.insert(close, place);
        self.closed.insert(place, closed);
        self.closings.insert(closed, place);
    }

    fn reopen(&mut self, place: u64, group: &Group) {
        if let Some(close) = group.close {
            self.by_marker.remove(&close);
        }
        self.closed.remove(&place);
        self.closings.remove(&group.closed);
        self.unclosed.insert(place);
    }

    fn remove(&mut self, place: u64, group: &Group) {
        self.reopen(place, group);
        self.unclosed.remove(&place);
        self.by_marker.remove(&group.open);
        if let Some(places) = self.by_id.get_mut(&group.id) {
            places.retain(|known| *known != place);
            if places.is_empty() {
                self.by_id.remove(&group.id);
            }
        }
    }
}

impl Groups {
    /// In the order of opening.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.all.values()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A group is opened by the marker in the slot `open`.
    pub(super) fn open(&mut self, id: GroupId, open: u32) {
        let place = self.next;
        self.next += 1;
        let group = Group {
            id,
            open,
            close: None,
            close_called: false,
            closed: 0,
        };
        self.all.insert(place, group);
        if let Some(index) = &mut self.index {
            index.insert(place, &group);
        } else if self.all.len() > FEW {
            let mut index = Index::default();
            for (place, group) in &self.all {
                index.insert(*place, group);
            }
            self.index = Some(Box::new(index));
        }
    }

    /// The marker in the slot `close` closes the group that the one in `open` opened. Returns that group's id.
    pub(super) fn close(&mut self, open: u32, close: u32, called: bool) -> Option<GroupId> {
        let place = self.place_of(open)?;
        let closed = self.next;
        self.next += 1;
        let group = self.all.get_mut(&place)?;
        group.close = Some(close);
        group.close_called = called;
        group.closed = closed;
        if let Some(index) = &mut self.index {
            index.close(place, close, closed);
        }
        Some(group.id)
    }

    /// The closing marker of the group that the slot `close` belongs to is gone.
    pub(super) fn reopen(&mut self, close: u32) {
        let Some(place) = self.place_of(close) else {
            return;
        };
        let Some(group) = self.all.get_mut(&place) else {
            return;
        };
        if group.close == Some(close) {
            if let Some(index) = &mut self.index {
                index.reopen(place, group);
            }
            group.close = None;
        }
    }

    /// The group whose opening marker is in the slot `open` is gone.
    pub(super) fn remove(&mut self, open: u32) -> Option<Group> {
        let place = self.place_of(open)?;
        let group = self.all.remove(&place)?;
        if let Some(index) = &mut self.index {
            index.remove(place, &group);
        }
        Some(group)
    }

    fn place_of(&self, marker: u32) -> Option<u64> {
        if let Some(index) = &self.index {
            return index.by_marker.get(&marker).copied();
        }
        let mut all = self.all.iter().rev();
        all.find(|(_, group)| group.open == marker || group.close == Some(marker))
            .map(|(place, _)| *place)
    }

    /// The group that the marker in this slot opens or closes.
    pub(super) fn of_marker(&self, marker: u32) -> Option<&Group> {
        self.all.get(&self.place_of(marker)?)
    }

    /// The group that was opened last with this id.
    pub(super) fn newest_of(&self, id: GroupId) -> Option<&Group> {
        match &self.index {
            Some(index) => self.all.get(index.by_id.get(&id)?.last()?),
            None => self.iter().rev().find(|group| group.id == id),
        }
    }

    /// The group with this id that was opened first.
    pub(super) fn oldest_of(&self, id: GroupId) -> Option<&Group> {
        match &self.index {
            Some(index) => self.all.get(index.by_id.get(&id)?.first()?),
            None => self.iter().find(|group| group.id == id),
        }
    }

    /// The group that was opened last of those that are not closed.
    pub(super) fn newest_unclosed(&self) -> Option<&Group> {
        match &self.index {
            Some(index) => self.all.get(index.unclosed.last()?),
            None => self.iter().rev().find(|group| group.close.is_none()),
        }
    }

    /// A group that was opened before the one that `open` opens, and closed while that was open and has been closed
    /// since: neither lies within the other.
    pub(super) fn overlapped(&self, open: u32) -> Option<&Group> {
        let begin = self.place_of(open)?;
        let end = self.all.get(&begin)?.closed;
        let within = |closed: u64| closed > begin && closed < end;
        let Some(index) = &self.index else {
            let mut older = self.all.range(..begin).map(|(_, group)| group);
            return older.find(|group| group.close.is_some() && within(group.closed));
        };
        // Either may be many; seldom both are.
        let mut older = index.closed.range(..begin).rev();
        let mut later = index.closings.range(begin..);
        loop {
            let (open, closed) = older.next()?;
            if within(*closed) {
                return self.all.get(open);
            }
            let (closed, open) = later.next()?;
            if *open < begin && within(*closed) {
                return self.all.get(open);
            }
        }
    }
}

/// The last call of a group function on a device: what it selected, for the marker that it logs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupCall {
    pub(super) hook: Hook,
    pub(super) tid: u32,
    pub(super) id: GroupId,
    /// The slot of the selected group's opening marker.
    pub(super) open: Option<u32>,
}

/// What a release takes off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Everything.
    All,
    /// The group whose `grp<` is in this slot.
    Group(u32),
}
