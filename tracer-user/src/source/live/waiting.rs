//! Releases that have been under way for long: where their tasks wait, by `/proc/TID/stack`.
//!
//! A task that waits makes no event. Once nothing was heard of one that releases for a while, its stack is read, once,
//! and reported as an event of its own, so that a recording has it as well.

use std::time::Duration;

use hashbrown::HashMap;

use super::stacks::Stacks;
use crate::{
    event::{DeviceAddress, Event, EventKind, Hook, Message, Task, Time},
    kernel::where_task_waits,
};

/// How long nothing was heard of a task before it is looked at: nanoseconds. Whoever judges waits a little longer.
const QUIET: u64 = 4_500_000_000;

/// How often the list is gone through.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The tasks that release.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tasks: HashMap<u32, Releasing>,
    /// The latest event of any task.
    latest: Time,
    /// When the list was gone through last.
    looked: Time,
}

#[derive(Debug)]
struct Releasing {
    task: Task,
    /// The devices whose resources it releases, innermost last.
    devices: Vec<DeviceAddress>,
    /// When something was last heard of it.
    heard: Time,
    /// Its stack was reported since.
    told: bool,
}

impl Waiting {
    /// Something has happened.
    pub(super) fn see(&mut self, event: &Event) {
        self.latest = self.latest.max(event.time);
        let tid = event.task.tid;
        match &event.kind {
            EventKind::Enter(call) if releases(call.hook) => {
                let releasing = self.tasks.entry(tid).or_insert_with(|| Releasing {
                    task: event.task,
                    devices: Vec::new(),
                    heard: event.time,
                    told: false,
                });
                releasing.devices.push(event.device);
            }
            EventKind::Leave(left) if releases(left.hook) => {
                if let Some(releasing) = self.tasks.get_mut(&tid) {
                    releasing.devices.pop();
                    if releasing.devices.is_empty() {
                        self.tasks.remove(&tid);
                    }
                }
            }
            _ => {}
        }
        if !self.tasks.is_empty()
            && let Some(releasing) = self.tasks.get_mut(&tid)
        {
            releasing.heard = event.time;
            releasing.told = false;
        }
    }

    /// Reports where tasks wait of which nothing was heard for long.
    pub(super) fn look(&mut self, now: Time, stacks: &mut Stacks, sink: &mut impl FnMut(Event)) {
        let every = u64::try_from(LOOK_EVERY.as_nanos()).unwrap_or(u64::MAX);
        if self.tasks.is_empty() || now.since(self.looked) < every {
            return;
        }
        self.looked = now;
        for (tid, releasing) in &mut self.tasks {
            if releasing.told || now.since(releasing.heard) < QUIET {
                continue;
            }
            releasing.told = true;
            let frames = where_task_waits(*tid);
            if frames.is_empty() {
                continue;
            }
            let definition = stacks.define_by_names(frames);
            let event = |kind, stack| Event {
                // Whatever the task does next is later than that.
                time: Time(releasing.heard.0.saturating_add(QUIET)).max(self.latest),
                task: releasing.task,
                cpu: 0,
                device: releasing.devices.last().copied().unwrap_or_default(),
                stack,
                kind,
            };
            let id = definition.id;
            sink(event(EventKind::Stack(definition), None));
            sink(event(EventKind::Message(Message::Waits), Some(id)));
        }
    }
}

fn releases(hook: Hook) -> bool {
    matches!(hook, Hook::ReleaseAll | Hook::ReleaseGroup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Call, CallDetail, Return};

    #[test]
    fn only_a_task_that_releases_and_is_quiet_is_looked_at() {
        // This thread is one whose stack there is, and may not be read.
        let task = Task {
            tid: nix::unistd::gettid().as_raw().cast_unsigned(),
            ..Task::default()
        };
        let event = |seconds: u64, kind| Event {
            time: Time(seconds * 1_000_000_000),
            task,
            cpu: 0,
            device: DeviceAddress(0x10),
            stack: None,
            kind,
        };
        let enter = |hook| {
            EventKind::Enter(Call {
                hook,
                detail: CallDetail::None,
            })
        };
        let leave = EventKind::Leave(Return {
            hook: Hook::ReleaseAll,
            value: None,
            pm: None,
            node: None,
        });
        let mut waiting = Waiting::default();
        let mut stacks = Stacks::new(None);
        let mut told = |waiting: &mut Waiting, seconds: u64| {
            let now = Time(seconds * 1_000_000_000);
            waiting.look(now, &mut stacks, &mut |_| {});
            waiting.tasks.values().any(|releasing| releasing.told)
        };
        waiting.see(&event(1, enter(Hook::Unbind)));
        assert!(!told(&mut waiting, 20));
        waiting.see(&event(21, enter(Hook::ReleaseAll)));
        assert!(!told(&mut waiting, 22));
        assert!(told(&mut waiting, 26));
        waiting.see(&event(27, enter(Hook::Delete)));
        assert!(!told(&mut waiting, 28));
        waiting.see(&event(29, leave));
        assert!(waiting.tasks.is_empty() && !told(&mut waiting, 60));
    }
}
