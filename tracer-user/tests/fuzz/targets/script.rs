//! Events made of bytes: whatever the bytes, a story with few devices, addresses, names and tasks, so that they meet.

use std::sync::Arc;

use devres_tracer::event::{
    AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, DeviceSnapshot, Event,
    EventKind, Function, GroupId, Hook, Loss, LossCause, Message, ModuleCode, NodeAddress,
    PmDomain, Return, StackDefinition, StackFrame, StackId, Task, Text, Time,
};

use crate::support::{DOMAIN, NO_DOMAIN, added, reference};

/// Bytes of an event.
const LENGTH: usize = 5;

const NAMES: [&str; 8] = [
    "grp<",
    "grp>",
    "devm_kzalloc_release",
    "devm_krealloc_release",
    "devm_irq_release",
    "devm_action_release",
    "group_open_release",
    "clk_disable",
];
const CAUSES: [LossCause; 4] = [
    LossCause::RingFull,
    LossCause::ProbeSkipped,
    LossCause::Input,
    LossCause::KprobesOff,
];
/// Where functions are: modules come and go with them.
const CODE: u64 = 0xffff_ffff_c000_0000;

/// The events that these bytes are.
pub(super) fn events(bytes: &[u8]) -> Vec<Event> {
    let mut time = 1_000_000_000;
    let events = bytes.as_chunks::<LENGTH>().0.iter();
    events
        .map(|&[what, who, first, second, when]| {
            time = after(time, when);
            let stack = (second & 0xc0 == 0xc0).then(|| StackId(u32::from(second & 3)));
            Event {
                time: Time(time),
                task: task(who),
                cpu: u16::from(who >> 6),
                device: DeviceAddress(u64::from(who & 3) * 0x800),
                stack,
                kind: kind(what, first, second),
            }
        })
        .collect()
}

/// Mostly a little later; now and then much later, or earlier.
fn after(time: u64, when: u8) -> u64 {
    match when {
        0..250 => time.saturating_add(u64::from(when) * 1_000),
        250 | 251 => time.saturating_add(30_000_000_000),
        252 => time.saturating_sub(500_000),
        253 => time.saturating_sub(5_000_000_000),
        254 => 0,
        255 => u64::MAX,
    }
}

fn task(who: u8) -> Task {
    let tid = u32::from(who >> 2 & 3);
    Task {
        tid,
        tgid: tid / 2,
        comm: Comm::new("sh"),
    }
}

fn kind(what: u8, first: u8, second: u8) -> EventKind {
    let node = u64::from(first % 64) * 0x40;
    let name = NAMES[usize::from(second) % NAMES.len()];
    match what {
        0..40 => EventKind::Add(node_of(first, second)),
        40..70 => EventKind::Release(reference(node, name, 8)),
        70..85 => EventKind::Remove(reference(node, name, 8)),
        85..90 => EventKind::Replace(reference(node, name, 8)),
        90..150 => EventKind::Enter(Call {
            hook: hook(first),
            detail: detail(second),
        }),
        150..205 => EventKind::Leave(Return {
            hook: hook(first),
            value: [
                None,
                Some(0),
                Some(1),
                Some(3),
                Some(-16),
                Some(517),
                Some(i64::MAX),
            ]
            .get(usize::from(second % 8))
            .copied()
            .flatten(),
            pm: [None, Some(DOMAIN), Some(NO_DOMAIN)][usize::from(second / 8 % 3)],
            node: (second >= 0x80).then(|| NodeAddress(u64::from(second % 64) * 0x40)),
        }),
        205..215 => EventKind::Device(Arc::new(identity(first, second))),
        215..222 => EventKind::Stack(StackDefinition {
            id: StackId(u32::from(first & 3)),
            frames: (0..second % 6)
                .map(|depth| frame(first / 4 + depth))
                .collect(),
        }),
        222..230 => EventKind::Snapshot(Box::new(DeviceSnapshot {
            identity: identity(first, second),
            nodes: (0..second % 8)
                .map(|number| node_of(first.wrapping_add(number), second))
                .collect(),
            pm: DOMAIN,
            consistent: !first.is_multiple_of(4),
        })),
        230..235 => EventKind::RemoveAction {
            function: CODE + u64::from(first % 4),
            data: u64::from(second % 8) * 0x40,
        },
        235..240 => EventKind::ModuleFree {
            module: Text::from(module(first)),
            code: (!second.is_multiple_of(2)).then_some(ModuleCode {
                begin: CODE,
                size: u64::from(second),
            }),
        },
        240..248 => EventKind::Message(message(first, second)),
        248..=255 => EventKind::Loss(Loss {
            count: if second > 200 {
                u64::MAX
            } else {
                u64::from(second)
            },
            cause: CAUSES[usize::from(first) % CAUSES.len()],
        }),
    }
}

fn hook(number: u8) -> Hook {
    Hook::ALL[usize::from(number) % Hook::ALL.len()]
}

fn module(number: u8) -> &'static str {
    ["acme", "other"][usize::from(number % 2)]
}

fn node_of(first: u8, second: u8) -> AddedNode {
    let name = NAMES[usize::from(second) % NAMES.len()];
    let mut node = added(u64::from(first % 64) * 0x40, name, u64::from(second));
    node.payload_address = node.node.0 + 0x20;
    node.group = (second >= 0x40).then(|| GroupId(u64::from(second % 4)));
    node.payload = [u64::from(second % 16), node.payload_address, 0, CODE];
    if first >= 0x80 {
        node.function = Some(function(second));
        node.action = !second.is_multiple_of(2);
        node.action_data = u64::from(second % 64) * 0x40 + 0x28;
    }
    node
}

fn function(number: u8) -> Arc<Function> {
    Arc::new(Function {
        address: CODE + u64::from(number % 4),
        name: (!number.is_multiple_of(3)).then(|| Text::from("acme_stop")),
        module: (!number.is_multiple_of(2)).then(|| Text::from(module(number))),
    })
}

fn frame(number: u8) -> StackFrame {
    const FUNCTIONS: [&str; 6] = [
        "devm_kmalloc",
        "devres_add",
        "acme_probe",
        "really_probe",
        "devres_release_all",
        "device_unbind_cleanup",
    ];
    StackFrame {
        address: 0,
        function: Some(Arc::new(Function {
            address: 0,
            name: Some(Text::from(FUNCTIONS[usize::from(number) % FUNCTIONS.len()])),
            module: (number % 3 == 2).then(|| Text::from("acme")),
        })),
        offset: u64::from(number),
        line: None,
    }
}

fn detail(number: u8) -> CallDetail {
    let low = u64::from(number / 8);
    match number % 8 {
        0 => CallDetail::None,
        1 => CallDetail::Group(GroupId(low % 4)),
        2 => CallDetail::Pm(if low.is_multiple_of(2) {
            PmDomain::default()
        } else {
            DOMAIN
        }),
        3 => CallDetail::Pointer(low * 0x40 + 0x20),
        4 => CallDetail::Match {
            function: CODE + low % 4,
            data: low * 0x40,
        },
        5 => CallDetail::Irq {
            number: u32::from(number / 8 % 4),
            dev_id: low * 0x40,
        },
        6 => CallDetail::Supply(Text::from(["bus", "vdd"][usize::from(number / 8 % 2)])),
        _ => CallDetail::Releases(u32::from(number / 8)),
    }
}

fn identity(first: u8, second: u8) -> DeviceIdentity {
    let some = |wanted: bool, text: &str| wanted.then(|| Text::from(text));
    DeviceIdentity {
        name: some(
            !first.is_multiple_of(8),
            ["acme.0", "acme.1", "0-0048"][usize::from(first % 3)],
        ),
        driver: some(!second.is_multiple_of(2), module(second / 2)),
        bus: some(!second.is_multiple_of(4), "platform"),
        parent: DeviceAddress(u64::from(second % 4) * 0x800),
    }
}

fn message(first: u8, second: u8) -> Message {
    match first % 4 {
        0 => Message::ProbeRefused,
        1 => Message::Waits,
        2 => Message::Warning {
            function: (!second.is_multiple_of(2)).then(|| Text::from("devm_kfree")),
            line: (!second.is_multiple_of(3)).then_some(u64::from(second)),
        },
        _ => Message::FreedActive {
            object: Text::from("work_struct"),
            hint: (!second.is_multiple_of(2)).then(|| Text::from("acme_work")),
            block: reference(u64::from(second % 64) * 0x40, NAMES[2], 8),
        },
    }
}
