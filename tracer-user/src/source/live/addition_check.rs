//! Counts additions a second time.
//!
//! `devres_add()` is one of several ways to add a resource, and each call must show up as an addition of
//! the same payload, right behind it on the same task. One that doesn't has been missed.

use hashbrown::HashMap;

use crate::event::{CallDetail, Event, EventKind, Hook, LossCause};

/// Passes events on, and reports a loss if an addition did not follow its call.
#[derive(Debug, Default)]
pub(super) struct AdditionCheck {
    /// The payload whose addition must come next, by task.
    expected: HashMap<u32, u64>,
}

impl AdditionCheck {
    /// Hands the event to `sink`, after a loss if there was one.
    pub(super) fn pass(&mut self, event: Event, sink: &mut impl FnMut(Event)) {
        let missed = match &event.kind {
            EventKind::Enter(call) if call.hook == Hook::DevresAdd => match call.detail {
                CallDetail::Pointer(payload) => {
                    self.expected.insert(event.task.tid, payload).is_some()
                }
                _ => false,
            },
            EventKind::Add(node) => self
                .expected
                .remove(&event.task.tid)
                .is_some_and(|payload| payload != node.payload_address),
            // What was lost is known already: the additions may be among it.
            EventKind::Loss(_) => {
                self.expected.clear();
                false
            }
            _ => false,
        };
        if missed {
            sink(Event::loss(event.time, 1, LossCause::ProbeSkipped));
        }
        sink(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AddedNode, Call, Time};

    fn event(tid: u32, kind: EventKind) -> Event {
        let mut event = Event::loss(Time(0), 0, LossCause::Input);
        event.task.tid = tid;
        Event { kind, ..event }
    }

    fn call(tid: u32, payload: u64) -> Event {
        let detail = CallDetail::Pointer(payload);
        event(
            tid,
            EventKind::Enter(Call {
                hook: Hook::DevresAdd,
                detail,
            }),
        )
    }

    fn add(tid: u32, payload_address: u64) -> Event {
        event(
            tid,
            EventKind::Add(AddedNode {
                payload_address,
                ..AddedNode::default()
            }),
        )
    }

    fn losses(events: Vec<Event>) -> usize {
        let mut check = AdditionCheck::default();
        let mut losses = 0;
        for event in events {
            check.pass(event, &mut |event| {
                losses += usize::from(matches!(event.kind, EventKind::Loss(_)));
            });
        }
        losses
    }

    #[test]
    fn an_addition_that_follows_its_call_is_not_missed() {
        assert_eq!(
            losses(vec![
                call(1, 0x10),
                add(1, 0x10),
                call(1, 0x20),
                add(1, 0x20)
            ]),
            0
        );
    }

    #[test]
    fn additions_that_do_not_go_through_the_call_are_not_missed() {
        assert_eq!(losses(vec![add(1, 0x10), add(1, 0x20)]), 0);
    }

    #[test]
    fn tasks_are_told_apart() {
        assert_eq!(
            losses(vec![
                call(1, 0x10),
                call(2, 0x20),
                add(2, 0x20),
                add(1, 0x10)
            ]),
            0
        );
    }

    #[test]
    fn a_call_without_its_addition_is_a_loss() {
        assert_eq!(losses(vec![call(1, 0x10), call(1, 0x20), add(1, 0x20)]), 1);
        assert_eq!(losses(vec![call(1, 0x10), add(1, 0x99)]), 1);
    }
}
