//! Collects what lines tell, and finds what belongs together.
//!
//! `devres_log` prints a hash of a node's address and the device's name. Where `add_dr` was probed too, it
//! comes right before on the same task and has both addresses, so the hash is replaced by the address from
//! there on, and the device is called by its address.

use hashbrown::HashMap;

use super::{
    backtrace,
    call::{Call, Number},
    call_chain,
    chunks::Chunks,
    function_line::FunctionLine,
    kernel_log::KernelLine,
    message::{Told, What},
    names::NameId,
    prefix::Stamp,
    records::{Facts, FactsId, MessageRecord, NodeRecord, Record, RecordKind, Records},
    resource::{Operation, Resource},
    trace_head::Head,
    trace_line::TraceLine,
};
use crate::event::{Comm, Hook, Message, NodeAddress, NodeReference, Task};

/// Tasks about which something is remembered at the same time.
const MOST_TASKS: usize = 4096;
/// Functions of one task that are entered and have not returned.
const MOST_FRAMES: usize = 128;
/// Within this, what the kernel finds in freed memory belongs to the release before it: nanoseconds. Serial
/// consoles take some hundredths of a second for a line.
const ONE_BREATH: u64 = 1_000_000_000;

/// What was just seen on a task.
#[derive(Debug, Default)]
struct Context {
    /// `add_dr` was entered, and nothing else happened since.
    added: Option<Call>,
    /// `devres_add` was entered with this device and payload.
    payload: Option<(u64, u64)>,
    /// `devres_open_group` was entered with this id, and adds its marker.
    opening: Option<(u64, Option<FactsId>)>,
    /// Functions entered and not left, by their place among the calls.
    frames: Vec<u32>,
    /// The last record of the tracepoint.
    last_node: Option<u32>,
    /// For each of them, the releases that the tracepoint told while it was the innermost.
    told: Vec<u32>,
}

/// Collects what lines tell.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) records: Records,
    contexts: HashMap<u32, Context>,
    /// Nodes whose address is known, by what the tracepoint prints.
    printed: HashMap<u64, FactsId>,
    /// The device without a name at present.
    unnamed: Option<NameId>,
    /// Nodes of devices without a name.
    of_unnamed: HashMap<u64, NameId>,
    /// Names of tasks that events themselves tell: a buffer that outlived a reset has no others.
    comms: HashMap<u32, Comm>,
    /// The stacks by their text.
    stacks: HashMap<Vec<u8>, u32>,
    clock: u64,
    offset_differs: bool,
}

/// When and where something happened.
#[derive(Debug, Clone, Copy)]
struct Place {
    task: u32,
    tid: u32,
    cpu: u16,
}

impl Collector {
    /// A line of the kernel's log.
    pub(super) fn kernel_line(&mut self, line: &KernelLine<'_>) {
        self.stamp(line.prefix.time);
        let tid = line.prefix.thread.unwrap_or_default();
        let task = self.records.tasks.intern(Task {
            tid,
            tgid: tid,
            comm: Comm::default(),
        });
        let cpu = line.prefix.cpu.unwrap_or_default();
        let driver = line.who.driver.map(|name| self.records.names.intern(name));
        let node = self.node(line.operation, line.who.device, &line.resource);
        let node = NodeRecord { driver, ..node };
        let place = Place { task, tid, cpu };
        self.push(place, RecordKind::Node(node));
    }

    /// A line of the tracepoint.
    pub(super) fn trace_line(&mut self, line: &TraceLine<'_>) {
        let place = self.place(&line.head);
        let node = self.node(line.operation, line.device, &line.resource);
        let facts = self.pair(place, &node);
        if node.operation == Operation::Release
            && line.resource.name != Some(b"grp<")
            && let Some(context) = self.contexts.get_mut(&place.tid)
            && let Some(told) = context.told.last_mut()
        {
            *told = told.saturating_add(1);
        }
        let node = NodeRecord { facts, ..node };
        let record = self.next_record();
        context(&mut self.contexts, place.tid).last_node = Some(record);
        self.push(place, RecordKind::Node(node));
    }

    /// A function event.
    pub(super) fn call(&mut self, head: &Head, mut call: Call) {
        if let Some(comm) = call.comm.and_then(|comm| self.records.names.text(comm))
            && (self.comms.len() < MOST_TASKS || self.comms.contains_key(&head.task.tid))
        {
            self.comms.insert(head.task.tid, Comm::new(&comm));
        }
        let place = self.place(head);
        let record = self.next_record();
        let number = self.records.calls.len();
        self.records.hooks |= 1 << call.hook as u64;
        if let (Some(name), true) = (call.name, call.device != 0) {
            self.records.devices.learn(record, name, call.device);
        }
        let context = context(&mut self.contexts, place.tid);
        context.added = None;
        // A stack that follows is this call's, of which none is kept.
        context.last_node = None;
        let mut missing = 0;
        match (call.hook, call.returns) {
            (Hook::Initialise, false) => self.records.devices.begin(record, call.device),
            (Hook::DevresAdd, false) => {
                context.payload = call.pointer.map(|payload| (call.device, payload.get()));
            }
            (Hook::AddDr, false) => {
                if let Some((device, payload)) = context.payload.take()
                    && device == call.device
                {
                    call.pointer = Number::new(payload);
                    self.offset_differs |= learn_offset(&mut self.records, payload, call.node);
                }
                context.added = Some(call);
            }
            (Hook::OpenGroup, false) => {
                context.opening = Some((call.group.map_or(0, Number::get), None));
            }
            (Hook::OpenGroup, true) => {
                let id = call.group.or(call.value);
                if let (Some((0, Some(facts))), Some(id)) = (context.opening.take(), id)
                    && let Some(facts) = self.records.facts_mut(facts)
                {
                    facts.group = id.get();
                }
            }
            (hook, false) if hook.returns() => {
                if context.frames.len() >= MOST_FRAMES {
                    context.frames.remove(0);
                    context.told.remove(0);
                }
                context.frames.push(number);
                context.told.push(0);
            }
            (hook, true) if hook.returns() => {
                let calls = &mut self.records.calls;
                if let Some(depth) = frame_of(&call, &context.frames, calls) {
                    call.entered = context.frames.get(depth).copied();
                    context.frames.truncate(depth);
                    // Those within it, too: their own returns may be missing.
                    let told = context.told.drain(depth..).fold(0, u32::saturating_add);
                    missing = missing_releases(&call, told);
                }
                // What a function will return tells what it found.
                let entered = call.entered.and_then(|entered| calls.get_mut(entered));
                if let Some(entered) = entered {
                    entered.value = call.value;
                }
            }
            _ => {}
        }
        self.records.calls.push(call);
        if missing > 0 && self.records.pointers.any() {
            self.push(place, RecordKind::Lost(missing));
        }
        self.push(place, RecordKind::Call(number));
    }

    /// `devres_open_group` returns: where to tells who opened the group that was just added.
    pub(super) fn opened_by(&mut self, event: &FunctionLine<'_>) {
        let opening = self
            .contexts
            .get(&event.head.task.tid)
            .and_then(|context| context.opening.as_ref());
        if let Some((_, Some(facts))) = opening
            && let Some(caller) = event.returns_to.and_then(backtrace::frame)
        {
            self.records.openers.insert(*facts, caller);
        }
    }

    /// The kernel itself told of devres. Whether that is to be an event.
    pub(super) fn message(&mut self, told: Told<'_>) -> bool {
        let mut device = told.who.map(|who| self.device_of(who.device));
        let driver = told.who.and_then(|who| who.driver);
        let message = match told.what {
            What::ProbeRefused => Message::ProbeRefused,
            What::Warning { function, line } => Message::Warning { function, line },
            What::FreedActive { object, hint } => {
                let Some(RecordKind::Node(released)) = self.last_record() else {
                    return false;
                };
                let name = released.name.and_then(|name| self.records.names.text(name));
                if self.is_far(told.time) || !holds(name.as_deref(), released.size, &object) {
                    return false;
                }
                device = Some(released.device);
                let block = NodeReference {
                    node: NodeAddress(released.node),
                    name,
                    size: Some(released.size),
                };
                Message::FreedActive {
                    object,
                    hint,
                    block,
                }
            }
        };
        self.stamp(told.time);
        let tid = told.thread.unwrap_or_default();
        let task = Task {
            tid,
            tgid: tid,
            comm: Comm::default(),
        };
        let number = u32::try_from(self.records.messages.len()).unwrap_or(u32::MAX);
        let driver = driver.map(|name| self.records.names.intern(name));
        self.records.messages.push(MessageRecord {
            message,
            device,
            driver,
            task,
            frames: Vec::new(),
        });
        let place = Place {
            task: 0,
            tid,
            cpu: told.cpu.unwrap_or_default(),
        };
        self.push(place, RecordKind::Message(number));
        true
    }

    /// What lines behind the last message tell of it.
    pub(super) fn last_message(&mut self) -> Option<&mut MessageRecord> {
        self.records.messages.last_mut()
    }

    /// The record to which a stack belongs that begins at this line, or that follows the last line.
    pub(super) fn stack_owner(&self, head: Option<&Head>) -> Option<u32> {
        match head {
            Some(head) => self.contexts.get(&head.task.tid)?.last_node,
            None => self.records.all.len().checked_sub(1),
        }
    }

    /// A record's stack, as it was printed.
    pub(super) fn stack(&mut self, record: u32, text: &[u8]) {
        let number = if let Some(known) = self.stacks.get(text) {
            *known
        } else {
            let number = u32::try_from(self.records.stacks.len()).unwrap_or(u32::MAX);
            self.records.stacks.push(call_chain::read(text));
            self.stacks.insert(text.to_vec(), number);
            number
        };
        self.records.stack_of.insert(record, number);
    }

    /// Whether the last record is a release.
    pub(super) fn has_just_released(&self) -> bool {
        matches!(
            self.last_record(),
            Some(RecordKind::Node(NodeRecord {
                operation: Operation::Release,
                ..
            }))
        )
    }

    fn last_record(&self) -> Option<RecordKind> {
        let all = &self.records.all;
        Some(all.get(all.len().checked_sub(1)?)?.kind)
    }

    /// The input says that events are missing.
    pub(super) fn lost(&mut self, count: u64) {
        let task = self.records.tasks.intern(Task::default());
        let place = Place {
            task,
            tid: 0,
            cpu: 0,
        };
        self.push(place, RecordKind::Lost(count));
    }

    /// Everything is collected.
    pub(super) fn finish(mut self) -> Records {
        if self.offset_differs {
            self.records.payload_offset = None;
        }
        self.records
    }

    /// Whether so much time has passed that it has nothing to do with the last record.
    fn is_far(&self, stamp: Option<Stamp>) -> bool {
        match stamp {
            Some(Stamp::At(time)) => self.records.timed && time.abs_diff(self.clock) > ONE_BREATH,
            Some(Stamp::After(time)) => time > ONE_BREATH,
            None => false,
        }
    }

    fn stamp(&mut self, stamp: Option<Stamp>) {
        match stamp {
            Some(Stamp::At(time)) => self.at(Some(time)),
            Some(Stamp::After(time)) => self.at(Some(self.clock.saturating_add(time))),
            None => {}
        }
    }

    fn at(&mut self, time: Option<u64>) {
        if let Some(time) = time {
            self.records.timed = true;
            self.clock = time;
        }
    }

    fn place(&mut self, head: &Head) -> Place {
        self.at(head.time);
        let mut task = head.task;
        if task.comm == Comm::default()
            && let Some(comm) = self.comms.get(&task.tid)
        {
            task.comm = *comm;
        }
        Place {
            task: self.records.tasks.intern(task),
            tid: head.task.tid,
            cpu: head.cpu,
        }
    }

    fn next_record(&self) -> u32 {
        self.records.all.len()
    }

    fn push(&mut self, place: Place, kind: RecordKind) {
        self.records.all.push(Record {
            time: self.clock,
            task: place.task,
            cpu: place.cpu,
            kind,
        });
    }

    fn node(
        &mut self,
        operation: Operation,
        device: Option<&[u8]>,
        resource: &Resource<'_>,
    ) -> NodeRecord {
        let node = resource.node.value();
        let id = self.device_of(device);
        if device.is_some() {
            self.identify_unnamed(operation, id, node);
        } else if operation == Operation::Add && node != 0 {
            self.of_unnamed.insert(node, id);
        }
        self.records.pointers.count(operation, resource.node);
        NodeRecord {
            operation,
            device: id,
            driver: None,
            name: resource.name.map(|name| self.records.names.intern(name)),
            size: resource.size,
            node,
            facts: None,
        }
    }

    /// What stands for a device by its name, or for the one without a name.
    fn device_of(&mut self, name: Option<&[u8]>) -> NameId {
        let names = &mut self.records.names;
        match name {
            Some(name) => names.intern(name),
            None => *self.unnamed.get_or_insert_with(|| names.unnamed()),
        }
    }

    /// A node that was added when its device had no name tells which device that was.
    fn identify_unnamed(&mut self, operation: Operation, name: NameId, node: u64) {
        if self.of_unnamed.is_empty() {
            return;
        }
        if let Some(unnamed) = self.of_unnamed.remove(&node)
            && operation != Operation::Add
        {
            self.records.devices.named(unnamed, name);
            if self.unnamed == Some(unnamed) {
                self.unnamed = None;
            }
        }
    }

    /// What function events told of the node that a line of the tracepoint names.
    fn pair(&mut self, place: Place, node: &NodeRecord) -> Option<FactsId> {
        if self.records.hooks == 0 {
            return None;
        }
        let record = self.next_record();
        let context = context(&mut self.contexts, place.tid);
        let added = context.added.take();
        if node.operation != Operation::Add {
            let known = self.printed.get(&node.node).copied();
            if node.operation != Operation::Replace {
                self.printed.remove(&node.node);
            }
            return known;
        }
        self.printed.remove(&node.node);
        let is_group = node
            .name
            .and_then(|name| self.records.names.text(name))
            .is_some_and(|name| &*name == "grp<");
        let opening = context.opening.as_mut().filter(|_| is_group);
        if added.is_none() && opening.is_none() {
            return None;
        }
        let facts = self.records.keep(Facts {
            device: added.map_or(0, |call| call.device),
            node: added.map_or(0, |call| call.node),
            release: added.and_then(|call| call.release),
            payload: added.and_then(|call| call.pointer).map_or(0, Number::get),
            action: added.and_then(|call| call.action),
            words: added.and_then(words),
            action_data: added
                .and_then(|call| call.data.or(call.words[0]))
                .map_or(0, Number::get),
            group: opening.as_ref().map_or(0, |(id, _)| *id),
        })?;
        if let Some(opening) = opening {
            opening.1 = Some(facts);
        }
        if let Some(added) = added {
            self.printed.insert(node.node, facts);
            self.records.pointers.pair();
            if self.records.names.text(node.device).is_some() && added.device != 0 {
                self.records
                    .devices
                    .learn(record, node.device, added.device);
            }
        }
        Some(facts)
    }
}

/// The first words of an added node's payload, where they are told.
fn words(added: Call) -> Option<[u64; 2]> {
    let [first, second] = added.words;
    Some([first?.get(), second?.get()])
}

/// Whether a block that is released can have had an object of this type in it. Only of plain memory does the
/// size tell: others release more than their payload.
fn holds(release: Option<&str>, size: u64, object: &str) -> bool {
    // As small as on 32-bit kernels.
    let smallest = match object {
        "timer_list" => 20,
        "work_struct" => 16,
        "hrtimer" => 40,
        _ => 0,
    };
    let is_memory = release.is_some_and(|name| {
        matches!(
            name,
            "devm_kzalloc_release" | "devm_kmalloc_release" | "devm_krealloc_release"
        )
    });
    !is_memory || size >= smallest
}

/// How many releases a function that returns has counted, and the tracepoint has not told.
fn missing_releases(left: &Call, told: u32) -> u64 {
    if !matches!(left.hook, Hook::ReleaseAll | Hook::ReleaseGroup) {
        return 0;
    }
    let counted = left.value.map_or(0, Number::get);
    // A negative number is an error, not a count.
    let counted = u32::try_from(counted).ok().filter(|count| count >> 31 == 0);
    counted.map_or(0, |count| u64::from(count.saturating_sub(told)))
}

/// The depth of the frame that returns: the innermost of its function that was called from where it returns
/// to. Captures lack returns where a kretprobe had no room for a recursion.
fn frame_of(left: &Call, frames: &[u32], calls: &Chunks<Call>) -> Option<usize> {
    let call = |depth: usize| calls.get(*frames.get(depth)?);
    let may_return = |depth: &usize| {
        call(*depth).is_some_and(|entered| {
            let around = (0..*depth)
                .rev()
                .filter_map(call)
                .find(|around| around.device == entered.device)
                .map(|around| around.hook);
            entered.may_return(left, around)
        })
    };
    let innermost = || {
        let is_it = |depth: &usize| call(*depth).is_some_and(|call| call.hook == left.hook);
        (0..frames.len()).rev().find(is_it)
    };
    (0..frames.len()).rev().find(may_return).or_else(innermost)
}

fn context(contexts: &mut HashMap<u32, Context>, tid: u32) -> &mut Context {
    if contexts.len() >= MOST_TASKS && !contexts.contains_key(&tid) {
        contexts.clear();
    }
    contexts.entry(tid).or_default()
}

/// Learns how far behind a node its payload lies. Whether that contradicts what was learned before.
fn learn_offset(records: &mut Records, payload: u64, node: u64) -> bool {
    let Some(offset) = payload.checked_sub(node).filter(|_| node != 0) else {
        return false;
    };
    *records.payload_offset.get_or_insert(offset) != offset
}
