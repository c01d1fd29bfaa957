//! Events in a few words.

use crate::{
    errno,
    escape::Escaped,
    event::{AddedNode, CallDetail, EventKind, GroupId, Hook, Message, NodeReference, registered},
};

/// An event in a few words; `None` for what is only bookkeeping.
pub(crate) fn words(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::Device(_)
        | EventKind::Stack(_)
        | EventKind::Snapshot(_)
        | EventKind::Loss(_) => return None,
        EventKind::Add(node) => format!("ADD {}", added(node)),
        EventKind::Remove(node) => format!("REM {}", reference(node)),
        EventKind::Release(node) => format!("REL {}", reference(node)),
        EventKind::Replace(node) => format!("REPLACE {}", reference(node)),
        EventKind::RemoveAction { function, data } => {
            format!("REM action {function:#x} data {data:#x}")
        }
        EventKind::Message(message) => said(message),
        EventKind::ModuleFree { module, .. } => format!("module_free {}", Escaped(module)),
        EventKind::Enter(call) => match (&call.detail, call.hook) {
            (_, Hook::DevresAdd) => return None,
            (CallDetail::Group(GroupId(0)), hook) => format!("{}(id NULL)", hook.symbol()),
            (CallDetail::Group(GroupId(id)), hook) => format!("{}(id {id:#x})", hook.symbol()),
            (CallDetail::Pm(pm), Hook::PmDetach) if !pm.detaches() => {
                "dev_pm_domain_detach: nothing to detach".to_owned()
            }
            (CallDetail::Irq { number, .. }, hook) => format!("{}(irq {number})", hook.symbol()),
            (CallDetail::Pointer(memory), Hook::Free) => format!("kfree({memory:#x})"),
            (CallDetail::Supply(name), hook) => {
                let name = Escaped(name).to_string();
                match registered(hook, &name) {
                    Some(lies) => {
                        format!("in what is released next {} is {}", lies.what, lies.state)
                    }
                    None => format!("{}({name})", hook.symbol()),
                }
            }
            (_, hook) => hook.symbol().to_owned(),
        },
        EventKind::Leave(left) => match left.value {
            // One is success before 5.18; errors come out with either sign.
            Some(value) if left.hook == Hook::Probe && !matches!(value, 0 | 1) => format!(
                "{} returned {value} ({})",
                left.hook.symbol(),
                errno::name(-value.saturating_abs())
            ),
            Some(value) if left.hook != Hook::Krealloc => {
                format!("{} returned {value}", left.hook.symbol())
            }
            _ => format!("{} returned", left.hook.symbol()),
        },
    })
}

fn added(node: &AddedNode) -> String {
    let mut words = reference(&NodeReference {
        node: node.node,
        name: node.name.clone(),
        size: node.size,
    });
    if let Some(function) = &node.function
        && node.name.as_deref() == Some("devm_action_release")
    {
        words = format!("{words} → {}", Escaped(&function.to_string()));
    }
    words
}

fn reference(node: &NodeReference) -> String {
    let name = node.name.as_deref().unwrap_or("(no name)");
    match node.size {
        Some(size) => format!("{} ({size} bytes) {}", Escaped(name), node.node),
        None => format!("{} {}", Escaped(name), node.node),
    }
}

fn said(message: &Message) -> String {
    match message {
        Message::ProbeRefused => {
            "the kernel refused the probe: resources present before probing".to_owned()
        }
        Message::Warning { function, line } => {
            let function = function.as_deref().unwrap_or("an unknown function");
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            format!(
                "the kernel warned in {}, drivers/base/devres.c{line}",
                Escaped(function)
            )
        }
        Message::FreedActive { object, block, .. } => format!(
            "the kernel found an active {} in freed memory, after REL {}",
            Escaped(object),
            reference(block)
        ),
        Message::Waits => "a release is still under way, and its task waits".to_owned(),
        Message::Splat(splat) => format!("the kernel's {}", Escaped(&splat.to_string())),
    }
}
