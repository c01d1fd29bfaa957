//! What a file begins with whose beginning is the middle of a run.

use crate::{
    event::{
        AddedNode, DeviceAddress, DeviceSnapshot, Event, EventKind, LossCause, NodeAddress,
        StackDefinition,
    },
    evidence::{Before, Coverage},
    model::{Device, Kind, Model, Node, State},
};

/// The current state as events: what the stack numbers mean, and what each device holds.
///
/// A device on which something is under way, or of which something is not known, gets a snapshot that says
/// that it is not certain. If anything at all is under way, a loss follows: what began before the file can't be
/// judged from it, and it must not be taken for clean.
pub(crate) fn events(model: &Model) -> Vec<Event> {
    let time = model.now();
    let mut stacks: Vec<&StackDefinition> = model.stacks().collect();
    stacks.sort_unstable_by_key(|definition| definition.id);
    let stacks = stacks.into_iter().map(|definition| {
        let kind = EventKind::Stack(definition.clone());
        Event::outside_tasks(time, DeviceAddress::NONE, kind)
    });
    let devices = model.devices().map(|device| {
        let kind = EventKind::Snapshot(Box::new(snapshot(device)));
        Event::outside_tasks(time, device.address(), kind)
    });
    let middle = (!model.is_quiet()).then(|| Event::loss(time, 1, LossCause::Input));
    stacks
        .chain(devices)
        .chain(middle)
        // Behind the loss: else they might be another life's.
        .chain(model.introductions())
        .collect()
}

/// The coverage of such a file.
pub(crate) fn coverage(coverage: &Coverage) -> Coverage {
    let mut coverage = coverage.clone();
    if coverage.before == Before::Nothing {
        coverage.before = Before::Snapshot;
    }
    coverage
}

fn snapshot(device: Device<'_>) -> DeviceSnapshot {
    let settled = matches!(
        device.state(),
        State::Initialised | State::Bound | State::Unbound
    );
    let nodes: Vec<AddedNode> = device.nodes().map(|(_, node)| added(node)).collect();
    // A block has no address while devm_krealloc moves it.
    let told_apart = nodes.iter().all(|node| node.node != NodeAddress(0));
    DeviceSnapshot {
        identity: device.identity().clone(),
        nodes,
        pm: device.pm(),
        consistent: settled
            && told_apart
            && device.releasing().next().is_none()
            && !device.is_tainted(),
    }
}

fn added(node: &Node) -> AddedNode {
    AddedNode {
        node: node.address(),
        name: node.name().cloned(),
        size: node.size(),
        function: node.function().cloned(),
        action: matches!(node.kind(), Kind::Action(_)) && node.action_data() == 0,
        action_data: node.action_data(),
        payload_address: node.payload_address(),
        payload: node.payload(),
        group: node.group(),
    }
}
