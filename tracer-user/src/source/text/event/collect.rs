//! Collects what lines tell, and finds what belongs together.
//!
//! `devres_log` prints a hash of a node's address and the device's name. Where `add_dr` was probed too, it
//! comes right before on the same task and has both addresses, so the hash is replaced by the address from
//! there on, and the device is called by its address.

use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::{
    call::Call,
    entry::{Facts, NodeRecord, Real, Record, RecordKind},
    names::NameId,
    records::{MessageRecord, Records},
};
use crate::{
    event::{Comm, Hook, Message, NodeAddress, NodeReference, Role, StackFrame, Task},
    source::text::{
        envelope::{prefix::Stamp, trace_head::Head},
        record::{
            backtrace, call_chain,
            function_line::FunctionLine,
            kernel_log::{KernelLine, Who},
            message::Refused,
            resource::{Operation, Resource},
            splat::{self, Beginning, Over},
            trace_line::TraceLine,
        },
    },
};

/// Tasks about which something is remembered at the same time.
const MOST_TASKS: usize = 4096;
/// Functions of one task that are entered and have not returned.
const MOST_FRAMES: usize = 128;
/// Within this, what the kernel finds in freed memory belongs to the release before it: nanoseconds. Serial
/// consoles take some hundredths of a second for a line.
const ONE_BREATH: u64 = 1_000_000_000;

/// Lines behind a failed probe within which a report after a failed probe is taken for one of that.
const RIGHT_AFTER_PROBE: u64 = 4;

/// What was just seen on a task.
#[derive(Debug, Default)]
struct Context {
    /// `add_dr` was entered, and nothing else happened since.
    added: Option<Call>,
    /// `devres_add` was entered with this device and payload.
    payload: Option<(u64, u64)>,
    /// `devres_open_group` was entered with this id, and adds the marker of this record.
    opening: Option<(u64, Option<u32>)>,
    /// Functions entered and not left.
    frames: Vec<Frame>,
    /// The last record of the tracepoint.
    last_node: Option<u32>,
    /// For each of them, the releases that the tracepoint told while it was the innermost.
    told: Vec<u32>,
}

/// A function that was entered.
#[derive(Debug, Clone, Copy)]
struct Frame {
    record: u32,
    hook: Hook,
    device: u64,
    name: Option<NameId>,
}

/// Collects what lines tell.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Collector {
    pub(in crate::source::text) records: Records,
    contexts: HashMap<u32, Context>,
    /// Nodes whose address is known, by what the tracepoint prints.
    printed: HashMap<u64, Real>,
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
    /// Places kept for reports whose lines have times.
    timed_places: u32,
    /// The last device whose probe failed, its driver, and the number of the line that says so.
    failed_probe: Option<(NameId, Option<NameId>, u64)>,
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
    pub(in crate::source::text) fn kernel_line(&mut self, line: &KernelLine<'_>) {
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
    pub(in crate::source::text) fn trace_line(&mut self, line: &TraceLine<'_>) {
        let place = self.place(&line.head);
        let node = self.node(line.operation, line.device, &line.resource);
        let (real, facts) = self.pair(place, &node);
        if node.operation == Operation::Release
            && line.resource.name != Some(b"grp<")
            && let Some(context) = self.contexts.get_mut(&place.tid)
            && let Some(told) = context.told.last_mut()
        {
            *told = told.saturating_add(1);
        }
        let node = NodeRecord {
            real,
            facts,
            ..node
        };
        let record = self.next_record();
        context(&mut self.contexts, place.tid).last_node = Some(record);
        self.push(place, RecordKind::Node(node));
    }

    /// A function event.
    pub(in crate::source::text) fn call(&mut self, head: &Head, mut call: Call) {
        if let Some(comm) = call.comm.and_then(|comm| self.records.names.text(comm))
            && (self.comms.len() < MOST_TASKS || self.comms.contains_key(&head.task.tid))
        {
            self.comms.insert(head.task.tid, Comm::new(&comm));
        }
        let place = self.place(head);
        let record = self.next_record();
        self.records.count(&call);
        self.learn_name(record, &call);
        let context = context(&mut self.contexts, place.tid);
        context.added = None;
        // A stack that follows is this call's, of which none is kept.
        context.last_node = None;
        let mut missing = 0;
        let told = |role| call.raw.get(role);
        match (call.hook(), call.returns()) {
            (Hook::DevresAdd, false) => {
                context.payload = told(Role::Payload).map(|payload| (call.device, payload));
            }
            (Hook::AddDr, false) => {
                if let Some((device, payload)) = context.payload.take()
                    && device == call.device
                {
                    call.raw.set(Role::Payload, payload);
                    self.offset_differs |= learn_offset(&mut self.records, payload, call.node);
                }
                context.added = Some(call);
            }
            (Hook::OpenGroup, false) => {
                context.opening = Some((told(Role::Group).unwrap_or_default(), None));
            }
            (Hook::OpenGroup, true) => {
                let id = told(Role::Group).or(told(Role::Returned));
                if let (Some((0, Some(marker))), Some(id)) = (context.opening.take(), id)
                    && let Some(facts) = facts_of(&mut self.records, marker)
                {
                    facts.group = id;
                }
            }
            (hook, false) if hook.is_frame() => {
                if context.frames.len() >= MOST_FRAMES {
                    context.frames.remove(0);
                    context.told.remove(0);
                }
                context.frames.push(Frame {
                    record,
                    hook,
                    device: call.device,
                    name: call.name,
                });
                context.told.push(0);
            }
            (hook, true) if hook.is_frame() => {
                if let Some(depth) = frame_of(&call, &context.frames) {
                    if let Some(entered) = context.frames.get(depth) {
                        call.of = Some((entered.device, entered.name));
                        foretell(&mut self.records, entered.record, &call);
                    }
                    context.frames.truncate(depth);
                    // Those within it, too: their own returns may be missing.
                    let told = context.told.drain(depth..).fold(0, u32::saturating_add);
                    missing = missing_releases(&call, told);
                }
            }
            _ => {}
        }
        if missing > 0 && self.records.pointers.any() {
            self.push(place, RecordKind::Lost(missing));
        }
        self.push(place, RecordKind::Call(call));
    }

    /// Takes in what a call tells of who its device is.
    fn learn_name(&mut self, record: u32, call: &Call) {
        if call.device == 0 {
            return;
        }
        let Records {
            devices, nameless, ..
        } = &mut self.records;
        let begins = call.hook() == Hook::Initialise;
        if let Some(name) = call.name {
            devices.learn(record, name, call.device);
            nameless.named(call.device);
        } else if !begins && !devices.has_name(call.device) {
            nameless.call(call.device);
        }
        if begins && !call.returns() {
            devices.begin(record, call.device);
            nameless.begin(call.device);
        }
    }

    /// `devres_open_group` returns: where to tells who opened the group that was just added.
    pub(in crate::source::text) fn opened_by(&mut self, event: &FunctionLine<'_>) {
        let opening = self
            .contexts
            .get(&event.head.task.tid)
            .and_then(|context| context.opening.as_ref());
        if let Some((_, Some(marker))) = opening
            && let marker = *marker
            && let Some(returns_to) = event.returns_to
            && let Some(caller) = backtrace::frame(returns_to)
        {
            let frames = vec![backtrace::at_entry("devres_open_group"), caller];
            let number = self.stack_number(&[b"<- ", returns_to].concat(), || frames);
            if let Some(record) = self.records.all.recent_mut(marker) {
                record.stack = NonZeroU32::new(number);
            }
        }
    }

    /// The kernel says that it refused a probe.
    pub(in crate::source::text) fn refused(&mut self, refused: &Refused<'_>) {
        self.stamp(refused.prefix.time);
        let tid = refused.prefix.thread.unwrap_or_default();
        let device = self.device_of(refused.who.device);
        let driver = refused.who.driver;
        let record = MessageRecord {
            message: Some(Message::ProbeRefused),
            device: Some(device),
            driver: driver.map(|name| self.records.names.intern(name)),
            task: task(tid, Comm::default()),
            frames: Vec::new(),
            cpu: refused.prefix.cpu.unwrap_or_default(),
            behind: None,
        };
        self.message(record, self.clock);
    }

    /// The probe of a device failed.
    pub(in crate::source::text) fn probe_failed(&mut self, who: Who<'_>, line: u64) {
        if let Some(device) = who.device {
            let names = &mut self.records.names;
            let driver = who.driver.map(|name| names.intern(name));
            self.failed_probe = Some((names.intern(device), driver, line));
        }
    }

    /// Keeps a place in the order for a report of the kernel that begins here. Whether it follows a release closely
    /// tells later whether it is about that.
    pub(in crate::source::text) fn reserve(
        &mut self,
        beginning: Beginning,
        close: bool,
        line: u64,
    ) -> u32 {
        let failed = self
            .failed_probe
            .filter(|(.., said)| line.saturating_sub(*said) <= RIGHT_AFTER_PROBE);
        let behind = match self.last_record() {
            Some(RecordKind::Node(node))
                if close
                    && node.operation == Operation::Release
                    && !self.is_far(beginning.time) =>
            {
                Some(node)
            }
            _ => None,
        };
        // If nothing comes of it, its time must not have told anything.
        let time = match beginning.time {
            Some(Stamp::At(time)) => time,
            Some(Stamp::After(time)) => self.clock.saturating_add(time),
            None => self.clock,
        };
        let record = MessageRecord {
            message: None,
            device: failed.map(|(device, ..)| device),
            driver: failed.and_then(|(_, driver, _)| driver),
            task: Task::default(),
            frames: Vec::new(),
            cpu: 0,
            behind,
        };
        self.timed_places += u32::from(beginning.time.is_some());
        self.message(record, time)
    }

    /// The report for which a place was kept is over. Whether it is an event.
    pub(in crate::source::text) fn report(&mut self, over: Over) -> bool {
        let place = over.place as usize;
        let behind = self
            .records
            .messages
            .get(place)
            .and_then(|record| record.behind);
        let block = behind.map(|node| NodeReference {
            node: NodeAddress(node.node),
            name: node.name.and_then(|name| self.records.names.text(name)),
            size: Some(node.size),
        });
        let Some(meaning) = splat::meaning(&over, block) else {
            return false;
        };
        let Some(record) = self.records.messages.get_mut(place) else {
            return false;
        };
        record.message = Some(meaning.message);
        record.task = task(over.tid.unwrap_or_default(), over.comm.unwrap_or_default());
        record.frames = over.frames;
        record.cpu = over.cpu.unwrap_or_default();
        if !meaning.of_failed_probe {
            (record.device, record.driver) = (None, None);
        }
        if let Some(device) = behind.filter(|_| meaning.of_release) {
            record.device = Some(device.device);
            record.driver = device.driver;
        }
        self.records.timed |= self.timed_places > 0;
        true
    }

    fn message(&mut self, record: MessageRecord, time: u64) -> u32 {
        let number = u32::try_from(self.records.messages.len()).unwrap_or(u32::MAX);
        let cpu = record.cpu;
        self.records.messages.push(record);
        self.records.all.push(Record {
            time,
            task: 0,
            cpu,
            stack: None,
            kind: RecordKind::Message(number),
        });
        number
    }

    /// The record to which a stack belongs that begins at this line, or that follows the last line.
    pub(in crate::source::text) fn stack_owner(&self, head: Option<&Head>) -> Option<u32> {
        match head {
            Some(head) => self.contexts.get(&head.task.tid)?.last_node,
            None => self.records.all.len().checked_sub(1),
        }
    }

    /// A record's stack, as it was printed.
    pub(in crate::source::text) fn stack(&mut self, record: u32, text: &[u8]) {
        let number = self.stack_number(text, || call_chain::read(text));
        self.records.stacks_printed = true;
        if let Some(record) = self.records.all.recent_mut(record) {
            record.stack = NonZeroU32::new(number);
        }
    }

    /// The number of the stack that is written like this, counted from one.
    fn stack_number(&mut self, text: &[u8], frames: impl FnOnce() -> Vec<StackFrame>) -> u32 {
        if let Some(known) = self.stacks.get(text) {
            return *known;
        }
        self.records.stacks.push(frames());
        let number = u32::try_from(self.records.stacks.len()).unwrap_or(u32::MAX);
        self.stacks.insert(text.to_vec(), number);
        number
    }

    /// The last record of which something is known.
    fn last_record(&self) -> Option<RecordKind> {
        Some(self.records.all.last()?.kind)
    }

    /// The input says that events are missing.
    pub(in crate::source::text) fn lost(&mut self, count: u64) {
        let task = self.records.tasks.intern(Task::default());
        let place = Place {
            task,
            tid: 0,
            cpu: 0,
        };
        self.push(place, RecordKind::Lost(count));
    }

    /// Everything is collected.
    pub(in crate::source::text) fn finish(mut self) -> Records {
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
            stack: None,
            kind,
        });
        if let RecordKind::Node(node) = kind
            && node.real.device == 0
        {
            self.records.by_name.insert(node.device);
        }
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
            real: Real::default(),
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
    fn pair(&mut self, place: Place, node: &NodeRecord) -> (Real, Option<Facts>) {
        if self.records.hooks == 0 {
            return (Real::default(), None);
        }
        let record = self.next_record();
        let context = context(&mut self.contexts, place.tid);
        let added = context.added.take();
        if node.operation != Operation::Add {
            let known = self.printed.get(&node.node).copied();
            if node.operation != Operation::Replace {
                self.printed.remove(&node.node);
            }
            return (known.unwrap_or_default(), None);
        }
        self.printed.remove(&node.node);
        let is_group = node
            .name
            .and_then(|name| self.records.names.text(name))
            .is_some_and(|name| &*name == "grp<");
        let opening = context.opening.as_mut().filter(|_| is_group);
        if added.is_none() && opening.is_none() {
            return (Real::default(), None);
        }
        let real = added.map_or_else(Real::default, |call| Real {
            device: call.device,
            node: call.node,
        });
        let facts = Facts {
            release: added.and_then(|call| call.release),
            payload: added
                .and_then(|call| call.raw.get(Role::Payload))
                .unwrap_or_default(),
            action: added.and_then(|call| call.action),
            words: added.and_then(words),
            action_data: added
                .and_then(|call| call.raw.get(Role::Data).or(call.words[0]))
                .unwrap_or_default(),
            group: opening.as_ref().map_or(0, |(id, _)| *id),
        };
        if let Some(opening) = opening {
            opening.1 = Some(record);
        }
        if let Some(added) = added {
            self.printed.insert(node.node, real);
            if added.node != 0 {
                self.records.pointers.pair();
            }
            if self.records.names.text(node.device).is_some() && added.device != 0 {
                self.records
                    .devices
                    .learn(record, node.device, added.device);
                self.records.nameless.named(added.device);
            }
        }
        (real, Some(facts))
    }
}

/// The task that a message names.
fn task(tid: u32, comm: Comm) -> Task {
    Task {
        tid,
        tgid: tid,
        comm,
    }
}

/// The first words of an added node's payload, where they are told.
fn words(added: Call) -> Option<[u64; 2]> {
    let [first, second] = added.words;
    Some([first?, second?])
}

/// How many releases a function that returns has counted, and the tracepoint has not told.
fn missing_releases(left: &Call, told: u32) -> u64 {
    if !matches!(left.hook(), Hook::ReleaseAll | Hook::ReleaseGroup) {
        return 0;
    }
    let counted = left.raw.get(Role::Returned).unwrap_or_default();
    // A negative number is an error, not a count.
    let counted = u32::try_from(counted).ok().filter(|count| count >> 31 == 0);
    counted.map_or(0, |count| u64::from(count.saturating_sub(told)))
}

/// The depth of the frame that returns: the innermost of its function that was called from where it returns
/// to. Captures lack returns where a kretprobe had no room for a recursion.
fn frame_of(left: &Call, frames: &[Frame]) -> Option<usize> {
    let may_return = |depth: &usize| {
        let Some((entered, around)) = frames.get(..=*depth).and_then(<[Frame]>::split_last) else {
            return false;
        };
        let mut around = around.iter().rev();
        let around = around.find(|around| around.device == entered.device);
        let elsewhere =
            left.caller.is_some() && around.is_some_and(|around| left.caller != Some(around.hook));
        entered.hook == left.hook() && !elsewhere
    };
    let innermost = || frames.iter().rposition(|frame| frame.hook == left.hook());
    (0..frames.len()).rev().find(may_return).or_else(innermost)
}

/// What a function will return tells what it found, when it was entered.
fn foretell(records: &mut Records, entered: u32, left: &Call) {
    if let Some(value) = left.raw.get(Role::Returned)
        && let Some(record) = records.all.recent_mut(entered)
        && let RecordKind::Call(call) = &mut record.kind
    {
        call.raw.set(Role::Returned, value);
    }
}

/// What function events told of the node that a recent record adds.
fn facts_of(records: &mut Records, record: u32) -> Option<&mut Facts> {
    match &mut records.all.recent_mut(record)?.kind {
        RecordKind::Node(node) => node.facts.as_mut(),
        _ => None,
    }
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
