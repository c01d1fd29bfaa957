//! A story as the text that the kernel's tracing prints of it.

use std::{collections::BTreeMap, fmt::Write as _};

use devres_tracer::event::{CallDetail, Event, EventKind, Hook, NodeAddress};

/// How node events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// By the tracepoint, with the hashes of `%p`; additions by a probe of `add_dr` too.
    Hashed,
    /// By the tracepoint, with the kernel's own addresses.
    Real,
    /// As kernels without the tracepoint: additions by a probe of `add_dr`, nothing else.
    Concluded,
}

/// The text of `events`, one line each.
pub(crate) fn text(events: &[Event], style: Style) -> String {
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut text = String::new();
    for event in events {
        if let EventKind::Device(identity) = &event.kind {
            if let Some(name) = &identity.name {
                names.insert(event.device.0, name.to_string());
            }
            continue;
        }
        let device = event.device.0;
        let name = names.get(&device).map_or("", String::as_str);
        for payload in payloads(event, device, name, style) {
            let (comm, tid, time) = (event.task.comm.name(), event.task.tid, event.time);
            let _ = writeln!(
                text,
                "{comm}-{tid} [{:03}] d..1. {time}: {payload}",
                event.cpu
            );
        }
    }
    text
}

fn payloads(event: &Event, device: u64, name: &str, style: Style) -> Vec<String> {
    let logged = |operation: &str, node: NodeAddress, what: &str, size: u64| {
        let node = match style {
            Style::Hashed => (node.0 >> 4).wrapping_mul(0x9e37_79b1) & 0xffff_ffff,
            Style::Real | Style::Concluded => node.0,
        };
        format!("devres_log: {name} {operation} {node:016x} {what} ({size} bytes)")
    };
    match &event.kind {
        EventKind::Add(node) => {
            let what = node.name.as_deref().unwrap_or_default();
            let line = logged("ADD", node.node, what, node.size.unwrap_or_default());
            let release = match what {
                "grp<" | "group_open_release" => "group_open_release",
                "grp>" | "group_close_release" => "group_close_release",
                "devm_kzalloc_release" => "devm_kmalloc_release",
                other => other,
            };
            let added = format!(
                "add_dr: (add_dr+0x0/0xc0) dev={device:#x} node={:#x} rel={release}+0x0/0x10",
                node.node.0
            );
            match style {
                Style::Hashed => vec![added, line],
                Style::Real => vec![line],
                Style::Concluded => vec![added],
            }
        }
        EventKind::Remove(node) | EventKind::Release(node) if style != Style::Concluded => {
            let operation = match event.kind {
                EventKind::Remove(_) => "REM",
                _ => "REL",
            };
            let what = node.name.as_deref().unwrap_or_default();
            vec![logged(
                operation,
                node.node,
                what,
                node.size.unwrap_or_default(),
            )]
        }
        EventKind::Enter(call) => vec![entry(call.hook, &call.detail, device, name)],
        EventKind::Leave(returned) => {
            let symbol = returned.hook.symbol();
            let value = match returned.value {
                Some(value) => format!(" ret={value}"),
                None => String::new(),
            };
            vec![format!(
                "{symbol}_ret: (caller+0x10/0x20 <- {symbol}){value}"
            )]
        }
        _ => Vec::new(),
    }
}

fn entry(hook: Hook, detail: &CallDetail, device: u64, name: &str) -> String {
    let symbol = hook.symbol();
    let mut line = format!("{symbol}: ({symbol}+0x0/0x100) dev={device:#x}");
    let unnamed = matches!(
        hook,
        Hook::Initialise | Hook::OpenGroup | Hook::CloseGroup | Hook::ReleaseGroup
    );
    if !unnamed {
        let _ = write!(line, " name=\"{name}\"");
    }
    match detail {
        CallDetail::Group(id) => {
            let _ = write!(line, " id={:#x}", id.0);
        }
        CallDetail::Pm(pm) => {
            let _ = write!(line, " pmd={:#x} detach={:#x}", pm.domain, pm.detach);
        }
        _ => {}
    }
    line
}
