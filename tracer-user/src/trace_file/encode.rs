//! From events to the content of a block.

use std::mem;

use super::{
    FULL_BLOCK, MOST_CONTENT,
    bytes::{Put as _, fold_sign, varint_length},
    numbers::{CAUSES, detail, kind, message, node, own, payload, returned},
    splat,
    tables::WritingTables,
};
use crate::event::{
    AddedNode, Call, CallDetail, DeviceIdentity, DeviceSnapshot, Event, EventKind, Loss, Message,
    NodeReference, PmDomain, Return, StackDefinition, Task, Time,
};

/// A block's content before it is compressed, with what its header says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    pub(super) events: u32,
    pub(super) earliest: Time,
    pub(super) latest: Time,
}

/// An event that takes more room than a block can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// What an event takes from the one before it in its block.
#[derive(Debug, Default)]
struct Previous {
    time: u64,
    task: Task,
    cpu: u16,
    device: u64,
    node: u64,
}

/// Puts events into a block.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    plain: Plain,
    tables: WritingTables,
    previous: Previous,
    /// The tables hold what was not written: nothing can follow in this block.
    closed: bool,
}

impl Encoder {
    /// Appends an event, if there is room for it. One that is too large closes the block; if the block was
    /// empty, it is too large for every block.
    pub(super) fn push(&mut self, event: &Event) -> Result<(), TooLarge> {
        if self.closed {
            return Err(TooLarge);
        }
        let before = self.plain.bytes.len();
        self.event(event);
        if self.plain.bytes.len() > MOST_CONTENT as usize {
            self.plain.bytes.truncate(before);
            self.closed = true;
            return Err(TooLarge);
        }
        let plain = &mut self.plain;
        if plain.events == 0 {
            (plain.earliest, plain.latest) = (event.time, event.time);
        }
        plain.earliest = plain.earliest.min(event.time);
        plain.latest = plain.latest.max(event.time);
        plain.events += 1;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.events == 0
    }

    /// Bytes of the block so far.
    pub(super) fn length(&self) -> usize {
        self.plain.bytes.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.closed || self.plain.bytes.len() >= FULL_BLOCK
    }

    /// The block so far; the next one begins.
    pub(super) fn take(&mut self) -> Plain {
        self.tables.clear();
        self.previous = Previous::default();
        self.closed = false;
        mem::take(&mut self.plain)
    }

    fn event(&mut self, event: &Event) {
        let first = self.plain.bytes.len();
        self.plain.bytes.push(0);
        let own = self.head(event);
        let kind = self.content(&event.kind);
        if let Some(byte) = self.plain.bytes.get_mut(first) {
            *byte = kind | own;
        }
    }

    /// Writes what an event has of its own, unlike the one before it. Returns what that is.
    fn head(&mut self, event: &Event) -> u8 {
        let Self {
            plain: Plain { bytes, .. },
            tables,
            previous,
            ..
        } = self;
        let mut own = 0;
        bytes.put_difference(event.time.0, previous.time);
        previous.time = event.time.0;
        if event.task != previous.task {
            own |= own::TASK;
            tables.put_task(bytes, &event.task);
            previous.task = event.task;
        }
        if event.cpu != previous.cpu {
            own |= own::CPU;
            bytes.put_varint(u64::from(event.cpu));
            previous.cpu = event.cpu;
        }
        if event.device.0 != previous.device {
            own |= own::DEVICE;
            tables.put_word(bytes, event.device.0);
            previous.device = event.device.0;
        }
        if let Some(stack) = event.stack {
            own |= own::STACK;
            bytes.put_varint(u64::from(stack.0));
        }
        own
    }

    /// Writes what has happened. Returns the number of its kind.
    fn content(&mut self, kind: &EventKind) -> u8 {
        let Self {
            plain: Plain { bytes, .. },
            tables,
            ..
        } = self;
        match kind {
            EventKind::Device(identity) => {
                self.identity(identity);
                kind::DEVICE
            }
            EventKind::Stack(definition) => {
                self.stack(definition);
                kind::STACK
            }
            EventKind::Snapshot(snapshot) => {
                self.snapshot(snapshot);
                kind::SNAPSHOT
            }
            EventKind::Add(node) => {
                self.added(node);
                kind::ADD
            }
            EventKind::Remove(node) => {
                self.reference(node);
                kind::REMOVE
            }
            EventKind::Release(node) => {
                self.reference(node);
                kind::RELEASE
            }
            EventKind::Replace(node) => {
                self.reference(node);
                kind::REPLACE
            }
            EventKind::RemoveAction { function, data } => {
                tables.put_word(bytes, *function);
                tables.put_word(bytes, *data);
                kind::REMOVE_ACTION
            }
            EventKind::ModuleFree { module, code } => {
                tables.put_text(bytes, Some(module));
                bytes.push(u8::from(code.is_some()));
                if let Some(code) = code {
                    bytes.put_word(code.begin);
                    bytes.put_varint(code.size);
                }
                kind::MODULE_FREE
            }
            EventKind::Message(message) => {
                self.message(message);
                kind::MESSAGE
            }
            EventKind::Enter(call) => {
                self.call(call);
                kind::ENTER
            }
            EventKind::Leave(returned) => {
                self.returned(returned);
                kind::LEAVE
            }
            EventKind::Loss(Loss { count, cause }) => {
                bytes.put_varint(*count);
                let number = CAUSES.iter().position(|known| known == cause);
                bytes.put_varint(number.unwrap_or_default() as u64);
                kind::LOSS
            }
        }
    }

    fn identity(&mut self, identity: &DeviceIdentity) {
        let bytes = &mut self.plain.bytes;
        self.tables.put_text(bytes, identity.name.as_ref());
        self.tables.put_text(bytes, identity.driver.as_ref());
        self.tables.put_text(bytes, identity.bus.as_ref());
        self.tables.put_word(bytes, identity.parent.0);
    }

    fn stack(&mut self, definition: &StackDefinition) {
        let bytes = &mut self.plain.bytes;
        bytes.put_varint(u64::from(definition.id.0));
        bytes.put_varint(definition.frames.len() as u64);
        for frame in &*definition.frames {
            splat::put_frame(frame, bytes, &mut self.tables);
        }
    }

    fn snapshot(&mut self, snapshot: &DeviceSnapshot) {
        self.identity(&snapshot.identity);
        self.pm(snapshot.pm);
        self.plain.bytes.push(u8::from(snapshot.consistent));
        self.plain.bytes.put_varint(snapshot.nodes.len() as u64);
        for node in &snapshot.nodes {
            self.added(node);
        }
    }

    fn pm(&mut self, pm: PmDomain) {
        self.tables.put_word(&mut self.plain.bytes, pm.domain);
        self.tables.put_word(&mut self.plain.bytes, pm.detach);
    }

    /// A node's address: near the one before it, as often as not.
    fn node(&mut self, node: u64) {
        self.plain.bytes.put_difference(node, self.previous.node);
        self.previous.node = node;
    }

    fn added(&mut self, added: &AddedNode) {
        self.node(added.node.0);
        let base = added.node.0;
        let bytes = &mut self.plain.bytes;
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        bytes.push(
            flag(added.size.is_some(), node::SIZE)
                | flag(added.function.is_some(), node::FUNCTION)
                | flag(added.action_data != 0, node::ACTION_DATA)
                | flag(added.payload_address != 0, node::PAYLOAD_ADDRESS)
                | flag(added.payload != [0; 4], node::PAYLOAD)
                | flag(added.group.is_some(), node::GROUP)
                | flag(added.action, node::ACTION),
        );
        self.tables.put_text(bytes, added.name.as_ref());
        if let Some(size) = added.size {
            bytes.put_varint(size);
        }
        if added.function.is_some() {
            self.tables.put_function(bytes, added.function.as_ref());
        }
        if added.action_data != 0 {
            self.tables.put_word(bytes, added.action_data);
        }
        if added.payload_address != 0 {
            bytes.put_difference(added.payload_address, base);
        }
        if added.payload != [0; 4] {
            put_payload(bytes, &added.payload, base);
        }
        if let Some(group) = added.group {
            self.tables.put_word(bytes, group.0);
        }
    }

    fn reference(&mut self, reference: &NodeReference) {
        self.node(reference.node.0);
        let bytes = &mut self.plain.bytes;
        self.tables.put_text(bytes, reference.name.as_ref());
        bytes.push(u8::from(reference.size.is_some()));
        if let Some(size) = reference.size {
            bytes.put_varint(size);
        }
    }

    fn message(&mut self, message: &Message) {
        let bytes = &mut self.plain.bytes;
        match message {
            Message::ProbeRefused => bytes.push(message::PROBE_REFUSED),
            Message::Waits => bytes.push(message::WAITS),
            Message::Warning { function, line } => {
                bytes.push(message::WARNING);
                self.tables.put_text(bytes, function.as_ref());
                bytes.push(u8::from(line.is_some()));
                if let Some(line) = line {
                    bytes.put_varint(*line);
                }
            }
            Message::FreedActive {
                object,
                hint,
                block,
            } => {
                bytes.push(message::FREED_ACTIVE);
                self.tables.put_text(bytes, Some(object));
                self.tables.put_text(bytes, hint.as_ref());
                self.reference(block);
            }
            Message::Splat(splat) => {
                bytes.push(message::SPLAT);
                splat::put(splat, bytes, &mut self.tables);
            }
        }
    }

    fn call(&mut self, call: &Call) {
        let Self {
            plain: Plain { bytes, .. },
            tables,
            ..
        } = self;
        bytes.push(call.hook as u8);
        match &call.detail {
            CallDetail::None => bytes.push(detail::NONE),
            CallDetail::Group(group) => {
                bytes.push(detail::GROUP);
                tables.put_word(bytes, group.0);
            }
            CallDetail::Pm(pm) => {
                bytes.push(detail::PM);
                self.pm(*pm);
            }
            CallDetail::Pointer(pointer) => {
                bytes.push(detail::POINTER);
                bytes.put_word(*pointer);
            }
            CallDetail::Match { function, data } => {
                bytes.push(detail::MATCH);
                tables.put_word(bytes, *function);
                tables.put_word(bytes, *data);
            }
            CallDetail::Irq { number, dev_id } => {
                bytes.push(detail::IRQ);
                bytes.put_varint(u64::from(*number));
                tables.put_word(bytes, *dev_id);
            }
            CallDetail::Supply(name) => {
                bytes.push(detail::SUPPLY);
                tables.put_text(bytes, Some(name));
            }
            CallDetail::Releases(count) => {
                bytes.push(detail::RELEASES);
                bytes.put_varint(u64::from(*count));
            }
        }
    }

    fn returned(&mut self, returned: &Return) {
        let bytes = &mut self.plain.bytes;
        bytes.push(returned.hook as u8);
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        bytes.push(
            flag(returned.value.is_some(), returned::VALUE)
                | flag(returned.pm.is_some(), returned::PM)
                | flag(returned.node.is_some(), returned::NODE),
        );
        if let Some(value) = returned.value {
            bytes.put_varint(fold_sign(value.cast_unsigned()));
        }
        if let Some(pm) = returned.pm {
            self.pm(pm);
        }
        if let Some(node) = returned.node {
            self.node(node.0);
        }
    }
}

/// Each word in the way that takes the least room.
fn put_payload(bytes: &mut Vec<u8>, words: &[u64; 4], node: u64) {
    let way = |word: u64| {
        let (number, near) = (
            varint_length(word),
            varint_length(fold_sign(word.wrapping_sub(node))),
        );
        if word == 0 {
            payload::ZERO
        } else if number.min(near) >= 8 {
            payload::WORD
        } else if number <= near {
            payload::NUMBER
        } else {
            payload::NEAR_NODE
        }
    };
    let ways = words.map(way);
    bytes.push(
        ways.iter()
            .rev()
            .fold(0, |together, way| together << 2 | way),
    );
    for (word, way) in words.iter().zip(ways) {
        match way {
            payload::NUMBER => bytes.put_varint(*word),
            payload::NEAR_NODE => bytes.put_difference(*word, node),
            payload::WORD => bytes.put_word(*word),
            _ => {}
        }
    }
}
