//! Inputs whose cost once grew faster than they: the time for each of their parts must not grow with them.

use std::{fmt::Write as _, io::Cursor, sync::Arc};

use devres_tracer::{
    check::Policy,
    engine::Engine,
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, Event, EventKind, GroupId, Hook,
        NodeAddress, NodeReference, Return, Task, Text, Time,
    },
    evidence::{Addresses, Attachment, Coverage, HookCoverage, HookState},
    rules::RuleSet,
    source::text,
};
use divan::{Bencher, counter::ItemsCount};

/// Parts of each input: the time of one is compared.
const SIZES: [u64; 2] = [2_000, 16_000];
const DEVICE: DeviceAddress = DeviceAddress(0xff11_0000_0500_0000);

fn main() {
    divan::main();
}

fn coverage() -> Coverage {
    Coverage {
        hooks: Hook::ALL
            .into_iter()
            .map(|hook| HookCoverage {
                hook,
                state: HookState::Attached(Attachment::Fentry),
            })
            .collect(),
        node_addresses: Addresses::Real,
        ..Coverage::default()
    }
}

fn events(kinds: impl IntoIterator<Item = EventKind>) -> Vec<Event> {
    events_on(kinds.into_iter().map(|kind| (DEVICE, kind)))
}

fn events_on(kinds: impl IntoIterator<Item = (DeviceAddress, EventKind)>) -> Vec<Event> {
    let task = Task {
        tid: 1,
        tgid: 1,
        comm: Comm::new("init"),
    };
    let mut time = 0;
    kinds
        .into_iter()
        .map(|(device, kind)| {
            time += 1_000;
            Event {
                time: Time(time),
                task,
                cpu: 0,
                device,
                stack: None,
                kind,
            }
        })
        .collect()
}

fn enter(hook: Hook, group: Option<u64>) -> EventKind {
    let detail = group.map_or(CallDetail::None, |id| CallDetail::Group(GroupId(id)));
    EventKind::Enter(Call { hook, detail })
}

fn leave(hook: Hook, value: i64) -> EventKind {
    EventKind::Leave(Return {
        hook,
        value: Some(value),
        pm: None,
        node: None,
    })
}

fn add(node: u64, name: &str) -> EventKind {
    EventKind::Add(AddedNode {
        node: NodeAddress(node),
        name: Some(Text::from(name)),
        size: Some(0),
        ..AddedNode::default()
    })
}

fn release(node: u64, name: &str) -> EventKind {
    EventKind::Release(NodeReference {
        node: NodeAddress(node),
        name: Some(Text::from(name)),
        size: Some(0),
    })
}

fn judge(bencher: Bencher<'_, '_>, events: &[Event], parts: u64) {
    let coverage = Arc::new(coverage());
    bencher.counter(ItemsCount::new(parts)).bench_local(|| {
        let mut engine = Engine::new(Arc::clone(&coverage), RuleSet::all());
        for event in events {
            engine.apply(event);
        }
    });
}

/// Groups within groups, closed from the innermost on, and released at once.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn nested_groups(bencher: Bencher<'_, '_>, count: u64) {
    let marker = |group: u64| 0x10_0000 + group * 0x100;
    let mut kinds = vec![enter(Hook::Initialise, None)];
    for group in 0..count {
        kinds.push(enter(Hook::OpenGroup, Some(group + 1)));
        kinds.push(add(marker(group), "grp<"));
    }
    for group in (0..count).rev() {
        kinds.push(enter(Hook::CloseGroup, Some(group + 1)));
        kinds.push(add(marker(group) + 0x28, "grp>"));
    }
    kinds.push(enter(Hook::ReleaseAll, None));
    for group in 0..count {
        kinds.push(release(marker(group), "grp<"));
    }
    kinds.push(leave(Hook::ReleaseAll, 0));
    judge(bencher, &events(kinds), count);
}

/// Groups within groups, released one by one from the innermost on.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn nested_groups_released(bencher: Bencher<'_, '_>, count: u64) {
    let marker = |group: u64| 0x10_0000 + group * 0x100;
    let mut kinds = vec![enter(Hook::Initialise, None)];
    for group in 0..count {
        kinds.push(enter(Hook::OpenGroup, Some(group + 1)));
        kinds.push(add(marker(group), "grp<"));
        kinds.push(add(marker(group) + 0x80, "devm_clk_release"));
    }
    for group in (0..count).rev() {
        kinds.push(enter(Hook::ReleaseGroup, Some(group + 1)));
        kinds.push(release(marker(group), "grp<"));
        kinds.push(release(marker(group) + 0x80, "devm_clk_release"));
        kinds.push(leave(Hook::ReleaseGroup, 1));
    }
    judge(bencher, &events(kinds), count);
}

/// Devices that all have an interrupt, an action and what their bound driver added, and go one by one.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn devices_go_one_by_one(bencher: Bencher<'_, '_>, count: u64) {
    let node = |device: u64, number: u64| 0x10_0000 + device * 0x1000 + number * 0x100;
    let address = |device: u64| DeviceAddress(DEVICE.0 + device * 0x1000);
    let mut kinds = Vec::new();
    for device in 0..count {
        let interrupt = EventKind::Add(AddedNode {
            node: NodeAddress(node(device, 0)),
            name: Some(Text::from("devm_irq_release")),
            size: Some(16),
            payload: [device + 1, address(device).0, 0, 0],
            ..AddedNode::default()
        });
        let action = EventKind::Add(AddedNode {
            node: NodeAddress(node(device, 1)),
            name: Some(Text::from("devm_action_release")),
            size: Some(16),
            action: true,
            action_data: address(device).0,
            ..AddedNode::default()
        });
        let began = [
            enter(Hook::Initialise, None),
            enter(Hook::Probe, None),
            interrupt,
            action,
            enter(Hook::Bound, None),
            leave(Hook::Probe, 0),
            add(node(device, 2), "devm_kzalloc_release"),
        ];
        kinds.extend(began.map(|kind| (address(device), kind)));
    }
    for device in 0..count {
        let ended = [
            enter(Hook::ReleaseAll, None),
            release(node(device, 2), "devm_kzalloc_release"),
            release(node(device, 1), "devm_action_release"),
            release(node(device, 0), "devm_irq_release"),
            leave(Hook::ReleaseAll, 3),
            enter(Hook::FinalPut, None),
            leave(Hook::FinalPut, 0),
        ];
        kinds.extend(ended.map(|kind| (address(device), kind)));
    }
    judge(bencher, &events_on(kinds), count);
}

/// A log without addresses, in which what came first goes first.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn released_first_in_first_out(bencher: Bencher<'_, '_>, count: u64) {
    let mut log = String::new();
    for operation in ["ADD", "REL"] {
        for number in 0..count {
            let line = format_args!(
                "[ {number}.0] drv one: DEVRES {operation} (____ptrval____) n{number}_release (40 bytes)\n"
            );
            assert!(log.write_fmt(line).is_ok());
        }
    }
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let import = text::read(Cursor::new(&log));
        let Ok(import) = import else {
            panic!("the log has events");
        };
        let mut engine = Engine::new(Arc::new(import.coverage().clone()), RuleSet::all());
        for event in import.events() {
            engine.apply(&event);
        }
    });
}

/// Known findings, one for each of so many drivers.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn expectations(bencher: Bencher<'_, '_>, count: u64) {
    let mut file = String::new();
    for number in 0..count {
        let table = format_args!(
            "[[expect]]\nfingerprint = \"DR001/platform/driver{number}\"\nreason = \"known\"\n\n"
        );
        assert!(file.write_fmt(table).is_ok());
    }
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let mut policy = Policy::default();
        assert!(policy.add_expectations("known.toml", &file).is_ok());
        policy
    });
}
