//! The tracepoint as ftrace, trace-cmd, perf and bpftrace print it.

use devres_tracer::{
    event::{CallDetail, EventKind, Hook, Loss, LossCause, StackId, Time},
    source::text,
};

use super::{SECOND, add, attached, enter, events, identity, leave, support::import, task};

#[test]
fn wrapped_trace_lines_are_joined() {
    for (text, expected) in [
        (
            "sh-1 [000] d..1. 1.000000: devres_log:\nx ADD 0000000000000001 a (8 bytes)",
            add(1, "a", 8),
        ),
        (
            "> sh-1 [000] d..1. 1.000000:\n> devres_log: x ADD 0000000000000001 a\n> (8 bytes)",
            add(1, "a", 8),
        ),
        (
            "sh-1 [000] d..1.\n1.000000: devres_log: x ADD 0000000000000001 a (8 bytes)",
            add(1, "a", 8),
        ),
        (
            "sh-1 [000] ..... 1.000000: p:\n(device_del+0x4/0x3e0 <ffffffff8191a634>)\ndev=0x10",
            enter(Hook::Delete, CallDetail::None),
        ),
        (
            "sh-1 [000] ..... 1.000000: p: (device_del+0x4/0x3e0\n<ffffffff8191a634>) dev=0x10",
            enter(Hook::Delete, CallDetail::None),
        ),
        (
            "sh-1 [000] ..... 1.000000: r:\n(driver_detach+0x84/0x150 <ffffffff816f4494> <- really_probe\n<ffffffff816f4090>) ret=0",
            leave(Hook::Probe, Some(0)),
        ),
        (
            "sh-1 [000] ..... 1.000000: r: ([unknown/kretprobe'd]\n<ffffffff81076840> <- really_probe <ffffffff81702070>) ret=0",
            leave(Hook::Probe, Some(0)),
        ),
    ] {
        let found = events(text);
        let last = found.last().unwrap();
        assert_eq!(last.kind, expected, "{text}");
        assert_eq!(
            (last.time, last.task),
            (Time(SECOND), task("sh", 1)),
            "{text}"
        );
        let statistics = *import(text).statistics();
        assert_eq!(statistics.event_lines, statistics.lines, "{text}");
    }
}

#[test]
fn losses_stand_where_they_happened() {
    let text = "[ 1.0] x: DEVRES ADD 0000000000000001 a (8 bytes)\n\
                [ 2.0] ** 37 printk messages dropped **\n\
                CPU:2 [LOST 5 EVENTS]\n\
                [ 3.0] x: DEVRES REL 0000000000000001 a (8 bytes)\n";
    let lost = |count| {
        EventKind::Loss(Loss {
            count,
            cause: LossCause::Input,
        })
    };
    let import = import(text);
    assert_eq!(import.statistics().lost, 42);
    let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
    assert_eq!(kinds[2..4], [lost(37), lost(5)]);
    assert_eq!(kinds.len(), 5);
}

#[test]
fn the_tracepoint_is_read_from_all_tools() {
    for (head, expected) in [
        (
            "     sh-124     [001] d..1.   439.921733: devres_log: ",
            task("sh", 124),
        ),
        (
            "  sh-124 (    124) [001] d..1.   439.921733: devres_log: ",
            task("sh", 124),
        ),
        (
            "              sh-124   [001]   439.921733: devres_log:           ",
            task("sh", 124),
        ),
        (
            "sh   124 [001]   439.921733: devres:devres_log: ",
            task("sh", 124),
        ),
        (
            "> sh-124 [001] d..1. 439.921733: dev:devres_log: ",
            task("sh", 124),
        ),
        (
            "<...>-124 [001] d..1. 439.921733: devres_log: ",
            task("", 124),
        ),
        // trace-cmd report, with and without options; trace files joined; -t's nanoseconds.
        (
            "              sh-124   [001] d..1.   439.921733: devres_log:           ",
            task("sh", 124),
        ),
        (
            "              sh-124   [001]   439.921733000: devres_log:           ",
            task("sh", 124),
        ),
        (
            "   guest:     sh-124   [001] d..1.   439.921733: devres_log:           ",
            task("sh", 124),
        ),
        // perf script: by default, with the period, with the process, without a group.
        (
            "              sh     124 [001]   439.921733:          1           dev:devres_log: ",
            task("sh", 124),
        ),
        (
            "              sh   124/124   [001]   439.921733: dev:devres_log: ",
            task("sh", 124),
        ),
        (
            "              sh 124 [001] 439.921733000: dev:devres_log: ",
            task("sh", 124),
        ),
        // The flags of different kernels: four, five and with a migration count.
        (
            "sh-124 [001] d..1 439.921733: devres_log: ",
            task("sh", 124),
        ),
        (
            "sh-124 [001] dNh3.. 439.921733: devres_log: ",
            task("sh", 124),
        ),
        // The latency format, verbose or not.
        (
            "  sh-124     1d..1. 439921733us : devres_log: ",
            task("sh", 124),
        ),
        (
            "  sh-124     1d..1. 439921733us+: devres_log: ",
            task("sh", 124),
        ),
        // The function graph's columns.
        (
            "  439.921733 |   1)     sh-124    |               |  /* devres_log: ",
            task("sh", 124),
        ),
        // Dumped to the console by ftrace_dump_on_oops.
        (
            "[  440.000000] sh-124     1d..1. 439921733us : devres_log: ",
            task("sh", 124),
        ),
    ] {
        let line =
            format!("{head}40000000.timer:counter ADD f0ecfb01 devm_action_release (8 bytes)");
        let import = import(&line);
        let found: Vec<_> = import.events().collect();
        let kinds: Vec<_> = found.iter().map(|event| event.kind.clone()).collect();
        let expected_kinds = [
            identity("40000000.timer:counter", "", ""),
            add(0xf0ec_fb01, "devm_action_release", 8),
        ];
        assert_eq!(kinds, expected_kinds, "{line}");
        assert_eq!(found[1].time, Time(439_921_733_000), "{line}");
        assert_eq!((found[1].cpu, found[1].task), (1, expected), "{line}");
        assert_eq!(attached(import.coverage()), [Hook::DevresLog]);
        assert_eq!(import.statistics().tracepoint, 1);
    }
}

#[test]
fn stacks_behind_trace_lines_are_theirs() {
    for (behind, lines) in [
        // perf script -g, ftrace's stacktrace trigger and option, trace-cmd's -T.
        (
            "\tffffffff81928380 __traceiter_devres_log+0x50 ([kernel.kallsyms])\n\
             \tffffffff81928390 add_dr+0x0 ([kernel.kallsyms])\n\
             \tffffffffc0000010 foo_probe+0x10 ([foo])\n\n",
            3,
        ),
        (
            "sh-124 [001] d..1. 439.921734: <stack trace>\n\
             \u{20}=> trace_event_raw_event_devres_log\n => add_dr\n => foo_probe+0x10/0x90 [foo]\n",
            3,
        ),
        (
            "sh-9 [000] d..1. 439.921734: devres_log: z REM 00000001 y (8 bytes)\n\
             sh-124 [001] d..1. 439.921734: kernel_stack:         <stack trace >\n\
             => add_dr (ffffffff81928390)\n=> foo_probe+0x10/0x90 [foo] (ffffffffc0000010)\n",
            3,
        ),
    ] {
        let line = "sh-124 [001] d..1. 439.921733: devres_log: x ADD f0ecfb01 y (8 bytes)\n";
        let text = [line, behind, line, behind].concat();
        let import = import(&text);
        assert!(import.coverage().stacks, "{text}");
        let statistics = import.statistics();
        assert_eq!(statistics.event_lines, 2 * (1 + lines), "{text}");
        assert_eq!(statistics.functions, 0, "{text}");
        let added: Vec<_> = import
            .events()
            .filter(|event| matches!(event.kind, EventKind::Add(_)))
            .map(|event| event.stack)
            .collect();
        assert_eq!(added, [Some(StackId(1)); 2], "{text}");
        let stacks: Vec<_> = import
            .events()
            .filter_map(|event| match event.kind {
                EventKind::Stack(stack) => Some(stack),
                _ => None,
            })
            .collect();
        assert_eq!(stacks.len(), 1, "{text}");
        let frames: Vec<_> = stacks[0].frames.iter().map(ToString::to_string).collect();
        assert_eq!(frames, ["add_dr", "foo_probe+0x10 [foo]"], "{text}");
    }
    // What is no stack of an event is passed over.
    for around in [
        "=> add_dr\nEVENT",
        "EVENT  sh-124 [001] .... 439.921735: funcgraph_entry:        0.5 us   |  device_remove();\n",
        "EVENTsh-7 [001] d..1. 439.921734: <stack trace>\n => add_dr\n",
    ] {
        let event = "sh-124 [001] d..1. 439.921733: devres_log: x ADD f0ecfb01 y (8 bytes)\n";
        let import = import(&around.replace("EVENT", event));
        assert_eq!(import.statistics().event_lines, 1, "{around}");
        assert!(!import.coverage().stacks, "{around}");
    }
}

#[test]
fn devices_without_a_name_are_known_again_by_their_nodes() {
    let text = "sh-1 [000] d..1. 1.000000: devres_log: (null) ADD 44be06af a (64 bytes)\n\
                sh-1 [000] d..1. 2.000000: devres_log: counter0 ADD 44be06b0 b (64 bytes)\n\
                sh-1 [000] d..1. 3.000000: devres_log: counter0 REL 44be06af a (64 bytes)\n\
                sh-1 [000] d..1. 4.000000: devres_log: (null) ADD 44be06af a (64 bytes)\n";
    let found = events(text);
    let devices: Vec<_> = found.iter().map(|event| event.device.0).collect();
    let kinds: Vec<_> = found.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds[0], identity("", "", ""));
    assert_eq!(kinds[2], identity("counter0", "", ""));
    assert_eq!(kinds.len(), 7);
    assert!(devices[..5].iter().all(|device| *device == devices[0]));
    assert_ne!(devices[5], devices[0]);
}

/// One device's probe and unbind as tools print them outside the kernel: with the address of the operation's name. No kernel
/// has a name at these.
fn outside(print: impl Fn(&str, &str, &str, &[&str]) -> String) -> String {
    let (add, release, remove) = ("0000000000000a11", "0000000000000a22", "0000000000000a33");
    let add_stack = ["add_dr", "devm_kmalloc", "foo_probe"];
    let release_stack = [
        "release_nodes",
        "devres_release_all",
        "device_unbind_cleanup",
    ];
    let remove_stack = ["devres_remove", "devres_destroy", "devm_kfree", "foo_probe"];
    [
        print("1.000000001", add, "0xff11000000000010", &add_stack),
        print("1.000000002", add, "0xff11000000000020", &add_stack),
        print("1.000000003", remove, "0xff11000000000020", &remove_stack),
        print("2.000000001", release, "0xff11000000000010", &release_stack),
    ]
    .concat()
}

/// The operations, in order.
fn operations(text: &str) -> Vec<&'static str> {
    let found = events(text).into_iter();
    found
        .filter_map(|event| match event.kind {
            EventKind::Add(_) => Some("add"),
            EventKind::Remove(_) => Some("remove"),
            EventKind::Release { .. } => Some("release"),
            _ => None,
        })
        .collect()
}

#[test]
fn an_operation_that_is_an_address_is_known_by_its_stack() {
    let by_perf = outside(|time, operation, node, stack| {
        let frames = stack
            .iter()
            .map(|name| format!("\tffffffff81d59a09 {name}+0xa9 ([kernel.kallsyms])\n"));
        format!(
            "bash 18057 [000] {time}: dev:devres_log: foo.0 {operation} {node} devm_kzalloc_release (24 bytes)\n{}\n",
            frames.collect::<String>()
        )
    });
    let by_trace_cmd = outside(|time, operation, node, stack| {
        let frames = stack
            .iter()
            .map(|name| format!("=> {name} (ffffffff81d59a09)\n"));
        format!(
            "   bash-18057 [000] {time}: devres_log:      foo.0 {operation} {node} devm_kzalloc_release (24 bytes)\n   bash-18057 [000] {time}: kernel_stack:         <stack trace >\n{}",
            frames.collect::<String>()
        )
    });
    for text in [by_perf, by_trace_cmd] {
        assert_eq!(
            operations(&text),
            ["add", "add", "remove", "release"],
            "{text}"
        );
        let import = import(&text);
        assert_eq!(import.statistics().unnamed, 0);
        assert_eq!(import.statistics().tracepoint, 4);
        assert!(import.problems().is_empty());
        assert!(
            import
                .events()
                .filter(|event| event.stack.is_some())
                .count()
                == 4,
            "{text}"
        );
    }
}

#[test]
fn an_operation_that_nothing_shows_is_a_loss_and_an_error_where_all_are() {
    let bare = outside(|time, operation, node, _| {
        format!(
            "   bash-18057 [000] {time}: devres_log:      foo.0 {operation} {node} devm_kzalloc_release (24 bytes)\n"
        )
    });
    let error = text::read(bare.as_bytes()).expect_err("it has no operation");
    assert!(
        error.to_string().starts_with("4 events of devres_log have an address in place of ADD, REL or REM, as perf and trace-cmd print it: record with call stacks"),
        "{error}"
    );
    // The stack of one shows what all at its address are, before and behind it.
    let half = bare.replacen(
        "(24 bytes)\n   bash-18057 [000] 1.000000003",
        "(24 bytes)\n   bash-18057 [000] 1.000000002: kernel_stack: <stack trace >\n=> add_dr (ffffffff81d59a09)\n   bash-18057 [000] 1.000000003",
        1,
    );
    let import = import(&half);
    assert_eq!(operations(&half), ["add", "add"]);
    assert_eq!(import.statistics().unnamed, 2);
    let lost: u64 = import
        .events()
        .map(|event| match event.kind {
            EventKind::Loss(Loss { count, .. }) => count,
            _ => 0,
        })
        .sum();
    assert_eq!(lost, 2);
    assert_eq!(import.problems().len(), 1);
}

#[test]
fn perf_trace_prints_the_operations_address_too() {
    let line = "0.000 bash/19023 dev:devres_log(devname: \"foo.0\", op: 0xa11, node: 0xff11000000000010, name: \"a\", size: 24)";
    let error = text::read(line.as_bytes()).expect_err("it has no operation");
    assert!(
        error
            .to_string()
            .starts_with("1 event of devres_log has an address"),
        "{error}"
    );
}

#[test]
fn no_line_of_one_operation_is_forgotten_while_others_wait() {
    none_is_forgotten_while_others_wait(20_000, 1);
}

#[test]
fn no_line_of_a_few_operations_is_forgotten_while_others_wait() {
    none_is_forgotten_while_others_wait(20_000, 3);
}

#[test]
fn no_line_of_many_operations_is_forgotten_while_others_wait() {
    none_is_forgotten_while_others_wait(18_000, 40);
}

fn none_is_forgotten_while_others_wait(lines: u32, kinds: u32) {
    let line = |number: u32, kinds: u32| {
        let operation = 0xa00 + number % kinds;
        format!(
            "sh-1 [000] {number}.5: devres_log: x {operation:016x} 0xff110000{number:08x} a (8 bytes)\n"
        )
    };
    let text: String = (1..=lines).map(|number| line(number, kinds)).collect();
    let stack = "sh-1 [000] 90000.5: kernel_stack: <stack trace >\n=> add_dr (ffffffff81d59a09)\n";
    for text in [text.clone(), text + stack] {
        let Err(text::ImportError::Unnamed { statistics }) = text::read(text.as_bytes()) else {
            panic!("there is an operation");
        };
        assert_eq!(statistics.unnamed, u64::from(lines), "{kinds} addresses");
    }
}

const BY_FIELDS_HEAD: &str = "   <...>-71 [001] d..1. 9.0001";

/// A call that a kernel which ran at other addresses prints by its fields.
fn called(number: u32, event: &str, fields: &str) -> String {
    format!("{BY_FIELDS_HEAD}{number:02}: {event}_0: {fields}\n")
}

/// The same of an event of the tracepoint.
fn logged(number: u32, operation: &str, node: u64) -> String {
    format!(
        "{BY_FIELDS_HEAD}{number:02}: devres_log: devname=a b dev=0x0 (0) op=({operation}) node={node:#x} (1) name=c size=0x18 (24)\n"
    )
}

fn adds(number: u32, node: u64) -> String {
    let fields = format!(
        "__probe_ip=0xffffffffa1000000 (-1593835520) dev=0xff11000000000001 (1) node={node:#x} (1) rel=0x20 (32)"
    );
    called(number, "p_add_dr", &fields)
}

fn releases(number: u32) -> String {
    called(
        number,
        "p_devres_release_all",
        "__probe_ip=0xffffffffa1000100 (-1593835264) dev=0xff11000000000001 (1)",
    )
}

/// What the tracepoint's events were, and how many of them are lost.
fn known(text: &str) -> (Vec<&'static str>, u64) {
    match text::read(text.as_bytes()) {
        Ok(import) if import.statistics().tracepoint > 0 => {
            (operations(text), import.statistics().unnamed)
        }
        Ok(import) => (Vec::new(), import.statistics().unnamed),
        Err(text::ImportError::Unnamed { statistics }) => (Vec::new(), statistics.unnamed),
        Err(error) => panic!("{error}: {text}"),
    }
}

#[test]
fn an_operation_that_is_an_address_is_known_by_the_calls_around() {
    let (add, release) = ("0xa11", "0xa22");
    let node = 0xff11_0000_0000_ff00;
    let all = [
        adds(1, node),
        logged(2, add, node),
        releases(3),
        logged(4, release, node),
    ]
    .concat();
    assert_eq!(known(&all), (vec!["add", "release"], 0));
    // What comes later shows what was logged before.
    let later = [logged(0, add, node + 0x100), all.clone()].concat();
    assert_eq!(known(&later), (vec!["add", "add", "release"], 0));
    let named = [logged(1, "0xa33:REM", node)].concat();
    assert_eq!(known(&named), (vec!["remove"], 0));
    // Nothing proves it.
    assert_eq!(known(&logged(1, add, node)), (vec![], 1));
    // Proved to be two things.
    let contradiction = [
        adds(1, node),
        logged(2, add, node),
        releases(3),
        logged(4, add, node),
    ]
    .concat();
    assert_eq!(known(&contradiction), (vec![], 2));
    // One thing at two addresses.
    let twice = [
        adds(1, node),
        logged(2, add, node),
        adds(3, node),
        logged(4, release, node),
    ]
    .concat();
    assert_eq!(known(&twice), (vec![], 2));
    // The node that add_dr() adds is another one: what it has logged is missing.
    let other = [adds(1, node + 0x100), logged(2, add, node)].concat();
    assert_eq!(known(&other), (vec![], 1));
}
