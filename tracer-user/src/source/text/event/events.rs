//! From records to events.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, LazyLock},
};

use hashbrown::HashMap;

use super::{
    call::{Call, Release},
    coverage,
    entry::{Facts, NodeRecord, Real, Record, RecordKind},
    identity::{Identities, Naming},
    records::{MessageRecord, Records},
    spool,
};
use crate::{
    event::{
        AddedNode, DeviceAddress, DeviceIdentity, Event, EventKind, Function, GroupId, Hook, Loss,
        LossCause, NodeAddress, NodeReference, Role, StackDefinition, StackFrame, StackId, Task,
        Text, Time, raw_call::Reading,
    },
    evidence::Addresses,
    source::text::record::resource::Operation,
};

/// The events of an import, in the order of its lines.
#[derive(Debug)]
pub struct Events<'a> {
    records: &'a Records,
    rest: spool::Records<'a>,
    /// Events made so far: the time, where lines have none.
    count: u64,
    ready: VecDeque<Event>,
    identities: Identities,
    functions: HashMap<Release, Arc<Function>>,
    /// Whether printed node addresses tell nodes apart.
    addressed: bool,
    concluded: bool,
    /// The number of the last stack.
    stacks: u32,
    /// The numbers of stacks that were printed behind events.
    printed: HashMap<NonZeroU32, StackId>,
}

impl<'a> Events<'a> {
    pub(in crate::source::text) fn new(records: &'a Records) -> Self {
        let concluded = coverage::concluded(records);
        Self {
            records,
            rest: records.all.iter(),
            count: 0,
            ready: VecDeque::new(),
            identities: Identities::default(),
            functions: HashMap::new(),
            addressed: coverage::node_addresses(records) != Addresses::Absent,
            concluded,
            stacks: 0,
            printed: HashMap::new(),
        }
    }

    /// For records that are still to come. `concluded` as in [`coverage::concluded`], which can't say yet.
    pub(in crate::source::text) fn begin(concluded: bool) -> Events<'static> {
        static NOTHING: LazyLock<Records> = LazyLock::new(Records::default);
        Events {
            concluded,
            ..Events::new(&NOTHING)
        }
    }

    /// Goes on where it was, with what has come meanwhile.
    pub(in crate::source::text) fn over(self, records: &Records) -> Events<'_> {
        Events {
            records,
            rest: records.all.iter(),
            count: self.count,
            ready: self.ready,
            identities: self.identities,
            functions: self.functions,
            addressed: self.addressed,
            concluded: self.concluded,
            stacks: self.stacks,
            printed: self.printed,
        }
    }

    /// Lets go of the records, to go on later.
    pub(in crate::source::text) fn pause(self) -> Events<'static> {
        let nothing = Events::begin(self.concluded).records;
        self.over(nothing)
    }

    fn push(&mut self, record: &Record, device: DeviceAddress, kind: EventKind) {
        let task = self.records.tasks.get(record.task);
        self.push_by(task, record, device, None, kind);
    }

    fn push_by(
        &mut self,
        task: Task,
        record: &Record,
        device: DeviceAddress,
        stack: Option<StackId>,
        kind: EventKind,
    ) {
        self.count += 1;
        let time = if self.records.timed {
            record.time
        } else {
            self.count
        };
        self.ready.push_back(Event {
            time: Time(time),
            task,
            cpu: record.cpu,
            device,
            stack,
            kind,
        });
    }

    /// Says what the next stack number means.
    fn define(&mut self, record: &Record, frames: &[StackFrame]) -> StackId {
        self.stacks = self.stacks.wrapping_add(1);
        let id = StackId(self.stacks);
        let frames = Arc::from(frames);
        let stack = EventKind::Stack(StackDefinition { id, frames });
        self.push(record, DeviceAddress::NONE, stack);
        id
    }

    /// The stack that was printed behind a record.
    fn printed_stack(&mut self, record: &Record) -> Option<StackId> {
        let records = self.records;
        let stack = record.stack?;
        if let Some(known) = self.printed.get(&stack) {
            return Some(*known);
        }
        let frames = records.stacks.get(stack.get() as usize - 1)?;
        let id = self.define(record, frames);
        self.printed.insert(stack, id);
        Some(id)
    }

    fn message(&mut self, number: u32, record: &Record, message: &MessageRecord) {
        let Some(what) = &message.message else {
            return;
        };
        // Only its later lines say on which CPU it was.
        let record = &Record {
            cpu: message.cpu,
            ..*record
        };
        let records = self.records;
        let device = message.device.map_or(DeviceAddress::NONE, |name| {
            records.devices.address(name, number)
        });
        let told = Naming {
            name: message
                .device
                .filter(|name| records.names.text(*name).is_some()),
            driver_or_bus: message.driver,
            ..Naming::default()
        };
        self.introduce(record, device, told);
        let stack = (!message.frames.is_empty()).then(|| self.define(record, &message.frames));
        let kind = EventKind::Message(what.clone());
        self.push_by(message.task, record, device, stack, kind);
    }

    fn introduce(&mut self, record: &Record, device: DeviceAddress, told: Naming) {
        if device == DeviceAddress::NONE {
            return;
        }
        let changed: Option<DeviceIdentity> =
            self.identities.learn(device, told, &self.records.names);
        if let Some(identity) = changed {
            self.push(record, device, EventKind::Device(Arc::new(identity)));
        }
    }

    fn node(&mut self, number: u32, record: &Record, node: &NodeRecord) {
        let records = self.records;
        let facts = node.facts.unwrap_or_default();
        let device = if node.real.device == 0 {
            records.devices.address(node.device, number)
        } else {
            DeviceAddress(node.real.device)
        };
        let told = Naming {
            name: records.names.text(node.device).map(|_| node.device),
            driver_or_bus: node.driver,
            ..Naming::default()
        };
        self.introduce(record, device, told);
        let address = match (self.addressed, node.real.node) {
            (false, _) => NodeAddress(0),
            (true, 0) => NodeAddress(node.node),
            (true, real) => NodeAddress(real),
        };
        let reference = NodeReference {
            node: address,
            name: node.name.and_then(|name| records.names.text(name)),
            size: Some(node.size),
        };
        let kind = match node.operation {
            Operation::Add => EventKind::Add(AddedNode {
                node: address,
                payload_address: self.payload(node.real, &facts, reference.name.as_deref()),
                name: reference.name,
                size: reference.size,
                ..self.told(&facts)
            }),
            Operation::Remove => EventKind::Remove(reference),
            Operation::Release => EventKind::Release(reference),
            Operation::Replace => EventKind::Replace(reference),
        };
        let stack = self.printed_stack(record);
        let task = records.tasks.get(record.task);
        self.push_by(task, record, device, stack, kind);
    }

    /// What function events show of an added node.
    fn told(&mut self, facts: &Facts) -> AddedNode {
        let action = self.is_action(facts.release);
        let (action_data, payload) = match facts.words {
            _ if action => (facts.action_data, [0; 4]),
            Some([first, second]) => (0, [first, second, 0, 0]),
            None => (0, [0; 4]),
        };
        AddedNode {
            function: self.called(facts),
            action,
            action_data,
            payload,
            group: (facts.group != 0).then_some(GroupId(facts.group)),
            ..AddedNode::default()
        }
    }

    /// The function that runs on release, of an action the one that it calls.
    fn called(&mut self, facts: &Facts) -> Option<Arc<Function>> {
        if self.is_action(facts.release)
            && let Some(action) = facts.action
        {
            return Some(self.function(action));
        }
        facts.release.and_then(|release| self.released_by(release))
    }

    /// Where a node's payload begins; zero where it has none, or that is not known. Where the payload's words are reported,
    /// so is where it lies.
    fn payload(&self, real: Real, facts: &Facts, name: Option<&str>) -> u64 {
        let is_marker = matches!(name, Some("grp<" | "grp>"));
        match self.records.payload_offset {
            _ if facts.payload != 0 || is_marker => facts.payload,
            // From 7.1 on an action is laid out in another way, and nothing points into it.
            Some(offset) if facts.words.is_some() && !self.is_action(facts.release) => {
                real.node.wrapping_add(offset)
            }
            _ => 0,
        }
    }

    /// The function that runs on release; `None` where that is not the one that the node has.
    fn released_by(&mut self, release: Release) -> Option<Arc<Function>> {
        let function = self.function(release);
        let wraps = matches!(
            function.name.as_deref(),
            Some("devm_action_release" | "dr_node_release")
        );
        (!wraps).then_some(function)
    }

    fn function(&mut self, release: Release) -> Arc<Function> {
        let names = &self.records.names;
        let function = self.functions.entry(release).or_insert_with(|| {
            Arc::new(match release {
                Release::Symbol(symbol, module) => Function {
                    address: 0,
                    name: names.text(symbol),
                    module: module.and_then(|module| names.text(module)),
                },
                Release::Address(address) => Function {
                    address,
                    name: None,
                    module: None,
                },
            })
        });
        Arc::clone(function)
    }

    fn call(&mut self, number: u32, record: &Record, call: &Call) {
        let device = self.device_of(number, call);
        if call.returns() {
            self.returned(record, device, call);
            return;
        }
        if call.hook() == Hook::Initialise {
            self.identities.begin(device);
        }
        let name = call
            .name
            .or_else(|| self.records.devices.name(device.0, number));
        let told = Naming {
            name,
            driver: call.driver,
            bus: call.bus,
            driver_or_bus: None,
        };
        // An identity reported outside any task is the one that lives there: not the one that only begins.
        let begins = call.hook() == Hook::Initialise;
        let late = begins && self.records.tasks.get(record.task) == Task::default();
        if !late {
            self.introduce(record, device, told);
        }
        if let Some(kind) = self.event_of(call) {
            let stack = self.printed_stack(record);
            let task = self.records.tasks.get(record.task);
            self.push_by(task, record, device, stack, kind);
        }
        if late {
            self.introduce(record, device, told);
        }
    }

    fn returned(&mut self, record: &Record, device: DeviceAddress, call: &Call) {
        if let Some(kind) = self.event_of(call) {
            self.push(record, device, kind);
        }
        match call.hook() {
            Hook::Cleanup | Hook::Unbind => self.identities.unbind(device),
            // Whoever comes next at this address is another one, and must be reported.
            Hook::FinalPut => self.identities.begin(device),
            _ => {}
        }
    }

    /// The device that a call is about; a return's is the one that was entered.
    fn device_of(&self, number: u32, call: &Call) -> DeviceAddress {
        let (address, name) = call.of.unwrap_or((call.device, call.name));
        match name {
            _ if address != 0 => DeviceAddress(address),
            Some(name) => self.records.devices.address(name, number),
            None => DeviceAddress::NONE,
        }
    }

    fn event_of(&mut self, call: &Call) -> Option<EventKind> {
        if call.hook() == Hook::AddDr && !call.returns() {
            // Else the tracepoint's line follows.
            return self.concluded.then(|| EventKind::Add(self.added(call)));
        }
        call.raw.event(Reading {
            logged: !self.concluded,
            payload_offset: self.records.payload_offset.filter(|_| self.concluded),
        })
    }

    /// What `add_dr` adds, where the tracepoint doesn't say.
    fn added(&mut self, call: &Call) -> AddedNode {
        let symbol = self.symbol(call.release);
        let name = match symbol.as_deref() {
            Some("group_open_release") => Some(Text::from("grp<")),
            Some("group_close_release") => Some(Text::from("grp>")),
            _ => symbol.clone(),
        };
        let is_marker = symbol.is_some_and(|symbol| symbol.starts_with("group_"));
        let facts = Facts::from(call);
        let payload_address = match self.records.payload_offset {
            _ if facts.payload != 0 => facts.payload,
            Some(offset) if !is_marker => call.node.wrapping_add(offset),
            _ => 0,
        };
        let mut added = self.told(&facts);
        // Kernels without the tracepoint keep the function of an action as the second word of its payload. Who removes the
        // action names it by that address.
        if let (true, Some([_, address]), Some(function)) =
            (added.action, facts.words, added.function.as_mut())
        {
            Arc::make_mut(function).address = address;
        }
        AddedNode {
            node: NodeAddress(call.node),
            name,
            size: call.raw.get(Role::Size),
            payload_address,
            ..added
        }
    }

    fn is_action(&self, release: Option<Release>) -> bool {
        self.symbol(release).as_deref() == Some("devm_action_release")
    }

    fn symbol(&self, release: Option<Release>) -> Option<Text> {
        match release? {
            Release::Symbol(symbol, _) => self.records.names.text(symbol),
            Release::Address(_) => None,
        }
    }

    fn lose(&mut self, record: &Record, count: u64) {
        let loss = Loss {
            count,
            cause: LossCause::Input,
        };
        self.push(record, DeviceAddress::NONE, EventKind::Loss(loss));
        if let Some(event) = self.ready.back_mut() {
            event.task = Task::default();
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            let records = self.records;
            let (number, record) = self.rest.next()?;
            match &record.kind {
                RecordKind::Node(node) => self.node(number, &record, node),
                RecordKind::Call(call) => self.call(number, &record, call),
                RecordKind::Message(message) => {
                    if let Some(message) = records.messages.get(*message as usize) {
                        self.message(number, &record, message);
                    }
                }
                RecordKind::Lost(count) => self.lose(&record, *count),
            }
        }
        self.ready.pop_front()
    }
}
