//! What was read, in little room: events are made of it when they are asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use hashbrown::HashMap;

use super::{
    call::{Call, Release},
    chunks::Chunks,
    devices::Devices,
    function_tracer::Unusable,
    names::{NameId, Names, Tasks},
    pointers::Pointers,
    resource::Operation,
};
use crate::event::{Hook, Message, StackFrame, Task};

/// One event of the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// Nanoseconds; of a line without time those of the line before.
    pub(super) time: u64,
    pub(super) task: u32,
    pub(super) cpu: u16,
    pub(super) kind: RecordKind,
}

/// What a record tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordKind {
    /// The tracepoint, or its counterpart in the kernel's log.
    Node(NodeRecord),
    /// A function: its place in [`Records::calls`].
    Call(u32),
    /// The kernel itself told of devres: its place in [`Records::messages`].
    Message(u32),
    /// This many events are missing.
    Lost(u64),
}

/// What `devres_log` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeRecord {
    pub(super) operation: Operation,
    pub(super) device: NameId,
    /// In the kernel's log, the driver's name, or the bus's where there is no driver.
    pub(super) driver: Option<NameId>,
    pub(super) name: Option<NameId>,
    pub(super) size: u64,
    /// As printed; zero where it isn't.
    pub(super) node: u64,
    /// What function events told of the node.
    pub(super) facts: Option<FactsId>,
}

/// The place of a node's [`Facts`], counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FactsId(pub(super) NonZeroU32);

/// What function events tell of an added node beyond the tracepoint. Zero where they don't.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) device: u64,
    pub(super) node: u64,
    pub(super) release: Option<Release>,
    pub(super) payload: u64,
    /// The function that an action calls.
    pub(super) action: Option<Release>,
    /// The first words of the payload, and an action's argument, where they are told.
    pub(super) words: Option<[u64; 2]>,
    pub(super) action_data: u64,
    pub(super) group: u64,
}

/// What the kernel itself told of devres.
#[derive(Debug)]
pub(super) struct MessageRecord {
    /// Nothing where a report turned out to be none of devres.
    pub(super) message: Option<Message>,
    /// What stands for the device, where it is known.
    pub(super) device: Option<NameId>,
    pub(super) driver: Option<NameId>,
    pub(super) task: Task,
    /// The stack that followed, innermost first.
    pub(super) frames: Vec<StackFrame>,
    /// Where it was written, as far as told.
    pub(super) cpu: u16,
    /// The release that it follows closely.
    pub(super) behind: Option<NodeRecord>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) all: Chunks<Record>,
    pub(super) calls: Chunks<Call>,
    pub(super) facts: Chunks<Facts>,
    /// Places among the facts that are free again.
    free: Vec<FactsId>,
    pub(super) messages: Vec<MessageRecord>,
    /// Who opened the groups of these facts.
    pub(super) openers: HashMap<FactsId, StackFrame>,
    /// The stacks that tools printed behind events, each once.
    pub(super) stacks: Vec<Vec<StackFrame>>,
    /// Which of them each record has.
    pub(super) stack_of: HashMap<u32, u32>,
    pub(super) names: Names,
    pub(super) tasks: Tasks,
    pub(super) devices: Devices,
    pub(super) pointers: Pointers,
    /// A bit for each hook whose function occurs.
    pub(super) hooks: u64,
    /// Those of which a return occurs.
    pub(super) returned: u64,
    /// For each hook, by its number, what not every call of it tells: a set of roles.
    pub(super) untold: Vec<u32>,
    /// Arguments that were not understood, by name.
    pub(super) strange: BTreeMap<Hook, BTreeSet<String>>,
    /// Hooks that a function tracer told of without anything that would say of which device, and what is missing.
    pub(super) unusable: BTreeMap<Hook, Unusable>,
    /// Whether any line has a time.
    pub(super) timed: bool,
    /// Bytes from a node to its payload, where `devres_add` and `add_dr` told it.
    pub(super) payload_offset: Option<u64>,
}

/// Names of arguments that are kept for each function.
const MOST_STRANGE: usize = 8;
/// The longest name that a kprobe event's argument can have.
const LONGEST_NAME: usize = 32;

impl Records {
    /// Keeps what a call does and doesn't tell.
    pub(super) fn count(&mut self, call: &Call) {
        let hook = call.hook();
        self.hooks |= hook.bit();
        if call.returns() {
            self.returned |= hook.bit();
        }
        self.untold.resize(Hook::COUNT + 1, 0);
        if let Some(untold) = self.untold.get_mut(hook as usize) {
            *untold |= call.untold();
        }
    }

    /// An argument was not understood.
    pub(super) fn not_understood(&mut self, hook: Hook, name: &[u8]) {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.iter().all(is_name) {
            return;
        }
        let names = self.strange.entry(hook).or_default();
        if names.len() < MOST_STRANGE {
            names.insert(String::from_utf8_lossy(name).into_owned());
        }
    }

    pub(super) fn facts(&self, id: Option<FactsId>) -> Facts {
        id.and_then(|id| self.facts.get(id.0.get() - 1))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn facts_mut(&mut self, id: FactsId) -> Option<&mut Facts> {
        self.facts.get_mut(id.0.get() - 1)
    }

    /// Forgets what was handed on: the records before `next`, but for the calls in `entered`, and the facts in `gone`.
    pub(super) fn forget(
        &mut self,
        next: u32,
        entered: impl Iterator<Item = u32>,
        gone: impl Iterator<Item = FactsId>,
    ) {
        self.all.forget(std::iter::once(next));
        let waiting = self.all.get(next).and_then(|record| match record.kind {
            RecordKind::Call(call) => Some(call),
            _ => None,
        });
        self.calls.forget(entered.chain(waiting));
        self.stack_of.retain(|record, _| *record >= next);
        self.devices.forget();
        for facts in gone {
            self.openers.remove(&facts);
            self.free.push(facts);
        }
    }

    /// Keeps facts.
    pub(super) fn keep(&mut self, facts: Facts) -> Option<FactsId> {
        if let Some(id) = self.free.pop()
            && let Some(place) = self.facts_mut(id)
        {
            *place = facts;
            return Some(id);
        }
        self.facts.push(facts);
        NonZeroU32::new(self.facts.len()).map(FactsId)
    }
}
