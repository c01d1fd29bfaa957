//! What was read, in little room: events are made of it when they are asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use hashbrown::HashSet;

use super::{
    call::{Call, Release},
    devices::Devices,
    function_tracer::Unusable,
    names::{NameId, Names, Tasks},
    pointers::Pointers,
    resource::Operation,
    spool::Spool,
};
use crate::event::{Hook, Message, StackFrame, Task};

/// One event of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Nanoseconds; of a line without time those of the line before.
    pub(super) time: u64,
    pub(super) task: u32,
    pub(super) cpu: u16,
    /// The stack that was printed behind it: its place in [`Records::stacks`], counted from one.
    pub(super) stack: Option<NonZeroU32>,
    pub(super) kind: RecordKind,
}

/// What a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// The tracepoint, or its counterpart in the kernel's log.
    Node(NodeRecord),
    /// A function.
    Call(Call),
    /// The kernel itself told of devres: its place in [`Records::messages`].
    Message(u32),
    /// This many events are missing.
    Lost(u64),
}

impl Default for RecordKind {
    fn default() -> Self {
        Self::Lost(0)
    }
}

/// What `devres_log` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeRecord {
    pub(super) operation: Operation,
    pub(super) device: NameId,
    /// In the kernel's log, the driver's name, or the bus's where there is no driver.
    pub(super) driver: Option<NameId>,
    pub(super) name: Option<NameId>,
    pub(super) size: u64,
    /// As printed; zero where it isn't.
    pub(super) node: u64,
    /// Where both are, as function events told.
    pub(super) real: Real,
    /// What else they told of an added node.
    pub(super) facts: Option<Facts>,
}

/// The addresses of a node and its device, where function events tell them; else zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Real {
    pub(super) device: u64,
    pub(super) node: u64,
}

/// What function events tell of an added node beyond the tracepoint. Zero where they don't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
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
    pub(super) all: Spool,
    pub(super) messages: Vec<MessageRecord>,
    /// The stacks that tools printed behind events, and those of groups' openers, each once.
    pub(super) stacks: Vec<Vec<StackFrame>>,
    /// Whether tools printed any.
    pub(super) stacks_printed: bool,
    /// Names of devices whose address was not told with them.
    pub(super) by_name: Named,
    pub(super) nameless: Nameless,
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
}

/// A set of names.
#[derive(Debug, Default)]
pub(super) struct Named(Vec<bool>);

impl Named {
    pub(super) fn insert(&mut self, name: NameId) {
        let place = name.number() as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, false);
        }
        if let Some(known) = self.0.get_mut(place) {
            *known = true;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NameId> {
        let named = (0..).zip(&self.0).filter(|(_, known)| **known);
        named.filter_map(|(number, _)| NameId::from_number(number))
    }
}

/// Devices of which there are calls and no name.
#[derive(Debug, Default)]
pub(super) struct Nameless {
    /// Those that may still get one.
    waiting: HashSet<u64>,
    /// Another device has begun at the address of such a one.
    any: bool,
}

impl Nameless {
    /// There is a call for the device at this address, which has no name yet.
    pub(super) fn call(&mut self, address: u64) {
        self.waiting.insert(address);
    }

    /// The name of the device at this address is told.
    pub(super) fn named(&mut self, address: u64) {
        if !self.waiting.is_empty() {
            self.waiting.remove(&address);
        }
    }

    /// A device begins at this address.
    pub(super) fn begin(&mut self, address: u64) {
        self.any |= self.waiting.remove(&address);
    }

    /// Whether there are any whose name is never told.
    pub(super) fn any(&self) -> bool {
        self.any || !self.waiting.is_empty()
    }
}
