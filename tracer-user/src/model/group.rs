//! Devres groups, as `find_group()`, `remove_nodes()` and their callers in drivers/base/devres.c treat
//! them.

use crate::event::{GroupId, Hook};

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
