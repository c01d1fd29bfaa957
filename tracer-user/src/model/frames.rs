//! What runs on each task: functions that were entered and have not returned.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{DeviceId, Left, group::Range, node::Context};
use crate::event::{DeviceAddress, Hook, NodeAddress, PmDomain, StackId, Task, Time};

/// Tasks with frames that are kept; beyond that the longest silent one is forgotten.
const MOST_TASKS: usize = 4096;
/// Frames of one task that are kept.
const MOST_FRAMES: usize = 128;

/// A function that was entered and has not returned.
#[derive(Debug, Clone)]
pub struct Frame {
    pub(super) hook: Hook,
    pub(super) device: Option<DeviceId>,
    pub(super) address: DeviceAddress,
    pub(super) entered: Time,
    pub(super) sequence: u64,
    pub(super) stack: Option<StackId>,
    pub(super) context: Option<Arc<Context>>,
    pub(super) work: Work,
    /// The hooks of functions that were entered for the same device while it ran, as bits.
    pub(super) inside: u64,
}

impl Frame {
    /// Which function.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// For which device; `None` where it has none.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// When it was entered.
    #[must_use]
    pub fn entered(&self) -> Time {
        self.entered
    }

    /// The place of its entry in the order of everything seen. If events were lost later than this, it may
    /// have returned unseen.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its return.
    pub(super) fn left(&self, value: Option<i64>, pm: Option<PmDomain>, inferred: bool) -> Left {
        Left {
            hook: self.hook,
            device: self.device,
            entered: self.entered,
            sequence: self.sequence,
            stack: self.stack,
            value,
            pm,
            inferred,
            inside: self.inside,
        }
    }
}

/// What the model must remember of a function while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    Release(Batch),
    Krealloc {
        pointer: u64,
        /// The node that was replaced, and its address before.
        replaced: Option<(NodeMark, NodeAddress)>,
    },
}

/// One run of `release_nodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) number: u32,
    /// What it takes off the list; `None` for a group that the model doesn't have.
    pub(super) range: Option<Range>,
    /// Whether the nodes have been taken off the list.
    pub(super) formed: bool,
    /// Nodes released, without group markers.
    pub(super) released: u32,
}

/// A node that may have gone meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeMark {
    pub(super) slot: u32,
    pub(super) sequence: u64,
}

#[derive(Debug, Clone, Default)]
struct TaskFrames {
    task: Task,
    heard: u64,
    frames: Vec<Frame>,
}

/// The frames of all tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tasks: HashMap<u32, TaskFrames>,
    /// Emptied vectors, to be filled again.
    spare: Vec<Vec<Frame>>,
}

impl Tasks {
    /// The frames of `task`, outermost first.
    pub(super) fn of(&self, task: &Task) -> &[Frame] {
        self.tasks
            .get(&task.tid)
            .filter(|entry| entry.task.tgid == task.tgid)
            .map_or(&[], |entry| &entry.frames)
    }

    /// Whether anything runs on any task.
    pub(super) fn any_runs(&self) -> bool {
        self.tasks.values().any(|entry| !entry.frames.is_empty())
    }

    /// What runs, on any task.
    pub(super) fn running(&self) -> impl Iterator<Item = (Task, &Frame)> {
        self.tasks
            .values()
            .flat_map(|entry| entry.frames.iter().map(|frame| (entry.task, frame)))
    }

    pub(super) fn of_mut(&mut self, task: &Task) -> &mut [Frame] {
        self.tasks
            .get_mut(&task.tid)
            .filter(|entry| entry.task.tgid == task.tgid)
            .map_or(&mut [], |entry| &mut entry.frames)
    }

    pub(super) fn has_foreign(&self, task: &Task) -> bool {
        self.tasks
            .get(&task.tid)
            .is_some_and(|entry| entry.task.tgid != task.tgid)
    }

    /// Enters a function. Returns the frames that had to be forgotten for it.
    pub(super) fn push(&mut self, task: &Task, sequence: u64, frame: Frame) -> Vec<Frame> {
        let mut forgotten = Vec::new();
        if self.tasks.len() >= MOST_TASKS
            && !self.tasks.contains_key(&task.tid)
            && let Some(silent) = self
                .tasks
                .iter()
                .min_by_key(|(_, entry)| entry.heard)
                .map(|(tid, _)| *tid)
        {
            forgotten = self.forget(silent);
        }
        let entry = self.tasks.entry(task.tid).or_insert_with(|| TaskFrames {
            frames: self.spare.pop().unwrap_or_default(),
            ..TaskFrames::default()
        });
        entry.task = *task;
        entry.heard = sequence;
        if entry.frames.len() >= MOST_FRAMES {
            forgotten.push(entry.frames.remove(0));
        }
        entry.frames.push(frame);
        forgotten
    }

    /// Takes the innermost frame of `task`.
    pub(super) fn pop(&mut self, task: &Task) -> Option<Frame> {
        let entry = self.tasks.get_mut(&task.tid)?;
        let frame = entry.frames.pop();
        self.tidy(task.tid);
        frame
    }

    /// Takes the frame at `depth`, counted from the outermost, from between its neighbours.
    pub(super) fn remove(&mut self, task: &Task, depth: usize) -> Option<Frame> {
        let entry = self.tasks.get_mut(&task.tid)?;
        let frame = (depth < entry.frames.len()).then(|| entry.frames.remove(depth));
        self.tidy(task.tid);
        frame
    }

    /// All frames of the task with this number, innermost first.
    pub(super) fn forget(&mut self, tid: u32) -> Vec<Frame> {
        let mut frames = self
            .tasks
            .remove(&tid)
            .map(|entry| entry.frames)
            .unwrap_or_default();
        frames.reverse();
        frames
    }

    fn tidy(&mut self, tid: u32) {
        if let Some(entry) = self.tasks.get_mut(&tid)
            && entry.frames.is_empty()
        {
            let spare = std::mem::take(&mut entry.frames);
            if self.spare.len() < 64 {
                self.spare.push(spare);
            }
            self.tasks.remove(&tid);
        }
    }

    /// The innermost frame of `task` that `wanted` accepts, counted from the outermost.
    pub(super) fn innermost(
        &self,
        task: &Task,
        wanted: impl FnMut(&Frame) -> bool,
    ) -> Option<usize> {
        self.of(task).iter().rposition(wanted)
    }
}
