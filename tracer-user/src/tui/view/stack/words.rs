//! A resource in a few words: what it is, how large and how old, and who added it.

use crate::{
    escape::{Escaped, escape},
    event::Time,
    finding::{self, label, text::telling},
    model::{Kind, Node, Origin},
    tui::text::{bytes, duration},
};

pub(super) fn name(node: &Node) -> String {
    let mut name = escape(label(node));
    if let Some(function) = node.function() {
        let function = function.to_string();
        let plain = function.split(' ').next().unwrap_or_default();
        if name != plain && matches!(node.kind(), Kind::Action(_)) {
            name = format!("{name} = {}", Escaped(&function));
        }
    }
    name
}

pub(super) fn size(node: &Node) -> String {
    node.size().map(bytes).unwrap_or_default()
}

pub(super) fn age(node: &Node, now: Time) -> String {
    if node.origin() == Origin::Seen {
        duration(now.since(node.added()))
    } else {
        format!(">{}", duration(now.since(node.added())))
    }
}

/// Who added a node: the telling frame of its call stack.
pub(super) fn who(node: &Node) -> String {
    if node.origin() != Origin::Seen {
        return "unknown: from before the trace".to_owned();
    }
    let frames = node.stack().map(finding::frames).unwrap_or_default();
    let task = node.task();
    telling(&frames).first().map_or_else(
        || format!("{}[{}]", Escaped(&task.comm.name()), task.tid),
        |frame| escape(frame),
    )
}
