//! Events as rows.

use super::{
    table::Cell,
    words::{address, call_site, maybe, maybe_address, name, stack, task_name, time, word},
};
use crate::{
    event::{CallDetail, Event, EventKind, Hook, LossCause, NodeReference, Text},
    model::{Device, Model},
    sink::text,
};

/// What only some kinds of events have.
#[derive(Debug, Default)]
struct Detail<'e> {
    function: Option<Hook>,
    node: u64,
    name: Option<&'e Text>,
    size: Option<u64>,
    action: Option<String>,
    result: Option<i64>,
    lost: Option<u64>,
    cause: Option<LossCause>,
}

/// The row of an event; the model already knows of it.
pub(super) fn row(recording: &str, number: u64, event: &Event, model: &Model) -> [Cell; 24] {
    let detail = Detail::of(&event.kind);
    let identity = match &event.kind {
        // Whose it is, is not known yet: of the life that is there, or of the one that begins next.
        EventKind::Device(identity) => Some(&**identity),
        _ => model.device(event.device).map(Device::identity),
    };
    let defined = match &event.kind {
        EventKind::Stack(definition) => Some(definition),
        _ => None,
    };
    let referred = event.stack.and_then(|id| model.stack(id));
    [
        word(recording),
        Cell::number(number),
        time(event.time),
        Cell::number(event.cpu.into()),
        Cell::number(event.task.tid.into()),
        Cell::number(event.task.tgid.into()),
        task_name(&event.task),
        maybe_address(event.device.0),
        maybe(identity.and_then(|identity| identity.name.as_deref())),
        maybe(identity.and_then(|identity| identity.driver.as_deref())),
        maybe(identity.and_then(|identity| identity.bus.as_deref())),
        word(kind(&event.kind)),
        Cell::or_null(detail.function, |hook| word(hook.symbol())),
        Cell::or_null((detail.node != 0).then_some(detail.node), address),
        maybe(detail.name.map(|name| &**name)),
        Cell::or_null(detail.size, Cell::number),
        Cell::or_null(detail.action, |action| name(&action)),
        Cell::or_null(detail.result, Cell::Number),
        Cell::or_null(detail.lost, Cell::number),
        Cell::or_null(detail.cause, |cause| word(cause_name(cause))),
        Cell::or_null(event.stack.or(defined.map(|stack| stack.id)), |id| {
            Cell::number(id.0.into())
        }),
        call_site(referred.or(defined)),
        stack(defined),
        Cell::or_null(text::words(&event.kind), Cell::Text),
    ]
}

impl<'e> Detail<'e> {
    fn of(kind: &'e EventKind) -> Self {
        match kind {
            EventKind::Add(node) => Self {
                node: node.node.0,
                name: node.name.as_ref(),
                size: node.size,
                action: node.function.as_ref().map(ToString::to_string),
                ..Self::default()
            },
            EventKind::Remove(node) | EventKind::Release(node) | EventKind::Replace(node) => {
                Self::of_node(node)
            }
            EventKind::ModuleFree { module, .. } => Self {
                name: Some(module),
                ..Self::default()
            },
            EventKind::Enter(call) => Self {
                function: Some(call.hook),
                name: match &call.detail {
                    CallDetail::Supply(name) => Some(name),
                    _ => None,
                },
                ..Self::default()
            },
            EventKind::Leave(left) => Self {
                function: Some(left.hook),
                node: left.node.map_or(0, |node| node.0),
                result: left.value,
                ..Self::default()
            },
            EventKind::Loss(loss) => Self {
                lost: Some(loss.count),
                cause: Some(loss.cause),
                ..Self::default()
            },
            EventKind::Device(_)
            | EventKind::Stack(_)
            | EventKind::Snapshot(_)
            | EventKind::RemoveAction { .. }
            | EventKind::Message(_) => Self::default(),
        }
    }

    fn of_node(node: &'e NodeReference) -> Self {
        Self {
            node: node.node.0,
            name: node.name.as_ref(),
            size: node.size,
            ..Self::default()
        }
    }
}

/// The kind of an event in a word, as JSON lines have it.
fn kind(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Device(_) => "device",
        EventKind::Stack(_) => "stack",
        EventKind::Snapshot(_) => "snapshot",
        EventKind::Add(_) => "add",
        EventKind::Remove(_) => "remove",
        EventKind::Release(_) => "release",
        EventKind::Replace(_) => "replace",
        EventKind::RemoveAction { .. } => "remove_action",
        EventKind::ModuleFree { .. } => "module_free",
        EventKind::Message(_) => "message",
        EventKind::Enter(_) => "enter",
        EventKind::Leave(_) => "leave",
        EventKind::Loss(_) => "loss",
    }
}

const fn cause_name(cause: LossCause) -> &'static str {
    match cause {
        LossCause::RingFull => "ring_full",
        LossCause::ProbeSkipped => "probe_skipped",
        LossCause::Undecodable => "undecodable",
        LossCause::Input => "input",
        LossCause::Unwritten => "unwritten",
        LossCause::KprobesOff => "kprobes_off",
        LossCause::FtraceOff => "ftrace_off",
        LossCause::HookSilent => "hook_silent",
    }
}
