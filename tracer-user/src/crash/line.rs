//! An event as a line of ftrace's text, which [`source::text`](crate::source::text) reads.

use std::fmt::{self, Write as _};

use crate::event::{
    AddedNode, CallDetail, DeviceIdentity, Event, EventKind, Function, Hook, NodeReference,
    PmDomain, Task,
};

/// Writes an event's lines; none for what a text has no words for.
pub(super) fn write(
    text: &mut String,
    event: &Event,
    device: Option<&DeviceIdentity>,
) -> fmt::Result {
    match &event.kind {
        EventKind::Enter(call) => {
            entry(text, event, call.hook)?;
            identify(text, call.hook, device)?;
            detail(text, &call.detail)?;
        }
        EventKind::Leave(left) => {
            head(text, event)?;
            let function = left.hook.symbol();
            write!(text, "r_{function}_0: (caller+0x0/0x0 <- {function})")?;
            if let Some(value) = left.value {
                write!(text, " ret={:#x}", value.cast_unsigned())?;
            }
            if let Some(pm) = left.pm {
                pm_domain(text, pm)?;
            }
        }
        EventKind::Add(added) => add(text, event, device, added)?,
        EventKind::Remove(node) => resource(text, event, device, "REM", node)?,
        EventKind::Release(node) => resource(text, event, device, "REL", node)?,
        EventKind::Replace(node) => resource(text, event, device, "REPLACE", node)?,
        EventKind::Loss(loss) => {
            write!(text, "CPU:{} [LOST {} EVENTS]", event.cpu, loss.count)?;
        }
        EventKind::Device(_)
        | EventKind::Stack(_)
        | EventKind::Snapshot(_)
        | EventKind::RemoveAction { .. }
        | EventKind::ModuleFree { .. }
        | EventKind::Message(_) => return Ok(()),
    }
    text.push('\n');
    Ok(())
}

/// `comm-tid (tgid) [cpu] flags time: `
fn head(text: &mut String, event: &Event) -> fmt::Result {
    let Task { tid, tgid, comm } = event.task;
    let name = comm.name();
    let name = if name.is_empty() { "<...>" } else { &*name };
    write!(
        text,
        "{}-{tid} ({tgid}) [{:03}] ..... {}.{:09}: ",
        Plain(name),
        event.cpu,
        event.time.0 / 1_000_000_000,
        event.time.0 % 1_000_000_000
    )
}

fn entry(text: &mut String, event: &Event, hook: Hook) -> fmt::Result {
    head(text, event)?;
    let function = hook.symbol();
    write!(
        text,
        "p_{function}_0: ({function}+0x0/0x0) dev={:#x}",
        event.device.0
    )
}

/// Who the device is, where that has just become known or is about to be forgotten.
fn identify(text: &mut String, hook: Hook, device: Option<&DeviceIdentity>) -> fmt::Result {
    let Some(device) = device.filter(|_| matches!(hook, Hook::Probe | Hook::Unbind | Hook::Delete))
    else {
        return Ok(());
    };
    let named = [
        ("name", &device.name),
        ("drv", &device.driver),
        ("bus", &device.bus),
    ];
    for (argument, name) in named {
        if let Some(name) = name {
            write!(text, " {argument}=\"{}\"", Plain(name))?;
        }
    }
    Ok(())
}

fn detail(text: &mut String, detail: &CallDetail) -> fmt::Result {
    match detail {
        // How many it releases is known when it returns.
        CallDetail::None | CallDetail::Releases(_) => Ok(()),
        CallDetail::Group(id) => write!(text, " id={:#x}", id.0),
        CallDetail::Pm(pm) => pm_domain(text, *pm),
        CallDetail::Pointer(address) => write!(text, " res={address:#x}"),
        CallDetail::Match { function, data } => {
            write!(text, " fn={function:#x} data={data:#x}")
        }
        CallDetail::Irq { number, dev_id } => write!(text, " irq={number} dev_id={dev_id:#x}"),
        CallDetail::Supply(name) => write!(text, " name=\"{}\"", Plain(name)),
    }
}

fn pm_domain(text: &mut String, pm: PmDomain) -> fmt::Result {
    write!(text, " pmd={:#x} detach={:#x}", pm.domain, pm.detach)
}

/// The tracepoint reports neither the device's address nor what an action calls: `add_dr` does.
fn add(
    text: &mut String,
    event: &Event,
    device: Option<&DeviceIdentity>,
    added: &AddedNode,
) -> fmt::Result {
    entry(text, event, Hook::AddDr)?;
    write!(text, " node={:#x}", added.node.0)?;
    let function = added.function.as_deref();
    if added.action || added.action_data != 0 {
        text.push_str(" rel=devm_action_release+0x0/0x0");
        symbol(text, "act", function)?;
        write!(text, " data={:#x}", added.action_data)?;
    } else {
        symbol(text, "rel", function)?;
    }
    let [first, second, ..] = added.payload;
    writeln!(text, " w0={first:#x} w1={second:#x}")?;
    let node = NodeReference {
        node: added.node,
        name: added.name.clone(),
        size: added.size,
    };
    resource(text, event, device, "ADD", &node)
}

fn symbol(text: &mut String, argument: &str, function: Option<&Function>) -> fmt::Result {
    let Some(function) = function else {
        return Ok(());
    };
    match (&function.name, &function.module) {
        (Some(name), Some(module)) => write!(
            text,
            " {argument}={}+0x0/0x0 [{}]",
            Plain(name),
            Plain(module)
        ),
        (Some(name), None) => write!(text, " {argument}={}+0x0/0x0", Plain(name)),
        (None, _) => write!(text, " {argument}={:#x}", function.address),
    }
}

fn resource(
    text: &mut String,
    event: &Event,
    device: Option<&DeviceIdentity>,
    operation: &str,
    node: &NodeReference,
) -> fmt::Result {
    head(text, event)?;
    let name = device.and_then(|device| device.name.as_deref());
    write!(
        text,
        "devres_log: {} {operation} {:016x} {} ({} bytes)",
        Plain(name.unwrap_or("(null)")),
        node.node.0,
        Plain(node.name.as_deref().unwrap_or("(null)")),
        node.size.unwrap_or_default()
    )
}

/// A name within a line: nothing in it ends the line, or a quotation.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let plain = character.is_control() || character == '"';
            formatter.write_char(if plain { '?' } else { character })?;
        }
        Ok(())
    }
}
