//! What was read, in little room: events are made of it when they are asked for.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use super::{
    call::Call,
    devices::Devices,
    entry::NodeRecord,
    names::{NameId, Names, Tasks},
    pointers::Pointers,
    spool::Spool,
    strange::Strange,
};
use crate::{
    event::{Hook, Message, StackFrame, Task},
    source::text::record::function_tracer::Unusable,
};

/// What the kernel itself reported about devres.
#[derive(Debug)]
pub(in crate::source::text) struct MessageRecord {
    /// Nothing where a report turned out to be none of devres.
    pub(in crate::source::text) message: Option<Message>,
    /// What stands for the device, where it is known.
    pub(in crate::source::text) device: Option<NameId>,
    pub(in crate::source::text) driver: Option<NameId>,
    pub(in crate::source::text) task: Task,
    /// The stack that followed, innermost first.
    pub(in crate::source::text) frames: Vec<StackFrame>,
    /// Where it was written, as far as known.
    pub(in crate::source::text) cpu: u16,
    /// The release that it follows closely.
    pub(in crate::source::text) behind: Option<NodeRecord>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Records {
    pub(in crate::source::text) all: Spool,
    pub(in crate::source::text) messages: Vec<MessageRecord>,
    /// The stacks that tools printed behind events, and those of groups' openers, each once.
    pub(in crate::source::text) stacks: Vec<Vec<StackFrame>>,
    /// Whether tools printed any.
    pub(in crate::source::text) stacks_printed: bool,
    /// Names of devices whose address was not known with them.
    pub(in crate::source::text) by_name: Named,
    pub(in crate::source::text) nameless: Nameless,
    pub(in crate::source::text) names: Names,
    pub(in crate::source::text) tasks: Tasks,
    pub(in crate::source::text) devices: Devices,
    pub(in crate::source::text) pointers: Pointers,
    /// A bit for each hook whose function occurs.
    pub(in crate::source::text) hooks: u64,
    /// Those of which an entry occurs.
    pub(in crate::source::text) entered: u64,
    /// Those of which a return occurs.
    pub(in crate::source::text) returned: u64,
    /// For each hook, by its number, what some of its calls lack: a set of roles.
    pub(in crate::source::text) untold: Vec<u32>,
    pub(in crate::source::text) strange: Strange,
    /// Hooks that a function tracer reported without anything that would say of which device, and what is missing.
    pub(in crate::source::text) unusable: BTreeMap<Hook, Unusable>,
    /// Whether any line has a time.
    pub(in crate::source::text) timed: bool,
    /// Whether a device's address with 64 bits occurs.
    pub(in crate::source::text) wide: bool,
    /// Bytes from a node to its payload, where `devres_add` and `add_dr` reported it.
    pub(in crate::source::text) payload_offset: Option<u64>,
}

impl Records {
    /// Reads a call's arguments.
    pub(in crate::source::text) fn read(&mut self, arguments: &[u8], call: &mut Call) {
        call.take(
            arguments,
            &mut self.names,
            &mut self.strange,
            &mut self.wide,
        );
    }

    /// Keeps what a call has and what it lacks.
    pub(in crate::source::text) fn count(&mut self, call: &Call) {
        let hook = call.hook();
        self.hooks |= hook.bit();
        if call.returns() {
            self.returned |= hook.bit();
        } else {
            self.entered |= hook.bit();
        }
        self.untold.resize(Hook::COUNT + 1, 0);
        if let Some(untold) = self.untold.get_mut(hook as usize) {
            *untold |= call.untold();
        }
    }
}

/// A set of names.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Named(Vec<bool>);

impl Named {
    pub(in crate::source::text) fn insert(&mut self, name: NameId) {
        let place = name.number() as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, false);
        }
        if let Some(known) = self.0.get_mut(place) {
            *known = true;
        }
    }

    pub(in crate::source::text) fn iter(&self) -> impl Iterator<Item = NameId> {
        let named = (0..).zip(&self.0).filter(|(_, known)| **known);
        named.filter_map(|(number, _)| NameId::from_number(number))
    }
}

/// Devices of which there are calls and no name.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Nameless {
    /// Those that may still get one.
    waiting: HashSet<u64>,
    /// Another device has begun at the address of such a one.
    any: bool,
}

impl Nameless {
    /// There is a call for the device at this address, which has no name yet.
    pub(in crate::source::text) fn call(&mut self, address: u64) {
        self.waiting.insert(address);
    }

    /// The name of the device at this address is reported.
    pub(in crate::source::text) fn named(&mut self, address: u64) {
        if !self.waiting.is_empty() {
            self.waiting.remove(&address);
        }
    }

    /// A device begins at this address.
    pub(in crate::source::text) fn begin(&mut self, address: u64) {
        self.any |= self.waiting.remove(&address);
    }

    /// Whether there are any whose name is never known.
    pub(in crate::source::text) fn any(&self) -> bool {
        self.any || !self.waiting.is_empty()
    }
}
