//! Collects what lines say, and finds what belongs together.
//!
//! `devres_log` prints a hash of a node's address and the device's name. Where `add_dr` was probed too, it
//! comes right before on the same task and has both addresses, so the hash is replaced by the address from
//! there on, and the device is called by its address.

mod calls;
mod logs_next;
mod messages;

use std::num::NonZeroU32;

use hashbrown::HashMap;
use messages::FailedProbe;

use super::{
    entry::{NodeRecord, Real, Record, RecordKind},
    names::NameId,
    records::Records,
};
use crate::{
    event::{Comm, StackFrame, Task},
    source::text::{
        envelope::{prefix::Stamp, trace_head::Head},
        record::{
            call_chain,
            kernel_log::KernelLine,
            resource::{Operation, Resource},
            trace_line::TraceLine,
        },
    },
};
use calls::{Context, context};
pub(in crate::source::text) use logs_next::LogsNext;

/// Tasks about which something is remembered at the same time.
const MOST_TASKS: usize = 4096;
/// Events of the tracepoint that the log may report once more.
const MOST_TRACED: usize = 8;
/// Within how many nanoseconds: a slow console prints what is in front of the message first.
const AGAIN: u64 = 1_000_000_000;

/// Collects what lines say.
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
    /// Names of tasks that are in the events themselves: a buffer that outlived a reset has no others.
    comms: HashMap<u32, Comm>,
    /// The names in front of the lines may be those of other tasks.
    names_are_of_other_tasks: bool,
    /// The stacks by their text.
    stacks: HashMap<Vec<u8>, u32>,
    clock: u64,
    /// The last records of the tracepoint that the log has not repeated.
    traced: [Option<u32>; MOST_TRACED],
    traced_next: usize,
    offset_differs: bool,
    /// Lines have the time since the previous one, and no time of their own.
    relative: bool,
    /// Places kept for reports whose lines have times.
    timed_places: u32,
    /// The last probe that failed.
    failed_probe: Option<FailedProbe>,
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
        if self.is_traced(line, driver) {
            return;
        }
        let node = self.node(line.operation, line.who.device, &line.resource);
        let node = NodeRecord { driver, ..node };
        let place = Place { task, tid, cpu };
        self.push(place, RecordKind::Node(node));
    }

    /// A line of the tracepoint, with the operation that it stands for.
    pub(in crate::source::text) fn trace_line(
        &mut self,
        line: &TraceLine<'_>,
        operation: Operation,
    ) {
        let place = self.place(&line.head);
        let node = self.node(operation, line.device, &line.resource);
        let paired = self.pair(place, &node);
        if node.operation == Operation::Release
            && line.resource.name != Some(b"grp<")
            && let Some(context) = self.contexts.get_mut(&place.tid)
            && let Some(told) = context.told.last_mut()
        {
            *told = told.saturating_add(1);
        }
        let node = NodeRecord {
            real: paired.real,
            facts: paired.facts,
            ..node
        };
        let record = self.next_record();
        if let Some(traced) = self.traced.get_mut(self.traced_next % MOST_TRACED) {
            *traced = Some(record);
            self.traced_next += 1;
        }
        let context = context(&mut self.contexts, place.tid);
        context.last = Some(record);
        context.logs_next.logged();
        self.push(place, RecordKind::Node(node));
        if paired.stack.is_some()
            && let Some(record) = self.records.all.recent_mut(record)
        {
            record.stack = paired.stack;
        }
    }

    /// Whether the tracepoint has reported the same before: with `tp_printk` and `devres.log=1` the log has every event
    /// twice. The address may be printed in another way.
    fn is_traced(&mut self, line: &KernelLine<'_>, driver: Option<NameId>) -> bool {
        let (Some(device), Some(name)) = (line.who.device, line.resource.name) else {
            return false;
        };
        if self.traced_next == 0 {
            return false;
        }
        let names = &mut self.records.names;
        let (device, name) = (names.intern(device), names.intern(name));
        for traced in &mut self.traced {
            let Some(record) = traced.and_then(|record| self.records.all.recent_mut(record)) else {
                continue;
            };
            let recent = self.clock.abs_diff(record.time) <= AGAIN;
            let RecordKind::Node(node) = &mut record.kind else {
                continue;
            };
            let same = node.operation == line.operation
                && (node.device, node.name, node.size) == (device, Some(name), line.resource.size);
            if same && recent {
                node.driver = driver;
                *traced = None;
                return true;
            }
        }
        false
    }

    /// What a task can only log next.
    pub(in crate::source::text) fn logs_next(&self, tid: u32) -> LogsNext {
        let context = self.contexts.get(&tid);
        context.map_or_else(LogsNext::default, |context| context.logs_next)
    }

    /// The record to which a stack belongs that begins at this line, or that follows the last line.
    pub(in crate::source::text) fn stack_owner(&self, head: Option<&Head>) -> Option<u32> {
        match head {
            Some(head) => self.contexts.get(&head.task.tid)?.last,
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
        self.records.timed &= !self.relative;
        self.records
    }

    fn stamp(&mut self, stamp: Option<Stamp>) {
        match stamp {
            Some(Stamp::At(time)) => self.at(Some(time)),
            // The time since the previous line, which may be missing: these can't be added up.
            Some(Stamp::After(_)) => self.relative = true,
            None => {}
        }
    }

    fn at(&mut self, time: Option<u64>) {
        if let Some(time) = time {
            self.records.timed = true;
            self.clock = time;
        }
    }

    /// The names in front of the lines count no longer: a kernel that finds events of its predecessor in a persistent buffer
    /// looks their tasks' numbers up among its own. What an event itself says of its task's name does.
    pub(in crate::source::text) fn distrust_names(&mut self) {
        self.names_are_of_other_tasks = true;
    }

    fn place(&mut self, head: &Head) -> Place {
        self.at(head.time);
        let mut task = head.task;
        if self.names_are_of_other_tasks {
            task.comm = Comm::default();
        }
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

    /// A node that was added when its device had no name says which device that was.
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
}
