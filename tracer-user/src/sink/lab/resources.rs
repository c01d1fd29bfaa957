//! The lives of resources, each written as soon as it is over.
//!
//! A release is over when the next one begins in the same function, or that function returns: until then its row waits.

use std::io;

use hashbrown::HashMap;

use super::{
    table::{Cell, Table},
    words::{address, call_site, device, maybe, maybe_time, name, stack, task, word},
};
use crate::{
    event::{Hook, Task, Time},
    finding::label,
    history::{foreign, frame},
    model::{Device, DeviceId, Frame, Hazard, Left, Model, Node, NodeId, Origin},
};

/// Releases that may wait for their end; beyond that how long they took is not known.
const MOST_PENDING: usize = 1 << 12;

/// Where in a row the time of a release is.
const TOOK: usize = 27;

/// How the life of a resource ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its release runs; whether the kernel has said so itself.
    Released { concluded: bool },
    /// It was taken off the list.
    Removed,
    /// It went unobserved.
    Missed,
    /// Its device is gone.
    Left,
    /// It is still there.
    Held,
}

/// The table of resources.
pub(super) struct Resources {
    recording: String,
    table: Table,
    /// Releases that run, by task, the innermost last.
    running: HashMap<Task, Vec<Running>>,
    pending: usize,
    /// How many resources each teardown has released so far, of devices that are being taken apart.
    released: HashMap<DeviceId, (u64, u64)>,
}

/// A release that runs.
struct Running {
    /// The place of the call in which it runs in the order of everything seen.
    call: u64,
    began: Time,
    row: Vec<Cell>,
}

impl Resources {
    pub(super) fn begin(recording: &str, table: Table) -> Self {
        Self {
            recording: recording.to_owned(),
            table,
            running: HashMap::new(),
            pending: 0,
            released: HashMap::new(),
        }
    }

    /// The life of a node is over, or the recording.
    pub(super) fn ended(&mut self, id: NodeId, end: End, model: &Model) -> io::Result<()> {
        let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
            return Ok(());
        };
        let Some(owner) = model.owner(node) else {
            return Ok(());
        };
        let row = self.row(node, owner, end, model);
        let frames = model.frames(model.current_task());
        let call = releasing_call(owner, frames);
        match (end, call) {
            (End::Released { concluded: false }, Some(call)) => {
                self.release_began(call, row, frames, model)
            }
            _ => self.table.cells(row),
        }
    }

    fn release_began(
        &mut self,
        call: u64,
        row: Vec<Cell>,
        frames: &[Frame],
        model: &Model,
    ) -> io::Result<()> {
        let (task, now) = (*model.current_task(), model.now());
        let stack = self.running.entry(task).or_default();
        while let Some(last) = stack.last() {
            let (same, runs) = (
                last.call == call,
                frames.iter().any(|frame| frame.sequence() == last.call),
            );
            if !same && runs {
                break;
            }
            if let Some(over) = stack.pop() {
                self.pending -= 1;
                self.table.cells(over.over_at(same.then_some(now)))?;
            }
        }
        if self.pending >= MOST_PENDING {
            return self.table.cells(row);
        }
        self.pending += 1;
        stack.push(Running {
            call,
            began: now,
            row,
        });
        Ok(())
    }

    /// A function has returned: so have the releases in it.
    pub(super) fn left(&mut self, left: &Left, model: &Model) -> io::Result<()> {
        let Some(stack) = self.running.get_mut(model.current_task()) else {
            return Ok(());
        };
        while let Some(over) = stack.pop_if(|last| last.call == left.sequence) {
            self.pending -= 1;
            let now = (!left.inferred).then(|| model.now());
            self.table.cells(over.over_at(now))?;
        }
        if stack.is_empty() {
            self.running.remove(model.current_task());
        }
        Ok(())
    }

    /// A device's list is whole again, or it is gone: what is released next is counted anew.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.released.remove(&device);
    }

    /// Nothing comes any more.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut running: Vec<Running> = self.running.into_values().flatten().collect();
        running.sort_by_key(|running| (running.began, running.call));
        for running in running {
            self.table.cells(running.over_at(None))?;
        }
        self.table.finish()
    }

    fn order(&mut self, owner: Device<'_>, end: End) -> Option<u64> {
        let teardown = owner.running_teardown()?.sequence();
        if !matches!(end, End::Released { .. }) {
            return None;
        }
        let (of, count) = self.released.entry(owner.id()).or_default();
        if *of != teardown {
            (*of, *count) = (teardown, 0);
        }
        *count += 1;
        Some(*count)
    }

    fn row(&mut self, node: &Node, owner: Device<'_>, end: End, model: &Model) -> Vec<Cell> {
        let seen = node.origin() == Origin::Seen;
        let frames = model.frames(model.current_task());
        let happened = !matches!(end, End::Held);
        let [device, device_address, generation, bus, driver] = device(owner);
        let row: [Cell; 30] = [
            word(&self.recording),
            device,
            device_address,
            generation,
            bus,
            driver,
            address(node.address().0),
            Cell::number(node.sequence()),
            maybe(node.name().map(|name| &**name)),
            name(label(node)),
            Cell::or_null(node.function(), |function| name(&function.to_string())),
            word(node.kind().name()),
            Cell::Flag(node.kind().hazard().is_some_and(Hazard::touches_hardware)),
            Cell::or_null(node.size(), Cell::number),
            maybe_time(seen.then(|| node.added())),
            if seen { task(node.task()) } else { Cell::Null },
            if seen {
                word(node.phase().name())
            } else {
                Cell::Null
            },
            maybe(node.context().and_then(|context| context.name.as_deref())),
            Cell::number(node.binding().into()),
            call_site(node.stack()),
            stack(node.stack()),
            word(end.name()),
            maybe_time(happened.then(|| model.now())),
            Cell::or_null(happened.then(|| frame(owner, frames)).flatten(), |hook| {
                word(hook.symbol())
            }),
            if happened {
                task(model.current_task())
            } else {
                Cell::Null
            },
            maybe(
                happened
                    .then(|| foreign(owner, frames, model))
                    .flatten()
                    .as_deref(),
            ),
            Cell::or_null(self.order(owner, end), Cell::number),
            Cell::Null,
            word(owner.state().name()),
            maybe(owner.identity().driver.as_deref()),
        ];
        row.into()
    }
}

impl Running {
    /// The row, of a release that was over at this time.
    fn over_at(mut self, time: Option<Time>) -> Vec<Cell> {
        if let (Some(time), Some(took)) = (time, self.row.get_mut(TOOK)) {
            *took = Cell::number(time.since(self.began));
        }
        self.row
    }
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Released { .. } => "released",
            Self::Removed => "removed",
            Self::Missed => "missed",
            Self::Left => "left",
            Self::Held => "held",
        }
    }
}

/// The call in which the current task releases what this device has, by its place in the order of everything seen.
fn releasing_call(device: Device<'_>, frames: &[Frame]) -> Option<u64> {
    let call = frames.iter().rev().find(|frame| {
        frame.device() == Some(device.id())
            && matches!(frame.hook(), Hook::ReleaseAll | Hook::ReleaseGroup)
    })?;
    Some(call.sequence())
}
