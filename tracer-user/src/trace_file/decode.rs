//! From the content of a block to events.

use std::sync::Arc;

use super::{
    bytes::{Cursor, Malformed, unfold_sign},
    numbers::{CAUSES, detail, kind, message, node, own, payload, returned},
    splat,
    tables::ReadingTables,
};
use crate::event::{
    AddedNode, Call, CallDetail, DeviceAddress, DeviceIdentity, DeviceSnapshot, Event, EventKind,
    GroupId, Hook, Loss, Message, ModuleCode, NodeAddress, NodeReference, PmDomain, Return,
    StackDefinition, StackId, Task, Time,
};

/// The fewest bytes of a stack's frame and of an added node.
const LEAST_FRAME: usize = 3;
const LEAST_NODE: usize = 3;

/// Takes events out of blocks.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    tables: ReadingTables,
    time: u64,
    task: Task,
    cpu: u16,
    device: u64,
    node: u64,
}

impl Decoder {
    /// The next block begins.
    pub(super) fn begin_block(&mut self) {
        self.tables.clear();
        (self.time, self.task, self.cpu, self.device, self.node) = (0, Task::default(), 0, 0, 0);
    }

    /// The next event.
    pub(super) fn event(&mut self, cursor: &mut Cursor<'_>) -> Result<Event, Malformed> {
        let first = cursor.byte()?;
        self.time = cursor.difference(self.time)?;
        if first & own::TASK != 0 {
            self.task = self.tables.task(cursor)?;
        }
        if first & own::CPU != 0 {
            self.cpu = cursor.small()?;
        }
        if first & own::DEVICE != 0 {
            self.device = self.tables.word(cursor)?;
        }
        let stack = if first & own::STACK != 0 {
            Some(StackId(cursor.small()?))
        } else {
            None
        };
        Ok(Event {
            time: Time(self.time),
            task: self.task,
            cpu: self.cpu,
            device: DeviceAddress(self.device),
            stack,
            kind: self.kind(first & 0xf, cursor)?,
        })
    }

    fn kind(&mut self, number: u8, cursor: &mut Cursor<'_>) -> Result<EventKind, Malformed> {
        Ok(match number {
            kind::DEVICE => EventKind::Device(Arc::new(self.identity(cursor)?)),
            kind::STACK => EventKind::Stack(self.stack(cursor)?),
            kind::SNAPSHOT => EventKind::Snapshot(Box::new(self.snapshot(cursor)?)),
            kind::ADD => EventKind::Add(self.added(cursor)?),
            kind::REMOVE => EventKind::Remove(self.reference(cursor)?),
            kind::RELEASE => EventKind::Release(self.reference(cursor)?),
            kind::REPLACE => EventKind::Replace(self.reference(cursor)?),
            kind::REMOVE_ACTION => EventKind::RemoveAction {
                function: self.tables.word(cursor)?,
                data: self.tables.word(cursor)?,
            },
            kind::MODULE_FREE => {
                let module = self.tables.text(cursor)?;
                let code = if flag(cursor)? {
                    Some(ModuleCode {
                        begin: cursor.word()?,
                        size: cursor.varint()?,
                    })
                } else {
                    None
                };
                EventKind::ModuleFree {
                    module: module.ok_or(Malformed("a module has no name"))?,
                    code,
                }
            }
            kind::ENTER => EventKind::Enter(self.call(cursor)?),
            kind::LEAVE => EventKind::Leave(self.returned(cursor)?),
            kind::LOSS => EventKind::Loss(loss(cursor)?),
            kind::MESSAGE => EventKind::Message(self.message(cursor)?),
            _ => return Err(Malformed("it has an event of an unknown kind")),
        })
    }

    fn identity(&mut self, cursor: &mut Cursor<'_>) -> Result<DeviceIdentity, Malformed> {
        Ok(DeviceIdentity {
            name: self.tables.text(cursor)?,
            driver: self.tables.text(cursor)?,
            bus: self.tables.text(cursor)?,
            parent: DeviceAddress(self.tables.word(cursor)?),
        })
    }

    fn stack(&mut self, cursor: &mut Cursor<'_>) -> Result<StackDefinition, Malformed> {
        let id = StackId(cursor.small()?);
        let count = cursor.count(LEAST_FRAME)?;
        let frames = (0..count)
            .map(|_| splat::read_frame(cursor, &mut self.tables))
            .collect::<Result<_, _>>()?;
        Ok(StackDefinition { id, frames })
    }

    fn snapshot(&mut self, cursor: &mut Cursor<'_>) -> Result<DeviceSnapshot, Malformed> {
        let identity = self.identity(cursor)?;
        let pm = self.pm(cursor)?;
        let consistent = flag(cursor)?;
        let count = cursor.count(LEAST_NODE)?;
        let nodes = (0..count)
            .map(|_| self.added(cursor))
            .collect::<Result<_, _>>()?;
        Ok(DeviceSnapshot {
            identity,
            nodes,
            pm,
            consistent,
        })
    }

    fn pm(&mut self, cursor: &mut Cursor<'_>) -> Result<PmDomain, Malformed> {
        Ok(PmDomain {
            domain: self.tables.word(cursor)?,
            detach: self.tables.word(cursor)?,
        })
    }

    fn node(&mut self, cursor: &mut Cursor<'_>) -> Result<NodeAddress, Malformed> {
        self.node = cursor.difference(self.node)?;
        Ok(NodeAddress(self.node))
    }

    fn added(&mut self, cursor: &mut Cursor<'_>) -> Result<AddedNode, Malformed> {
        let address = self.node(cursor)?;
        let there = known_flags(cursor.byte()?, node::ALL)?;
        let has = |flag: u8| there & flag != 0;
        let name = self.tables.text(cursor)?;
        let size = has(node::SIZE).then(|| cursor.varint()).transpose()?;
        let function = if has(node::FUNCTION) {
            self.tables.function(cursor)?
        } else {
            None
        };
        let action_data = if has(node::ACTION_DATA) {
            self.tables.word(cursor)?
        } else {
            0
        };
        let payload_address = if has(node::PAYLOAD_ADDRESS) {
            cursor.difference(address.0)?
        } else {
            0
        };
        let payload = if has(node::PAYLOAD) {
            payload_words(cursor, address.0)?
        } else {
            [0; 4]
        };
        let group = if has(node::GROUP) {
            Some(GroupId(self.tables.word(cursor)?))
        } else {
            None
        };
        Ok(AddedNode {
            node: address,
            name,
            size,
            function,
            action: has(node::ACTION),
            action_data,
            payload_address,
            payload,
            group,
        })
    }

    fn reference(&mut self, cursor: &mut Cursor<'_>) -> Result<NodeReference, Malformed> {
        Ok(NodeReference {
            node: self.node(cursor)?,
            name: self.tables.text(cursor)?,
            size: flag(cursor)?.then(|| cursor.varint()).transpose()?,
        })
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<Message, Malformed> {
        Ok(match cursor.byte()? {
            message::PROBE_REFUSED => Message::ProbeRefused,
            message::WAITS => Message::Waits,
            message::WARNING => Message::Warning {
                function: self.tables.text(cursor)?,
                line: flag(cursor)?.then(|| cursor.varint()).transpose()?,
            },
            message::FREED_ACTIVE => Message::FreedActive {
                object: self
                    .tables
                    .text(cursor)?
                    .ok_or(Malformed("an object has no type"))?,
                hint: self.tables.text(cursor)?,
                block: self.reference(cursor)?,
            },
            message::SPLAT => Message::Splat(Box::new(splat::read(cursor, &mut self.tables)?)),
            _ => return Err(Malformed("the kernel's message is of an unknown kind")),
        })
    }

    fn call(&mut self, cursor: &mut Cursor<'_>) -> Result<Call, Malformed> {
        Ok(Call {
            hook: hook(cursor)?,
            detail: match cursor.byte()? {
                detail::NONE => CallDetail::None,
                detail::GROUP => CallDetail::Group(GroupId(self.tables.word(cursor)?)),
                detail::PM => CallDetail::Pm(self.pm(cursor)?),
                detail::POINTER => CallDetail::Pointer(cursor.word()?),
                detail::MATCH => CallDetail::Match {
                    function: self.tables.word(cursor)?,
                    data: self.tables.word(cursor)?,
                },
                detail::IRQ => CallDetail::Irq {
                    number: cursor.small()?,
                    dev_id: self.tables.word(cursor)?,
                },
                detail::SUPPLY => {
                    let name = self.tables.text(cursor)?;
                    CallDetail::Supply(name.ok_or(Malformed("a clock or regulator has no name"))?)
                }
                detail::RELEASES => CallDetail::Releases(cursor.small()?),
                _ => return Err(Malformed("a call has arguments of an unknown kind")),
            },
        })
    }

    fn returned(&mut self, cursor: &mut Cursor<'_>) -> Result<Return, Malformed> {
        let hook = hook(cursor)?;
        let there = known_flags(cursor.byte()?, returned::ALL)?;
        let value = if there & returned::VALUE != 0 {
            Some(unfold_sign(cursor.varint()?).cast_signed())
        } else {
            None
        };
        let pm = if there & returned::PM != 0 {
            Some(self.pm(cursor)?)
        } else {
            None
        };
        let node = if there & returned::NODE != 0 {
            Some(self.node(cursor)?)
        } else {
            None
        };
        Ok(Return {
            hook,
            value,
            pm,
            node,
        })
    }
}

fn hook(cursor: &mut Cursor<'_>) -> Result<Hook, Malformed> {
    Hook::from_number(cursor.byte()?).ok_or(Malformed("it names an unknown function"))
}

fn flag(cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
    known_flags(cursor.byte()?, 1).map(|byte| byte == 1)
}

/// Flags that this version doesn't know stand for members that it can't pass over.
fn known_flags(flags: u8, known: u8) -> Result<u8, Malformed> {
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(Malformed("it has members of an unknown kind"))
    }
}

fn payload_words(cursor: &mut Cursor<'_>, node: u64) -> Result<[u64; 4], Malformed> {
    let mut ways = cursor.byte()?;
    let mut words = [0; 4];
    for word in &mut words {
        *word = match ways & 3 {
            payload::NUMBER => cursor.varint()?,
            payload::NEAR_NODE => cursor.difference(node)?,
            payload::WORD => cursor.word()?,
            _ => 0,
        };
        ways >>= 2;
    }
    Ok(words)
}

fn loss(cursor: &mut Cursor<'_>) -> Result<Loss, Malformed> {
    Ok(Loss {
        count: cursor.varint()?,
        cause: *CAUSES
            .get(cursor.small::<usize>()?)
            .ok_or(Malformed("events were lost for an unknown cause"))?,
    })
}
