//! Function events: what runs on each task, and what a call says about the line of the tracepoint that follows.

use std::num::NonZeroU32;

use hashbrown::HashMap;

use super::{
    super::{
        call::Call,
        entry::{Facts, NodeRecord, Real, RecordKind},
        names::NameId,
        records::Records,
    },
    Collector, LogsNext, MOST_TASKS, Place,
};
use crate::{
    event::{Comm, Hook, Role},
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
    /// `add_dr` was entered, and nothing else happened since.
    added: Option<Call>,
    /// `devres_add` was entered with this device and payload.
    payload: Option<(u64, u64)>,
    /// `devres_open_group` was entered with this id, and adds the marker of this record.
    opening: Option<(u64, Option<u32>)>,
    /// Functions entered and not left.
    frames: Vec<Frame>,
    /// For each of them, the releases that the tracepoint reported while it was the innermost.
    pub(super) told: Vec<u32>,
    /// The last record of the tracepoint.
    pub(super) last_node: Option<u32>,
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
            (hook, false) if hook.is_frame() => context.enter(Frame {
                record,
                hook,
                device: call.device,
                name: call.name,
            }),
            (hook, true) if hook.is_frame() => {
                missing = context.leave(&mut call, &mut self.records);
            }
            _ => {}
        }
        if missing > 0 && self.records.pointers.any() {
            self.push(place, RecordKind::Lost(missing));
        }
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

    /// `devres_open_group` returns: the address it returns to shows who opened the group that was just added.
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

    /// What function events reported about the node that a line of the tracepoint names.
    pub(super) fn pair(&mut self, place: Place, node: &NodeRecord) -> (Real, Option<Facts>) {
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

/// The first words of an added node's payload, where they are reported.
fn words(added: Call) -> Option<[u64; 2]> {
    let [first, second] = added.words;
    Some([first?, second?])
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

/// What function events reported about the node that a recent record adds.
fn facts_of(records: &mut Records, record: u32) -> Option<&mut Facts> {
    match &mut records.all.recent_mut(record)?.kind {
        RecordKind::Node(node) => node.facts.as_mut(),
        _ => None,
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
