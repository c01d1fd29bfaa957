//! Cells of what the model and events have: names harmless, addresses as the JSON forms write them.

use super::table::Cell;
use crate::{
    escape::escape,
    event::{StackDefinition, Task, Time},
    finding::{frames, text::telling},
    model::{Device, InstanceKey},
};

/// A name.
pub(super) fn name(name: &str) -> Cell {
    Cell::Text(escape(name))
}

/// A name, if it is known.
pub(super) fn maybe(text: Option<&str>) -> Cell {
    Cell::or_null(text, name)
}

/// A name that is always there, if only as a word of the tool's own.
pub(super) fn word(word: &str) -> Cell {
    Cell::Text(word.to_owned())
}

/// An address.
pub(super) fn address(address: u64) -> Cell {
    Cell::Text(format!("{address:#x}"))
}

/// An address, or NULL for none.
pub(super) fn maybe_address(word: u64) -> Cell {
    Cell::or_null((word != 0).then_some(word), address)
}

/// A time.
pub(super) fn time(time: Time) -> Cell {
    Cell::number(time.0)
}

/// A time, if it is known.
pub(super) fn maybe_time(moment: Option<Time>) -> Cell {
    Cell::or_null(moment, time)
}

/// A task, as `comm[tid]`; NULL where the source doesn't say.
pub(super) fn task(task: &Task) -> Cell {
    let is_known = task.tid != 0 || task.comm.0.first().is_some_and(|first| *first != 0);
    let text = || Cell::Text(format!("{}[{}]", escape(&task.comm.name()), task.tid));
    if is_known { text() } else { Cell::Null }
}

/// A task's name.
pub(super) fn task_name(task: &Task) -> Cell {
    name(&task.comm.name())
}

/// The frame of a stack that shows who it was.
pub(super) fn call_site(stack: Option<&StackDefinition>) -> Cell {
    let frame = stack.and_then(|stack| {
        let frames = frames(stack);
        telling(&frames).first().or(frames.first()).cloned()
    });
    maybe(frame.as_deref())
}

/// All frames of a stack.
pub(super) fn stack(stack: Option<&StackDefinition>) -> Cell {
    let frames = stack.map(frames).filter(|frames| !frames.is_empty());
    Cell::or_null(frames, |frames| {
        let frames: Vec<String> = frames.iter().map(|frame| escape(frame)).collect();
        Cell::Text(frames.join(" < "))
    })
}

/// A device's name, address, generation, bus, and the driver that it has or had.
pub(super) fn device(device: Device<'_>) -> [Cell; 5] {
    let identity = device.identity();
    let [address, generation] = instance(device.key());
    [
        maybe(identity.name.as_deref()),
        address,
        generation,
        maybe(identity.bus.as_deref()),
        maybe(device.last_driver().map(|driver| &**driver)),
    ]
}

/// An instance's address and generation.
pub(super) fn instance(key: InstanceKey) -> [Cell; 2] {
    [address(key.address.0), Cell::number(key.generation.into())]
}

/// Sentences, one a line; NULL where there are none.
pub(super) fn sentences(sentences: &[String]) -> Cell {
    let told: Vec<String> = sentences.iter().map(|sentence| escape(sentence)).collect();
    if told.is_empty() {
        Cell::Null
    } else {
        Cell::Text(told.join("\n"))
    }
}
