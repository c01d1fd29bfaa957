//! One sample of every format of pasted text, with exactly the events that it must become.

mod envelope;
mod functions;
mod kernel_log;
#[path = "../support/text.rs"]
mod support;
mod trace_lines;

use std::sync::Arc;

use devres_tracer::{
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, Event, EventKind,
        Function, Hook, NodeAddress, NodeReference, Return, StackFrame, Task, Text,
    },
    evidence::{Attachment, Coverage, HookState},
};

use support::import;

fn events(text: &str) -> Vec<Event> {
    import(text).events().collect()
}

fn kinds(text: &str) -> Vec<EventKind> {
    events(text).into_iter().map(|event| event.kind).collect()
}

fn some(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::from(text))
}

fn identity(name: &str, driver: &str, bus: &str) -> EventKind {
    EventKind::Device(Arc::new(DeviceIdentity {
        name: some(name),
        driver: some(driver),
        bus: some(bus),
        parent: DeviceAddress::NONE,
    }))
}

fn added(node: u64, name: &str, size: u64) -> AddedNode {
    AddedNode {
        node: NodeAddress(node),
        name: some(name),
        size: Some(size),
        ..AddedNode::default()
    }
}

fn add(node: u64, name: &str, size: u64) -> EventKind {
    EventKind::Add(added(node, name, size))
}

fn reference(node: u64, name: &str, size: u64) -> NodeReference {
    NodeReference {
        node: NodeAddress(node),
        name: some(name),
        size: Some(size),
    }
}

fn enter(hook: Hook, detail: CallDetail) -> EventKind {
    EventKind::Enter(Call { hook, detail })
}

fn frame(name: &str, module: &str, offset: u64) -> StackFrame {
    StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: some(name),
            module: some(module),
        })),
        offset,
        line: None,
    }
}

fn leave(hook: Hook, value: Option<i64>) -> EventKind {
    EventKind::Leave(Return {
        hook,
        value,
        pm: None,
        node: None,
    })
}

fn task(comm: &str, tid: u32) -> Task {
    Task {
        tid,
        tgid: tid,
        comm: Comm::new(comm),
    }
}

fn attached(coverage: &Coverage) -> Vec<Hook> {
    let recorded = HookState::Attached(Attachment::Recorded);
    let attached = coverage
        .hooks
        .iter()
        .filter(|entry| entry.state == recorded);
    attached.map(|entry| entry.hook).collect()
}

const SECOND: u64 = 1_000_000_000;
