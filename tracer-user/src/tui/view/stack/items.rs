//! The lines of a stack: what lies on it, newest on top, what is going and what has just gone.

use super::words::name;
use crate::{
    event::{GroupId, Time},
    model::{Device, Kind, Node},
    tui::{
        text::width,
        traces::{Departed, Trace},
    },
};

/// One line of the stack.
pub(super) enum Item<'a> {
    /// A group is open: what is added now belongs to it.
    OpenTop { depth: usize, id: GroupId },
    /// A group ends here.
    Close { depth: usize, id: GroupId },
    /// A group begins here.
    Begin {
        depth: usize,
        id: GroupId,
        open: bool,
        node: &'a Node,
    },
    /// A resource.
    Resource { depth: usize, node: &'a Node },
    /// A resource that a running release has still to release: the first of them is the next.
    Releasing { turn: usize, node: &'a Node },
    /// A resource that has just gone.
    Gone(&'a Departed),
}

impl<'a> Item<'a> {
    pub(super) fn node(&self) -> Option<&'a Node> {
        match self {
            Self::OpenTop { .. } | Self::Close { .. } => None,
            Self::Begin { node, .. }
            | Self::Resource { node, .. }
            | Self::Releasing { node, .. } => Some(node),
            Self::Gone(gone) => Some(&gone.node),
        }
    }

    /// The columns that its name takes, with what stands before it; none for what has a line of its own.
    pub(super) fn name_width(&self) -> usize {
        match self {
            Self::OpenTop { .. } | Self::Close { .. } | Self::Begin { .. } => 0,
            Self::Resource { depth, node } => 2 * depth + width(&name(node)),
            Self::Releasing { turn, node } => format!("{}. ", turn + 1).len() + width(&name(node)),
            Self::Gone(gone) => width(&name(&gone.node)),
        }
    }
}

/// The stack from the top down.
pub(super) fn items<'a>(
    device: Option<Device<'a>>,
    trace: Option<&'a Trace>,
    now: Time,
    fade: u64,
) -> Vec<Item<'a>> {
    let mut departed: Vec<&Departed> = trace
        .into_iter()
        .flat_map(|trace| &trace.departed)
        .filter(|gone| now.since(gone.at) < fade && gone.node.kind() != Kind::GroupClose)
        .collect();
    departed.sort_by_key(|gone| gone.node.sequence());
    let mut items = Vec::new();
    let Some(device) = device else {
        items.extend(departed.into_iter().rev().map(Item::Gone));
        return items;
    };
    let groups: Vec<_> = device.groups().collect();
    let mut depth = 0;
    for (id, _, _) in groups.iter().rev().filter(|(_, _, close)| close.is_none()) {
        items.push(Item::OpenTop { depth, id: *id });
        depth += 1;
    }
    let mut on_list = device.nodes().rev().peekable();
    let mut releasing = device.releasing().rev().enumerate().peekable();
    loop {
        let place = |node: Option<&Node>| node.map_or(0, Node::sequence);
        let gone = place(departed.last().map(|gone| &gone.node));
        let listed = place(on_list.peek().map(|(_, node)| *node));
        let going = place(releasing.peek().map(|(_, (_, node))| *node));
        if gone > listed && gone > going {
            items.extend(departed.pop().map(Item::Gone));
        } else if listed > 0 && listed >= going {
            let Some((id, node)) = on_list.next() else {
                break;
            };
            let opens = groups.iter().find(|(_, open, _)| *open == id);
            let closes = groups.iter().find(|(_, _, close)| *close == Some(id));
            if let Some((id, _, _)) = closes {
                items.push(Item::Close { depth, id: *id });
                depth += 1;
            } else if let Some((id, _, close)) = opens {
                depth = depth.saturating_sub(1);
                items.push(Item::Begin {
                    depth,
                    id: *id,
                    open: close.is_none(),
                    node,
                });
            } else {
                items.push(Item::Resource { depth, node });
            }
        } else if let Some((turn, (_, node))) = releasing.next() {
            items.push(Item::Releasing { turn, node });
        } else if on_list.peek().is_none() && departed.is_empty() {
            break;
        } else {
            items.extend(departed.pop().map(Item::Gone));
            // What has no place in the order comes last.
            if let Some((_, node)) = on_list.next() {
                items.push(Item::Resource { depth, node });
            }
        }
    }
    items
}
