//! What ran when, and what came and went: spans and marks in the order in which they began.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{
    event::{Hook, Time},
    finding::Severity,
    model::{Change, InstanceKey, Model, NodeId, Origin},
};

/// A function that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// For which device.
    pub device: InstanceKey,
    /// Which.
    pub hook: Hook,
    /// On which thread.
    pub tid: u32,
    /// How many functions were running on the thread already.
    pub depth: u16,
    /// When it was entered.
    pub begin: Time,
    /// When it returned, if it has.
    pub end: Option<Time>,
    /// The position behind its entry.
    pub at: u64,
    /// Its return was not seen; it must have happened.
    pub inferred: bool,
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Of which device.
    pub device: InstanceKey,
    /// When.
    pub time: Time,
    /// The position behind the event.
    pub at: u64,
    /// What happened.
    pub kind: MarkKind,
}

/// What happened at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A resource or marker of a group was added.
    Added,
    /// One was taken off the list; whether its release ran is not said.
    Removed,
    /// One was released.
    Released,
    /// One went without a word.
    Vanished,
    /// A function was entered whose return is not observed.
    Called(Hook),
    /// A finding was made, so bad.
    Found(Severity),
}

/// Spans and marks of all devices.
#[derive(Debug, Default)]
pub struct Timeline {
    spans: VecDeque<Span>,
    /// Spans forgotten so far.
    forgotten: usize,
    /// Functions that have not returned: from the place of their entry to the number of their span.
    open: HashMap<u64, usize>,
    marks: VecDeque<Mark>,
    /// Times ran backwards.
    unordered: bool,
}

impl Timeline {
    pub(super) fn observe(&mut self, at: u64, change: &Change, model: &Model) {
        match change {
            Change::Entered(entered) => {
                let Some(device) = entered.device.and_then(|id| model.device_by_id(id)) else {
                    return;
                };
                if entered.hook == Hook::Unbind && device.running_teardown().is_none() {
                    return;
                }
                let device = device.key();
                let frames = model.frames(model.current_task());
                match frames.last() {
                    Some(frame) if entered.hook.is_frame() && frame.hook() == entered.hook => {
                        self.open
                            .insert(frame.sequence(), self.forgotten + self.spans.len());
                        self.spans.push_back(Span {
                            device,
                            hook: entered.hook,
                            tid: model.current_task().tid,
                            depth: u16::try_from(frames.len() - 1).unwrap_or(u16::MAX),
                            begin: model.now(),
                            end: None,
                            at,
                            inferred: false,
                        });
                    }
                    _ => self.mark(at, device, MarkKind::Called(entered.hook), model),
                }
            }
            Change::Left(left) => {
                if let Some(number) = self.open.remove(&left.sequence)
                    && let Some(index) = number.checked_sub(self.forgotten)
                    && let Some(span) = self.spans.get_mut(index)
                {
                    // A span that would end before it begins has no length.
                    span.end = Some(model.now().max(span.begin));
                    span.inferred = left.inferred;
                }
            }
            Change::NodeAdded(node)
                if model
                    .node(*node)
                    .is_some_and(|node| node.origin() == Origin::Seen) =>
            {
                self.mark_node(at, *node, MarkKind::Added, model);
            }
            Change::NodeRemoved(node) => self.mark_node(at, *node, MarkKind::Removed, model),
            Change::NodeReleased { node, .. } => {
                self.mark_node(at, *node, MarkKind::Released, model);
            }
            Change::NodeVanished(node) => self.mark_node(at, *node, MarkKind::Vanished, model),
            _ => {}
        }
    }

    fn mark_node(&mut self, at: u64, node: NodeId, kind: MarkKind, model: &Model) {
        if let Some(device) = model.node(node).and_then(|node| model.owner(node)) {
            self.mark(at, device.key(), kind, model);
        }
    }

    fn mark(&mut self, at: u64, device: InstanceKey, kind: MarkKind, model: &Model) {
        self.put(Mark {
            device,
            time: model.now(),
            at,
            kind,
        });
    }

    fn put(&mut self, mark: Mark) {
        self.unordered |= self.marks.back().is_some_and(|last| last.time > mark.time);
        self.marks.push_back(mark);
    }

    /// A finding was made.
    pub(super) fn mark_found(
        &mut self,
        at: u64,
        device: InstanceKey,
        time: Time,
        severity: Severity,
    ) {
        self.put(Mark {
            device,
            time,
            at,
            kind: MarkKind::Found(severity),
        });
    }

    /// Forgets what began before a position, unless it still runs.
    pub(super) fn forget_before(&mut self, position: u64) {
        let old = |at: u64| at <= position;
        while self
            .spans
            .front()
            .is_some_and(|span| old(span.at) && span.end.is_some())
        {
            self.spans.pop_front();
            self.forgotten += 1;
        }
        while self.marks.front().is_some_and(|mark| old(mark.at)) {
            self.marks.pop_front();
        }
    }

    /// The functions that ran, in the order of their entry.
    #[must_use]
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = &Span> {
        self.spans.iter()
    }

    /// The points in time from `begin` to `end`, in the order in which they were reported.
    pub fn marks(&self, begin: Time, end: Time) -> impl Iterator<Item = &Mark> {
        // Marks lie in the order of what happened. Where times ran backwards that is not the order of their times.
        let (first, last) = if self.unordered {
            (0, self.marks.len())
        } else {
            (
                self.marks.partition_point(|mark| mark.time < begin),
                self.marks.partition_point(|mark| mark.time <= end),
            )
        };
        self.marks
            .range(first..last.max(first))
            .filter(move |mark| mark.time >= begin && mark.time <= end)
    }

    /// All points in time, in order.
    #[must_use]
    pub fn all_marks(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.marks.iter()
    }
}
