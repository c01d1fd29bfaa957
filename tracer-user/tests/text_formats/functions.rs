//! Functions beside the tracepoint, and without it.

use std::{fmt::Write as _, sync::Arc};

use devres_tracer::{
    event::{
        AddedNode, CallDetail, DeviceAddress, EventKind, Function, GroupId, Hook, Loss, LossCause,
        NodeAddress, NodeReference, PmDomain, StackDefinition, StackId,
    },
    evidence::{Addresses, Before, NodeEvents},
    model::{Change, Model},
};

use devres_tracer::source::text::Import;

use super::{
    added, attached, enter, events, frame, identity, kinds, leave, reference, some,
    support::{import, judge},
    task,
};

/// A probe and an unbind as kprobe events and the tracepoint show them.
const CAPTURE: &str = "\
insmod-9 [000] ..... 1.000001: begin: (device_initialize+0x4/0x110 <ffffffff81000010>) dev=0xff11000000000010
insmod-9 [000] ..... 1.000002: rp: (really_probe+0x0/0x380 <ffffffff81000020>) dev=0xff11000000000010 name=\"foo.0\" drv=\"foo\"
insmod-9 [000] ..... 1.000003: pa: (dev_pm_domain_attach+0x0/0x30 <ffffffff81000030>) dev=0xff11000000000010 flags=0x1
insmod-9 [000] ..... 1.000004: pa_ret: (platform_probe+0x2b/0x90 <ffffffff81000040> <- dev_pm_domain_attach <ffffffff81000030>) ret=0
insmod-9 [000] ..... 1.000005: og: (devres_open_group+0x0/0x100 <ffffffff81000050>) dev=0xff11000000000010 id=0x0
insmod-9 [000] d..1. 1.000006: ad: (add_dr+0x0/0xc0 <ffffffff81000060>) dev=0xff11000000000010 node=0xff11000000000100 rel=group_open_release+0x0/0x10
insmod-9 [000] d..1. 1.000007: devres_log: foo.0 ADD 0000000011111111 grp< (0 bytes)
insmod-9 [000] ..... 1.000008: og_ret: (foo_probe+0x10c/0x330 [foo] <ffffffffc0000000> <- devres_open_group <ffffffff81000050>) id=0xff11000000000100
insmod-9 [000] ..... 1.000009: da: (devres_add+0x0/0x40 <ffffffff81000070>) dev=0xff11000000000010 res=0xff11000000000228
insmod-9 [000] d..1. 1.000010: ad: (add_dr+0x0/0xc0 <ffffffff81000060>) dev=0xff11000000000010 node=0xff11000000000200 rel=foo_release+0x0/0x10 [foo]
insmod-9 [000] d..1. 1.000011: devres_log: foo.0 ADD 0000000022222222 foo_release (8 bytes)
insmod-9 [000] ..... 1.000012: db: (driver_bound+0x0/0xd0 <ffffffff81000080>) dev=0xff11000000000010
insmod-9 [000] ..... 1.000013: rp_ret: (__driver_probe_device+0x84/0x150 <ffffffff81000090> <- really_probe <ffffffff81000020>) ret=0
init-1 [001] ..... 2.000001: rd: (device_release_driver_internal+0x0/0x230 <ffffffff810000a0>) dev=0xff11000000000010 name=\"foo.0\"
init-1 [001] ..... 2.000002: pd: (dev_pm_domain_detach+0x0/0x30 <ffffffff810000b0>) dev=0xff11000000000010 pmd=0xffffffff82000000 detach=0xffffffff81000001 off=0x1
init-1 [001] ..... 2.000003: pd_ret: ([unknown/kretprobe'd] <ffffffff810000c0> <- dev_pm_domain_detach <ffffffff810000b0>)
init-1 [001] ..... 2.000004: rg: (devres_release_group+0x0/0x110 <ffffffff810000d0>) dev=0xff11000000000010 id=0xff11000000000100
init-1 [001] ..... 2.000005: devres_log: foo.0 REL 0000000011111111 grp< (0 bytes)
init-1 [001] ..... 2.000006: devres_log: foo.0 REL 0000000022222222 foo_release (8 bytes)
init-1 [001] ..... 2.000007: rg_ret: (0xffffffffc0000010 <ffffffffc0000010> <- devres_release_group <ffffffff810000d0>) cnt=1
";

#[test]
fn functions_and_the_tracepoint_fit_together() {
    let import = import(CAPTURE);
    let function = |name, module| {
        Some(Arc::new(Function {
            address: 0,
            name: some(name),
            module: some(module),
        }))
    };
    let group = AddedNode {
        group: Some(GroupId(0xff11_0000_0000_0100)),
        function: function("group_open_release", ""),
        ..added(0xff11_0000_0000_0100, "grp<", 0)
    };
    let node = AddedNode {
        function: function("foo_release", "foo"),
        payload_address: 0xff11_0000_0000_0228,
        ..added(0xff11_0000_0000_0200, "foo_release", 8)
    };
    let domain = PmDomain {
        domain: 0xffff_ffff_8200_0000,
        detach: 0xffff_ffff_8100_0001,
    };
    let expected = [
        identity("foo.0", "", ""),
        enter(Hook::Initialise, CallDetail::None),
        identity("foo.0", "foo", ""),
        enter(Hook::Probe, CallDetail::None),
        enter(Hook::PmAttach, CallDetail::Pm(PmDomain::default())),
        leave(Hook::PmAttach, Some(0)),
        enter(Hook::OpenGroup, CallDetail::Group(GroupId(0))),
        // The address that devres_open_group returns to shows who opened the group.
        EventKind::Stack(StackDefinition {
            id: StackId(1),
            frames: Arc::new([
                frame("devres_open_group", "", 0),
                frame("foo_probe", "foo", 0x10c),
            ]),
        }),
        EventKind::Add(group),
        enter(Hook::DevresAdd, CallDetail::Pointer(0xff11_0000_0000_0228)),
        EventKind::Add(node),
        enter(Hook::Bound, CallDetail::None),
        leave(Hook::Probe, Some(0)),
        enter(Hook::Unbind, CallDetail::None),
        enter(Hook::PmDetach, CallDetail::Pm(domain)),
        leave(Hook::PmDetach, None),
        enter(
            Hook::ReleaseGroup,
            CallDetail::Group(GroupId(0xff11_0000_0000_0100)),
        ),
        EventKind::Release(reference(0xff11_0000_0000_0100, "grp<", 0)),
        EventKind::Release(reference(0xff11_0000_0000_0200, "foo_release", 8)),
        leave(Hook::ReleaseGroup, Some(1)),
    ];
    let found: Vec<_> = import.events().collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(&found.kind, expected);
        let is_stack = matches!(found.kind, EventKind::Stack(_));
        let device = if is_stack { 0 } else { 0xff11_0000_0000_0010 };
        assert_eq!(found.device, DeviceAddress(device));
    }
    assert_eq!(found[8].stack, Some(StackId(1)));
    assert_eq!(found.len(), expected.len());
    assert_eq!((found[0].task, found[0].cpu), (task("insmod", 9), 0));
    assert_eq!((found[19].task, found[19].cpu), (task("init", 1), 1));

    let coverage = import.coverage();
    assert_eq!(
        attached(coverage),
        [
            Hook::DevresLog,
            Hook::DevresAdd,
            Hook::AddDr,
            Hook::Probe,
            Hook::Bound,
            Hook::Unbind,
            Hook::ReleaseGroup,
            Hook::OpenGroup,
            Hook::PmAttach,
            Hook::PmDetach,
            Hook::Initialise,
        ]
    );
    assert_eq!(coverage.hooks.len(), Hook::ALL.len());
    let missing = coverage.missing().find(|(hook, _)| *hook == Hook::Remove);
    assert_eq!(
        missing,
        Some((Hook::Remove, "the text has no events of it"))
    );
    assert_eq!(coverage.nodes, NodeEvents::Logged);
    assert_eq!(coverage.node_addresses, Addresses::Real);
    assert_eq!(coverage.device_addresses, Addresses::Real);
    assert!(coverage.times && !coverage.stacks);
    assert!(matches!(coverage.before, Before::Unknown(_)));
}

#[test]
fn an_address_told_later_holds_before() {
    let text = "sh-1 [000] d..1. 1.000000: devres_log: foo.0 REL 0000000011111111 a (8 bytes)\n\
                sh-1 [000] ..... 2.000000: dd: (device_del+0x0/0x10 <ffffffff81000000>) dev=0xff11000000000010 name=\"foo.0\"\n";
    let import = import(text);
    let devices: Vec<_> = import.events().map(|event| event.device).collect();
    assert_eq!(devices, [DeviceAddress(0xff11_0000_0000_0010); 3]);
    assert_eq!(import.coverage().device_addresses, Addresses::Real);
    assert_eq!(import.coverage().node_addresses, Addresses::Hashed);
}

#[test]
fn a_group_is_known_by_its_id_where_only_that_is_recorded() {
    let lines: String = CAPTURE
        .lines()
        .filter(|line| !line.contains("add_dr"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let group = events(&lines)
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::Add(node) => Some((node.node, node.group)),
            _ => None,
        });
    let id = GroupId(0xff11_0000_0000_0100);
    assert_eq!(group, Some((NodeAddress(0x1111_1111), Some(id))));
}

#[test]
fn arguments_on_the_next_line_belong_to_the_event() {
    let text = "> init-1 [001] ..... 2.000002: pd: (dev_pm_domain_detach+0x0/0x30 <ffffffff810000b0>)\n\
                > dev=0xff11000000000010 pmd=0x0\n\
                > off=0x1\n";
    let import = import(text);
    let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
    let none = CallDetail::Pm(PmDomain::default());
    assert_eq!(kinds, [identity("", "", ""), enter(Hook::PmDetach, none)]);
    assert_eq!(import.statistics().event_lines, 3);
}

#[test]
fn perf_names_the_function_in_the_event() {
    let text = "init 1 [001] 2.000002: probe:really_probe: (ffffffff810000b0) dev=0xff11000000000010\n\
                init 1 [001] 2.000003: probe:really_probe__return: (ffffffff810000c0 <- ffffffff810000b0) ret=0xfffffdfb\n";
    let expected = [
        identity("", "", ""),
        enter(Hook::Probe, CallDetail::None),
        leave(Hook::Probe, Some(-517)),
    ];
    assert_eq!(kinds(text), expected);
}

#[test]
fn a_recursion_whose_inner_returns_are_missing_returns_to_the_right_call() {
    let call = |time, function: &str, device| {
        format!(
            "init-1 [000] .... {time}.000000: x: ({function}+0x0/0x10 <ffffffff81000000>) dev={device:#x}\n"
        )
    };
    let text = [
        call(1, "__device_release_driver", 0x10),
        call(2, "devres_release_all", 0x10),
        call(3, "device_release", 0x20),
        call(4, "devres_release_all", 0x20),
        "init-1 [000] .... 5.000000: x: (__device_release_driver+0x186/0x250 <ffffffff81000000> <- devres_release_all <ffffffff81000000>) cnt=7\n".to_owned(),
    ]
    .concat();
    let last = events(&text).pop().unwrap();
    assert_eq!(last.kind, leave(Hook::ReleaseAll, Some(7)));
    assert_eq!(last.device, DeviceAddress(0x10));
}

/// Kernel 5.10: pin control's pair is removed unseen, and the address of its node is used again.
const REDUCED: &str = "\
init-1 [000] .... 1.000001: rp: (really_probe+0x0/0x480 <ffffffff81000000>) dev=0xff11000000000010 name=\"foo.0\" drv=\"foo\"
init-1 [000] d... 1.000002: ad: (add_dr+0x0/0x60 <ffffffff81000000>) dev=0xff11000000000010 node=0xff11000000000100 rel=devm_kmalloc_release+0x0/0x10
init-1 [000] .... 1.000003: da: (devres_add+0x0/0x40 <ffffffff81000000>) dev=0xff11000000000010 res=0xff11000000000218
init-1 [000] d... 1.000004: ad: (add_dr+0x0/0x60 <ffffffff81000000>) dev=0xff11000000000010 node=0xff11000000000200 rel=devm_pinctrl_release+0x0/0x40
init-1 [000] d... 1.000005: ad: (add_dr+0x0/0x60 <ffffffff81000000>) dev=0xff11000000000010 node=0xff11000000000200 rel=devm_action_release+0x0/0x20
init-1 [000] .... 1.000006: ra: (devres_release_all+0x0/0x50 <ffffffff81000000>) dev=0xff11000000000010
init-1 [000] d... 1.000007: ra_ret: (__device_release_driver+0x186/0x250 <ffffffff81000000> <- devres_release_all <ffffffff81000000>) cnt=CNT
";

#[test]
fn kernels_without_the_tracepoint_are_read_in_reduced_mode() {
    let import = import(&REDUCED.replace("CNT", "1"));
    let coverage = import.coverage();
    assert_eq!(coverage.nodes, NodeEvents::Concluded);
    assert_eq!(coverage.node_addresses, Addresses::Real);
    assert!(coverage.sees(Hook::AddDr) && !coverage.sees(Hook::DevresLog));
    let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
    let nodes: Vec<_> = kinds
        .iter()
        .filter_map(|kind| match kind {
            EventKind::Add(node) => Some((
                node.node.0 & 0xfff,
                node.payload_address & 0xfff,
                node.name.as_deref(),
            )),
            EventKind::Remove(_) | EventKind::Loss(_) => panic!("no line reports it: {kind:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(
        nodes,
        [
            (0x100, 0x118, Some("devm_kmalloc_release")),
            (0x200, 0x218, Some("devm_pinctrl_release")),
            (0x200, 0x218, Some("devm_action_release")),
        ]
    );
    let mut model = Model::new(Arc::new(coverage.clone()));
    let mut gone = Vec::new();
    for event in import.events() {
        for change in model.apply(&event) {
            let (node, removed) = match change {
                Change::NodeRemoved(node) => (node, true),
                Change::NodeReleased { node, .. } => (node, false),
                _ => continue,
            };
            gone.push((model.node(node).unwrap().address().0 & 0xfff, removed));
        }
    }
    assert_eq!(gone, [(0x200, true), (0x100, true), (0x200, false)]);
}

#[test]
fn fewer_releases_than_the_kernel_counted_are_a_loss() {
    let lost = |text: &str| {
        let kinds = kinds(text);
        let at = kinds
            .iter()
            .position(|kind| matches!(kind, EventKind::Loss(_)));
        at.map(|at| (kinds[at].clone(), kinds[at + 1].clone()))
    };
    assert_eq!(lost(CAPTURE), None);
    let without: Vec<&str> = CAPTURE
        .split_inclusive('\n')
        .filter(|line| !line.contains("REL 0000000022222222"))
        .collect();
    let missing = EventKind::Loss(Loss {
        count: 1,
        cause: LossCause::Input,
    });
    assert_eq!(
        lost(&without.concat()),
        Some((missing, leave(Hook::ReleaseGroup, Some(1))))
    );
}

#[test]
fn fewer_releases_than_additions_are_a_loss() {
    for (count, lost) in [("0", 1), ("1", 0)] {
        let outcome = judge(&REDUCED.replace("CNT", count));
        assert_eq!(outcome.lost, lost, "{count}");
    }
}

#[test]
fn removals_are_told_where_their_functions_were_recorded() {
    let removal = "\
init-1 [000] .... 1.100000: dr_ret: (devm_kfree+0x18/0x25 <ffffffff81000000> <- devres_remove <ffffffff81000000>) ret=0xff11000000000218
init-1 [000] .... 1.200000: kf: (devm_kfree+0x0/0x25 <ffffffff81000000>) dev=0xff11000000000010 p=0xff11000000000118
init-1 [000] .... 1.300000: ra: (devm_remove_action+0x0/0x25 <ffffffff81000000>) dev=0xff11000000000010 action=0x30 data=0x40
";
    let kinds = kinds(&(REDUCED.replace("CNT", "1") + removal));
    let removed = |node| {
        EventKind::Remove(NodeReference {
            node: NodeAddress(node),
            name: None,
            size: None,
        })
    };
    let action = EventKind::RemoveAction {
        function: 0x30,
        data: 0x40,
    };
    let expected = [
        removed(0xff11_0000_0000_0200),
        removed(0xff11_0000_0000_0100),
        action,
    ];
    assert_eq!(kinds[kinds.len() - 3..], expected);
}

/// `tp_printk` prints the events of all probes into the kernel's log, where their times and tasks stand elsewhere.
#[test]
fn the_kernels_log_shows_the_same_as_the_trace() {
    let timed = |import: &Import| -> Vec<_> {
        let events = import.events();
        events
            .map(|event| (event.time, event.task.tid, event.kind))
            .collect()
    };
    let mut log = String::new();
    for line in CAPTURE.lines() {
        let (head, event) = line.split_once(": ").unwrap();
        let time = head.rsplit(' ').next().unwrap();
        let thread = head.split([' ', '-']).nth(1).unwrap();
        writeln!(log, "[{time:>12}][    T{thread}] {event}").unwrap();
    }
    assert_eq!(timed(&import(&log)), timed(&import(CAPTURE)));
}

/// Whether an unbind's return was recorded is known only when the first one is there.
#[test]
fn an_unbind_may_have_its_return_recorded() {
    let unbind = "\
init-1 [001] ..... 2.000008: dr: (device_remove+0x0/0x60) dev=0xff11000000000010
init-1 [001] ..... 2.000009: dr_ret: (device_release_driver_internal+0x10/0x230 <- device_remove)
init-1 [001] ..... 2.000010: uc: (device_unbind_cleanup+0x0/0x60) dev=0xff11000000000010
init-1 [001] ..... 2.000011: ra: (devres_release_all+0x0/0x60) dev=0xff11000000000010
init-1 [001] ..... 2.000012: ra_ret: (device_unbind_cleanup+0x10/0x60 <- devres_release_all) cnt=0
init-1 [001] ..... 2.000013: uc_ret: (device_release_driver_internal+0x20/0x230 <- device_unbind_cleanup)
init-1 [001] ..... 2.000014: rd_ret: (device_driver_detach+0x10/0x80 <- device_release_driver_internal)
";
    let outcome = judge(&[CAPTURE, unbind].concat());
    assert_eq!((outcome.misfits, outcome.tainted), (0, 0));
}

/// A line that ends within the name of a function is an event that is lost there; what only talks of one is none.
#[test]
fn a_function_whose_name_is_cut_off_is_a_loss() {
    let losses = |text: &str| {
        let import = import(text);
        let events = import.events();
        events
            .filter(|event| matches!(event.kind, EventKind::Loss(_)))
            .count()
    };
    let (before, behind) = CAPTURE.split_once("init-1 [001] ..... 2.000002").unwrap();
    for (cut, expected) in [
        ("init-1 [001] ..... 2.000002: pd: (dev_pm_doma\n", 1),
        (
            "init-1 [001] ..... 2.000002: pd: (dev_pm_domain_detach\n",
            1,
        ),
        ("init-1 [001] ..... 2.000002: pd: (dev\n", 0),
        ("foo foo.0: see the driver: (dev_pm_doma\n", 0),
    ] {
        let (_, rest) = behind.split_once('\n').unwrap();
        assert_eq!(losses(&[before, cut, rest].concat()), expected, "{cut}");
    }
}

/// With `tp_printk` and `devres.log=1` the kernel's log has the tracepoint's event and the message.
#[test]
fn an_event_that_the_log_has_twice_is_one() {
    let mut twice = String::new();
    for (number, line) in (0..).step_by(10).zip(CAPTURE.lines()) {
        let (_, event) = line.split_once(": ").unwrap();
        writeln!(twice, "[    1.{number:06}] {event}").unwrap();
        if let Some(words) = event.strip_prefix("devres_log: foo.0 ") {
            let again = number + 2;
            writeln!(twice, "[    1.{again:06}] foo foo.0: DEVRES {words}").unwrap();
        }
    }
    let traced: String = twice
        .lines()
        .filter(|line| !line.contains("DEVRES"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let kinds = |text: &str| -> Vec<_> {
        let import = import(text);
        import.events().map(|event| event.kind).collect()
    };
    assert_eq!(kinds(&twice), kinds(&traced));
    // Two resources alike are two.
    let add = "ADD 0000000000000001 x (8 bytes)";
    let log = format!(
        "[ 1.0] devres_log: foo.0 {add}\n[ 1.1] foo foo.0: DEVRES {add}\n[ 1.2] foo foo.0: DEVRES {add}\n"
    );
    assert_eq!(import(&log).statistics().event_lines, 3);
    let added = |kind: &EventKind| matches!(kind, EventKind::Add(_));
    assert_eq!(kinds(&log).iter().filter(|kind| added(kind)).count(), 2);
}

/// That a clock is put, or a notifier registered, is no event of interest; what is can only be read in the kernel.
#[test]
fn a_function_whose_arguments_do_not_show_what_is_told_of_it_is_not_seen() {
    for (function, argument) in [
        ("clk_put", "clk"),
        ("regulator_put", "regulator"),
        ("cdev_add", "p"),
        ("blocking_notifier_chain_register", "n"),
        ("input_register_handler", "handler"),
    ] {
        for line in [
            format!("x: ({function}+0x0/0x60 <ffffffff81000000>) {argument}=0xff11000000000100"),
            format!("{function}(arg1=0xff11000000000100) <-acme_probe"),
            format!("{function} <-acme_probe"),
        ] {
            let text = format!(
                "{}init-1 [000] .... 1.000008: {line}\n",
                REDUCED.replace("CNT", "1")
            );
            let import = import(&text);
            let hook = Hook::named(function.as_bytes()).unwrap();
            assert!(!import.coverage().sees(hook), "{line}");
        }
    }
}
