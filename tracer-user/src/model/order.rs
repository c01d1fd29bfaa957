//! Whether events come in the order in which they happened, and each of them once.
//!
//! A source yields them in the order of the kernel. What has been on its way through files, mails and hands may
//! have lost that: within one task time never runs backwards, and nothing happens twice at once.

use super::{
    DeviceId, Model,
    device::Record,
    last_event::{Act, Last},
};
use crate::event::{Event, EventKind, Hook, Task, Time};

/// Tasks whose clocks are kept; one that comes in the place of another is not compared the first time.
const CLOCKS: usize = 64;

/// The latest time at which something was seen of some tasks. Bounded: of more tasks than it has places some
/// are not compared.
#[derive(Debug, Clone)]
pub(super) struct Clocks([Clock; CLOCKS]);

#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    tid: u32,
    tgid: u32,
    cpu: u16,
    latest: Time,
}

impl Default for Clocks {
    fn default() -> Self {
        Self([Clock::default(); CLOCKS])
    }
}

impl Clocks {
    /// Something of `task` was seen at `time`; whether something later was seen before.
    fn runs_backwards(&mut self, task: &Task, cpu: u16, time: Time) -> bool {
        // Idle tasks have one number, on each CPU one.
        let cpu = if task.tid == 0 { cpu } else { 0 };
        let Some(clock) = self.0.get_mut(task.tid as usize % CLOCKS) else {
            return false;
        };
        if (clock.tid, clock.tgid, clock.cpu) == (task.tid, task.tgid, cpu) {
            let backwards = time < clock.latest;
            clock.latest = clock.latest.max(time);
            return backwards;
        }
        *clock = Clock {
            tid: task.tid,
            tgid: task.tgid,
            cpu,
            latest: time,
        };
        false
    }
}

/// By how much, in nanoseconds, an event may be older than the one before it if another task on another CPU wrote that.
/// Events of one task are never older.
const APART: u64 = 1_000_000;

/// Whether an event of this kind comes where the task is: an interrupt comes in between, and may free memory; a message of the kernel when it
/// is printed, and a device's identity and snapshot come from the source itself.
fn has_place(kind: &EventKind) -> bool {
    match kind {
        EventKind::Enter(call) => !matches!(call.hook, Hook::IrqHandler | Hook::Free),
        EventKind::Device(_)
        | EventKind::Snapshot(_)
        | EventKind::Message(_)
        | EventKind::Loss(_) => false,
        EventKind::Stack(_)
        | EventKind::Add(_)
        | EventKind::Remove(_)
        | EventKind::Release(_)
        | EventKind::Replace(_)
        | EventKind::RemoveAction { .. }
        | EventKind::ModuleFree { .. }
        | EventKind::Leave(_) => true,
    }
}

/// What is wrong with an event's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// Something later of the same task was seen before.
    Late,
    /// It was seen already.
    Again,
    /// Something that must have come before it was not seen.
    Unfitting,
}

impl Record {
    /// Whether the task has called `devres_close_group` for a group that there is, and something other than the
    /// closing marker follows: nothing in between can fail.
    fn lacks_marker(&mut self, tid: u32, kind: &EventKind) -> bool {
        let groups = &self.groups;
        let awaited = self.group_call.take_if(|call| {
            call.hook == Hook::CloseGroup && call.tid == tid && !matches!(kind, EventKind::Add(_))
        });
        awaited
            .and_then(|call| call.open)
            .and_then(|open| groups.of_marker(open))
            .is_some_and(|group| group.close.is_none())
    }
}

impl Model {
    /// Compares the event's place with what was seen of its task and its device.
    pub(super) fn place(&mut self, event: &Event) -> Option<Misplaced> {
        let (task, time) = (&event.task, event.time);
        let timed = self.coverage.times;
        // Of lines that don't give their task only those of one device are compared.
        let known = task.tid != 0 || task.comm != crate::event::Comm::default();
        let mut late = timed
            && known
            && has_place(&event.kind)
            && self.clocks.runs_backwards(task, event.cpu, time);
        let Some(act) = Act::of(&event.kind) else {
            return late.then_some(Misplaced::Late);
        };
        // A stack is reported before the first event that has it.
        let lacks_stack = event
            .stack
            .is_some_and(|stack| self.last_loss.is_none() && !self.stacks.contains_key(&stack));
        let last = Last {
            time,
            tid: task.tid,
            act,
        };
        if let Some(id) = self.devices.at(event.device)
            && let Some(record) = self.devices.get_mut(id)
        {
            if let Some(before) = record.last {
                let same_task = before.tid == last.tid;
                let at_once = if timed {
                    before.time == time
                } else {
                    act.is_once()
                };
                if same_task && before.act == act && at_once {
                    return Some(Misplaced::Again);
                }
                let most = if same_task { 0 } else { APART };
                late |= timed && before.time.since(time) > most;
            }
            record.last = Some(last);
            if record.lacks_marker(task.tid, &event.kind) {
                return Some(if late {
                    Misplaced::Late
                } else {
                    Misplaced::Unfitting
                });
            }
        }
        if late {
            return Some(Misplaced::Late);
        }
        lacks_stack.then_some(Misplaced::Unfitting)
    }

    /// The devices that something on the current task is about.
    pub(super) fn involved(&self) -> Vec<DeviceId> {
        let frames = self.tasks.of(&self.now.task).iter();
        let mut involved: Vec<DeviceId> = frames.filter_map(|frame| frame.device).collect();
        involved.extend(self.devices.at(self.now.device));
        involved.sort_unstable_by_key(|id| id.slot);
        involved.dedup();
        involved
    }
}
