//! Files of every version that ever was: they stay readable.

use std::{fs, path::PathBuf, sync::Arc};

use devres_tracer::{
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, DeviceSnapshot, Event,
        EventKind, Function, GroupId, Hook, Loss, LossCause, Message, ModuleCode, NodeAddress,
        NodeReference, PmDomain, Return, StackDefinition, StackFrame, StackId, Task, Text, Time,
        splat::{Role, Splat, SplatKind, SplatStack},
    },
    trace_file::{Clock, End, EndedBy, Header, LostAt, TraceFileWriter, VERSION},
};

use crate::{header, read};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/trace_file/golden")
        .join(name)
}

/// One event of each kind that a version knows, with and without what it can have.
fn events_of(version: u16) -> Vec<Event> {
    let mut kinds = first_kinds();
    if version >= 2 {
        kinds.extend(kinds_of_version_2());
    }
    numbered(kinds)
}

fn events() -> Vec<Event> {
    events_of(VERSION)
}

/// Version 2 has splats.
fn kinds_of_version_2() -> Vec<EventKind> {
    let some = |text: &str| Some(Text::from(text));
    let function = Arc::new(Function {
        address: 0,
        name: some("lm75_detach"),
        module: some("lm75"),
    });
    let frame = |offset| StackFrame {
        address: 0,
        function: Some(Arc::clone(&function)),
        offset,
        line: None,
    };
    let stack = |role, tid| SplatStack {
        role,
        tid,
        frames: [frame(0x58), frame(0x60)].into(),
    };
    let full = Splat {
        kind: SplatKind::Kasan,
        detail: some("slab-use-after-free"),
        place: some("drivers/hwmon/lm75.c:12"),
        function: Some(Arc::clone(&function)),
        hint: some("lm75_work"),
        number: Some(120),
        module: some("lm75"),
        fatal: true,
        cut: true,
        stacks: vec![stack(Role::Report, None), stack(Role::Freed, Some(227))],
    };
    [full, Splat::default()]
        .map(|splat| EventKind::Message(Message::Splat(Box::new(splat))))
        .to_vec()
}

#[expect(clippy::too_many_lines, reason = "a list of everything there is")]
fn first_kinds() -> Vec<EventKind> {
    let some = |text: &str| Some(Text::from(text));
    let function = Arc::new(Function {
        address: 0xffff_ffff_8100_0010,
        name: some("clk_disable_unprepare"),
        module: None,
    });
    let in_module = Arc::new(Function {
        address: 0xffff_ffff_c000_1000,
        name: some("lm75_probe"),
        module: some("lm75"),
    });
    let full = AddedNode {
        node: NodeAddress(0xffff_8880_0100_0000),
        name: some("devm_action_release"),
        size: Some(16),
        function: Some(Arc::clone(&function)),
        action: true,
        action_data: 0xffff_8880_0200_0000,
        payload_address: 0xffff_8880_0100_0028,
        payload: [0, 7, 0xffff_8880_0100_0040, 0x0123_4567_89ab_cdef],
        group: Some(GroupId(3)),
    };
    let reference = NodeReference {
        node: NodeAddress(0xffff_8880_0100_0000),
        name: some("grp<"),
        size: Some(0),
    };
    let pm = PmDomain {
        domain: 0xffff_ffff_82b9_fc20,
        detach: 0xffff_ffff_815f_0ba0,
    };
    let identity = DeviceIdentity {
        name: some("0-0048"),
        driver: some("lm75"),
        bus: some("i2c"),
        parent: DeviceAddress(0xffff_8880_0300_0000),
    };
    let call = |hook, detail| EventKind::Enter(Call { hook, detail });
    let loss = |cause| EventKind::Loss(Loss { count: 12, cause });
    let returned = |value, pm, node| {
        EventKind::Leave(Return {
            hook: Hook::Krealloc,
            value,
            pm,
            node,
        })
    };
    vec![
        EventKind::Device(Arc::new(identity.clone())),
        EventKind::Device(Arc::default()),
        EventKind::Stack(StackDefinition {
            id: StackId(3),
            frames: [
                (0xffff_ffff_c000_102b, Some(in_module)),
                (0xffff_ffff_8100_003b, Some(function)),
                (0x1234, None),
            ]
            .map(|(address, function)| StackFrame {
                address,
                offset: 0x2b,
                function,
                line: None,
            })
            .into(),
        }),
        EventKind::Snapshot(Box::new(DeviceSnapshot {
            identity,
            nodes: vec![full.clone(), AddedNode::default()],
            pm,
            consistent: true,
        })),
        EventKind::Add(full),
        EventKind::Add(AddedNode::default()),
        EventKind::Remove(reference.clone()),
        EventKind::Release(reference.clone()),
        EventKind::Replace(reference.clone()),
        EventKind::Replace(NodeReference::default()),
        EventKind::RemoveAction {
            function: 0xffff_ffff_8100_0010,
            data: 5,
        },
        EventKind::ModuleFree {
            module: "lm75".into(),
            code: None,
        },
        EventKind::ModuleFree {
            module: "lm75".into(),
            code: Some(ModuleCode {
                begin: 0xffff_ffff_c000_1000,
                size: 0x3000,
            }),
        },
        call(Hook::Probe, CallDetail::None),
        call(Hook::OpenGroup, CallDetail::Group(GroupId(0))),
        call(Hook::PmDetach, CallDetail::Pm(pm)),
        call(Hook::Krealloc, CallDetail::Pointer(0xffff_8880_0100_0028)),
        call(
            Hook::Destroy,
            CallDetail::Match {
                function: 1,
                data: 2,
            },
        ),
        call(
            Hook::FreeIrq,
            CallDetail::Irq {
                number: 17,
                dev_id: 0xffff_8880_0400_0000,
            },
        ),
        returned(None, None, None),
        returned(Some(-517), Some(pm), Some(NodeAddress(0x40))),
        EventKind::Message(Message::ProbeRefused),
        EventKind::Message(Message::Warning {
            function: some("devm_kfree"),
            line: Some(1103),
        }),
        EventKind::Message(Message::FreedActive {
            object: "work_struct".into(),
            hint: some("lm75_work"),
            block: reference,
        }),
        loss(LossCause::RingFull),
        loss(LossCause::ProbeSkipped),
        loss(LossCause::Undecodable),
        loss(LossCause::Input),
        loss(LossCause::Unwritten),
    ]
}

fn numbered(kinds: Vec<EventKind>) -> Vec<Event> {
    (0_u16..)
        .zip(kinds)
        .map(|(number, kind)| Event {
            time: Time(12_808_815_313 + u64::from(number) % 5 * 1_000),
            task: Task {
                tid: 150 + u32::from(number) / 6,
                tgid: 150,
                comm: Comm::new("modprobe"),
            },
            cpu: number / 8,
            device: DeviceAddress(0xffff_8880_0500_0000 + u64::from(number) / 3 * 0x800),
            stack: (number % 4 == 0).then_some(StackId(3)),
            kind,
        })
        .collect()
}

fn golden_header() -> Header {
    let mut header = header();
    // The files are older than the others.
    let hooks = &mut header.source.coverage.hooks;
    hooks.retain(|known| known.hook as u8 <= Hook::Defer as u8);
    Header {
        boot: Some("a26b8ec5-6bb8-4d11-9ec4-3f0f4a8b7b0c".to_owned()),
        command: ["devres-tracer", "record", "-o", "golden.dvrt"]
            .map(str::to_owned)
            .to_vec(),
        clock: Some(Clock {
            monotonic: 12_000_000_000,
            real: 1_760_000_000_000_000_000,
        }),
        // The files are older than it.
        system: None,
        ..header
    }
}

fn golden_end(version: u16) -> End {
    End {
        events: events_of(version).len() as u64,
        lost_by: vec![LostAt {
            cpu: 1,
            hook: Hook::DevresLog,
            count: 12,
        }],
        problems: Vec::new(),
        ended: Some(EndedBy::Run),
        until: None,
    }
}

/// Run it when the version has been raised, and commit what it writes. A file that exists is never changed.
#[test]
#[ignore = "writes a file"]
fn write_the_golden_file_of_this_version() {
    let path = path(&format!("version-{VERSION}.dvrt"));
    let file = fs::File::create_new(path).unwrap();
    let mut writer = TraceFileWriter::begin(file, &golden_header()).unwrap();
    for chunk in events().chunks(9) {
        for event in chunk {
            writer.event(event).unwrap();
        }
        writer.close_block().unwrap();
    }
    writer.finish(golden_end(VERSION)).unwrap();
}

#[test]
fn every_version_stays_readable() {
    for version in 1..=VERSION {
        let file = fs::read(path(&format!("version-{version}.dvrt"))).unwrap();
        let (header, back, ending) = read(&file).unwrap();
        assert_eq!(header, golden_header(), "{version}");
        assert_eq!(back, events_of(version), "{version}");
        assert_eq!(ending.problems(), [""; 0], "{version}");
        assert_eq!(ending.end, Some(golden_end(version)), "{version}");
    }
}

#[test]
fn every_version_has_a_golden_file() {
    for version in 1..=VERSION {
        assert!(path(&format!("version-{version}.dvrt")).is_file());
    }
}
