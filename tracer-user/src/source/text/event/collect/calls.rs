//! Function events: what runs on each task, and what a call says about the line of the tracepoint that follows.

use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::{
    super::{
        call::{Call, Release},
        entry::{Facts, NodeRecord, Real, RecordKind},
        names::{NameId, Names},
        records::Records,
    },
    Collector, LogsNext, MOST_TASKS, Place,
};
use crate::{
    event::{Comm, Hook, Role, StackFrame},
    source::text::{
        envelope::trace_head::Head,
        record::{backtrace, function_line::FunctionLine, resource::Operation},
    },
};

/// Functions of one task that are entered and have not returned.
const MOST_FRAMES: usize = 128;

/// What was just seen on a task.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// `add_dr` was entered, of which this is the record, and nothing else happened since.
    added: Option<(u32, Call)>,
    /// `devres_add` was entered with this device and payload.
    payload: Option<(u64, u64)>,
    /// `devres_open_group` was entered with this id, and adds the marker of this record.
    opening: Option<(u64, Option<u32>)>,
    /// Functions entered and not left.
    frames: Vec<Frame>,
    /// For each of them, the releases that the tracepoint reported while it was the innermost.
    pub(super) told: Vec<u32>,
    /// The last record.
    pub(super) last: Option<u32>,
    pub(super) logs_next: LogsNext,
}

/// A function that was entered.
#[derive(Debug, Clone, Copy)]
struct Frame {
    record: u32,
    hook: Hook,
    device: u64,
    name: Option<NameId>,
}

impl Context {
    fn enter(&mut self, frame: Frame) {
        if self.frames.len() >= MOST_FRAMES {
            self.frames.remove(0);
            self.told.remove(0);
        }
        self.frames.push(frame);
        self.told.push(0);
    }

    /// A function returns: it is about the device for which it was entered. How many of the releases that it has
    /// counted the tracepoint has not shown.
    fn leave(&mut self, call: &mut Call, records: &mut Records) -> u64 {
        let Some(depth) = frame_of(call, &self.frames) else {
            return 0;
        };
        if let Some(entered) = self.frames.get(depth) {
            call.of = Some((entered.device, entered.name));
            foretell(records, entered.record, call);
        }
        self.frames.truncate(depth);
        // Those within it, too: their own returns may be missing.
        let told = self.told.drain(depth..).fold(0, u32::saturating_add);
        missing_releases(call, told)
    }
}

impl Collector {
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
        context.logs_next.call(&call);
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
                if let Some((id, marker)) = context.opening.as_mut()
                    && is_opening_marker(&call, &self.records.names)
                {
                    *marker = Some(record);
                    call.raw.set(Role::Group, *id);
                }
                context.added = Some((record, call));
            }
            (Hook::OpenGroup, false) => {
                context.opening = Some((told(Role::Group).unwrap_or_default(), None));
            }
            (Hook::OpenGroup, true) => {
                let id = told(Role::Group).or(told(Role::Returned));
                if let (Some((0, Some(marker))), Some(id)) = (context.opening.take(), id) {
                    name_group(&mut self.records, marker, id);
                }
            }
            (hook, false) if is_awaited(hook) => context.enter(Frame {
                record,
                hook,
                device: call.device,
                name: call.name,
            }),
            (hook, true) if is_awaited(hook) => {
                missing = context.leave(&mut call, &mut self.records);
            }
            _ => {}
        }
        if missing > 0 && self.records.pointers.any() {
            self.push(place, RecordKind::Lost(missing));
        }
        // A stack that follows is this call's.
        let record = self.next_record();
        super::calls::context(&mut self.contexts, place.tid).last = Some(record);
        self.push(place, RecordKind::Call(call));
    }

    /// Takes in what a call says about who its device is.
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

    /// A function returns: the address it returns to shows who called it. That is kept where it matters who does, unless a stack was printed
    /// that shows it too.
    pub(in crate::source::text) fn called_from(&mut self, event: &FunctionLine<'_>) {
        let (Some(context), Some(returns_to)) =
            (self.contexts.get(&event.head.task.tid), event.returns_to)
        else {
            return;
        };
        let record = match event.hook {
            Hook::OpenGroup => context.opening.as_ref().and_then(|(_, marker)| *marker),
            Hook::ReleaseGroup | Hook::Destroy | Hook::Release => {
                let mut frames = context.frames.iter();
                let entered = frames.rfind(|frame| frame.hook == event.hook);
                entered.map(|frame| frame.record)
            }
            _ => None,
        };
        if let Some(record) = record
            && let Some(caller) = backtrace::frame(returns_to)
        {
            let function = event.hook.symbol();
            let written = [b"<- ", returns_to, b" ", function.as_bytes()].concat();
            let frames = vec![backtrace::at_entry(function), caller];
            let number = self.stack_number(&written, || frames);
            let Records { all, stacks, .. } = &mut self.records;
            if let Some(record) = all.recent_mut(record)
                && !record.stack.is_some_and(|stack| has_caller(stacks, stack))
            {
                record.stack = NonZeroU32::new(number);
            }
        }
    }

    /// What function events reported about the node that a line of the tracepoint names.
    pub(super) fn pair(&mut self, place: Place, node: &NodeRecord) -> Paired {
        if self.records.hooks == 0 {
            return Paired::default();
        }
        let record = self.next_record();
        let context = context(&mut self.contexts, place.tid);
        let added = context.added.take();
        if node.operation != Operation::Add {
            let known = self.printed.get(&node.node).copied();
            if node.operation != Operation::Replace {
                self.printed.remove(&node.node);
            }
            return Paired {
                real: known.unwrap_or_default(),
                ..Paired::default()
            };
        }
        self.printed.remove(&node.node);
        let is_group = node
            .name
            .and_then(|name| self.records.names.text(name))
            .is_some_and(|name| &*name == "grp<");
        let opening = context.opening.as_mut().filter(|_| is_group);
        if added.is_none() && opening.is_none() {
            return Paired::default();
        }
        let stack = added
            .and_then(|(entered, _)| self.records.all.recent_mut(entered))
            .and_then(|record| record.stack);
        let added = added.map(|(_, call)| call);
        let real = added.map_or_else(Real::default, |call| Real {
            device: call.device,
            node: call.node,
        });
        let facts = Facts {
            group: opening.as_ref().map_or(0, |(id, _)| *id),
            ..added.map_or_else(Facts::default, |call| Facts::from(&call))
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
        Paired {
            real,
            facts: Some(facts),
            stack,
        }
    }
}

/// What function events reported about the node of a line.
#[derive(Debug, Default)]
pub(super) struct Paired {
    pub(super) real: Real,
    pub(super) facts: Option<Facts>,
    /// Where `add_dr` was called from, if a stack was printed there.
    pub(super) stack: Option<NonZeroU32>,
}

/// Whether a stack goes beyond devres itself. Kernels before 5.14 see nothing behind a function whose return is probed.
fn has_caller(stacks: &[Vec<StackFrame>], number: NonZeroU32) -> bool {
    let frames = stacks.get(number.get() as usize - 1);
    frames.into_iter().flatten().any(|frame| {
        let name = frame.function.as_ref().and_then(|it| it.name.as_deref());
        name.is_some_and(|name| name != "add_dr" && !name.starts_with("devres_"))
    })
}

/// Whether the return of a function says something about its call.
fn is_awaited(hook: Hook) -> bool {
    hook.is_frame() || hook == Hook::DevresRemove
}

/// Whether `add_dr` adds the marker of a group that opens.
fn is_opening_marker(added: &Call, names: &Names) -> bool {
    let Some(Release::Symbol(symbol, _)) = added.release else {
        return false;
    };
    names.text(symbol).as_deref() == Some("group_open_release")
}

/// How many releases a function that returns has counted, and the tracepoint has not shown.
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

/// The value that a function will return is set, at its entry, by what it found.
fn foretell(records: &mut Records, entered: u32, left: &Call) {
    if let Some(value) = left.raw.get(Role::Returned)
        && let Some(record) = records.all.recent_mut(entered)
        && let RecordKind::Call(call) = &mut record.kind
    {
        call.raw.set(Role::Returned, value);
    }
}

/// The marker that a recent record adds belongs to this group.
fn name_group(records: &mut Records, record: u32, group: u64) {
    match records
        .all
        .recent_mut(record)
        .map(|record| &mut record.kind)
    {
        Some(RecordKind::Node(node)) => {
            if let Some(facts) = node.facts.as_mut() {
                facts.group = group;
            }
        }
        Some(RecordKind::Call(call)) => call.raw.set(Role::Group, group),
        _ => {}
    }
}

pub(super) fn context(contexts: &mut HashMap<u32, Context>, tid: u32) -> &mut Context {
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
