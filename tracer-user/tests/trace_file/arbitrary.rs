//! Any event that there can be.

use std::sync::Arc;

use devres_tracer::event::{
    AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, DeviceSnapshot, Event,
    EventKind, Function, GroupId, Hook, Loss, LossCause, Message, ModuleCode, NodeAddress,
    NodeReference, PmDomain, Return, StackDefinition, StackFrame, StackId, Task, Text, Time,
    splat::{Role, Splat, SplatKind, SplatStack},
};
use proptest::{collection::vec, option, prelude::*};

/// Numbers of every size, and some that come again.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(0xffff_8880_0123_4000),
        0..300_u64,
        (any::<u64>(), 0_u32..64).prop_map(|(word, shift)| word >> shift),
    ]
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        Just(Text::from("devm_kzalloc_release")),
        Just(Text::from("grp<")),
        Just(Text::from("")),
        ".{0,40}".prop_map(Text::from),
    ]
}

fn function() -> impl Strategy<Value = Arc<Function>> {
    (word(), option::of(text()), option::of(text())).prop_map(|(address, name, module)| {
        Arc::new(Function {
            address,
            name,
            module,
        })
    })
}

fn node() -> impl Strategy<Value = AddedNode> {
    (
        (word(), option::of(text()), option::of(word())),
        (option::of(function()), any::<bool>(), word(), word()),
        ([word(), word(), word(), word()], option::of(word())),
    )
        .prop_map(|((node, name, size), called, (payload, group))| {
            let (function, action, action_data, payload_address) = called;
            AddedNode {
                node: NodeAddress(node),
                name,
                size,
                function,
                action,
                action_data,
                payload_address,
                payload,
                group: group.map(GroupId),
            }
        })
}

fn reference() -> impl Strategy<Value = NodeReference> {
    (word(), option::of(text()), option::of(word())).prop_map(|(node, name, size)| NodeReference {
        node: NodeAddress(node),
        name,
        size,
    })
}

fn identity() -> impl Strategy<Value = DeviceIdentity> {
    let name = || option::of(text());
    (name(), name(), name(), word()).prop_map(|(name, driver, bus, parent)| DeviceIdentity {
        name,
        driver,
        bus,
        parent: DeviceAddress(parent),
    })
}

fn pm() -> impl Strategy<Value = PmDomain> {
    (word(), word()).prop_map(|(domain, detach)| PmDomain { domain, detach })
}

fn frame() -> impl Strategy<Value = StackFrame> {
    (word(), option::of(function()), word(), any::<bool>()).prop_map(
        |(address, function, offset, exact)| StackFrame {
            address: match &function {
                Some(function) if exact => function.address.wrapping_add(offset),
                _ => address,
            },
            function,
            offset,
            line: None,
        },
    )
}

fn hook() -> impl Strategy<Value = Hook> {
    prop::sample::select(&Hook::ALL[..])
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::ProbeRefused),
        Just(Message::Waits),
        (option::of(text()), option::of(word()))
            .prop_map(|(function, line)| Message::Warning { function, line }),
        (text(), option::of(text()), reference()).prop_map(|(object, hint, block)| {
            Message::FreedActive {
                object,
                hint,
                block,
            }
        }),
        splat().prop_map(|splat| Message::Splat(Box::new(splat))),
    ]
}

fn splat() -> impl Strategy<Value = Splat> {
    let stack = (
        prop::sample::select(&Role::ALL[..]),
        option::of(any::<u32>()),
        vec(frame(), 0..4),
    );
    let stacks = vec(stack, 0..4);
    let texts = (
        option::of(text()),
        option::of(text()),
        option::of(text()),
        option::of(text()),
    );
    let numbers = (option::of(word()), any::<bool>(), any::<bool>());
    let kind = prop::sample::select(&SplatKind::ALL[..]);
    (kind, texts, numbers, stacks).prop_map(
        |(kind, (detail, place, hint, module), (number, fatal, cut), stacks)| Splat {
            kind,
            detail,
            place,
            function: None,
            hint,
            number,
            module,
            fatal,
            cut,
            stacks: stacks
                .into_iter()
                .map(|(role, tid, frames)| SplatStack {
                    role,
                    tid,
                    frames: frames.into(),
                })
                .collect(),
        },
    )
}

fn kind() -> impl Strategy<Value = EventKind> {
    let detail = prop_oneof![
        Just(CallDetail::None),
        word().prop_map(|id| CallDetail::Group(GroupId(id))),
        pm().prop_map(CallDetail::Pm),
        word().prop_map(CallDetail::Pointer),
        (word(), word()).prop_map(|(function, data)| CallDetail::Match { function, data }),
        (any::<u32>(), word()).prop_map(|(number, dev_id)| CallDetail::Irq { number, dev_id }),
        any::<u32>().prop_map(CallDetail::Releases),
        text().prop_map(CallDetail::Supply),
    ];
    let returned = (
        hook(),
        option::of(any::<i64>()),
        option::of(pm()),
        option::of(word()),
    );
    let causes = vec![
        LossCause::RingFull,
        LossCause::ProbeSkipped,
        LossCause::Undecodable,
        LossCause::Input,
        LossCause::Unwritten,
    ];
    prop_oneof![
        identity().prop_map(|identity| EventKind::Device(Arc::new(identity))),
        (any::<u32>(), vec(frame(), 0..8)).prop_map(|(id, frames)| {
            EventKind::Stack(StackDefinition {
                id: StackId(id),
                frames: frames.into(),
            })
        }),
        (identity(), vec(node(), 0..8), pm(), any::<bool>()).prop_map(
            |(identity, nodes, pm, consistent)| {
                EventKind::Snapshot(Box::new(DeviceSnapshot {
                    identity,
                    nodes,
                    pm,
                    consistent,
                }))
            }
        ),
        node().prop_map(EventKind::Add),
        reference().prop_map(EventKind::Remove),
        reference().prop_map(EventKind::Release),
        reference().prop_map(EventKind::Replace),
        (word(), word()).prop_map(|(function, data)| EventKind::RemoveAction { function, data }),
        (text(), option::of((word(), word()))).prop_map(|(module, code)| EventKind::ModuleFree {
            module,
            code: code.map(|(begin, size)| ModuleCode { begin, size }),
        }),
        message().prop_map(EventKind::Message),
        (hook(), detail).prop_map(|(hook, detail)| EventKind::Enter(Call { hook, detail })),
        returned.prop_map(|(hook, value, pm, node)| {
            EventKind::Leave(Return {
                hook,
                value,
                pm,
                node: node.map(NodeAddress),
            })
        }),
        (word(), prop::sample::select(causes))
            .prop_map(|(count, cause)| EventKind::Loss(Loss { count, cause })),
    ]
}

fn task() -> impl Strategy<Value = Task> {
    prop_oneof![
        Just(Task::default()),
        Just(Task {
            tid: 17,
            tgid: 1,
            comm: Comm::new("modprobe"),
        }),
        (any::<u32>(), any::<u32>(), any::<[u8; 16]>()).prop_map(|(tid, tgid, comm)| Task {
            tid,
            tgid,
            comm: Comm(comm),
        }),
    ]
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    (
        (word(), task(), prop_oneof![Just(0), any::<u16>()]),
        (word(), option::of(any::<u32>()), kind()),
    )
        .prop_map(|((time, task, cpu), (device, stack, kind))| Event {
            time: Time(time),
            task,
            cpu,
            device: DeviceAddress(device),
            stack: stack.map(StackId),
            kind,
        })
}
