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
        assert_eq!(frames, ["add_dr+0x0", "foo_probe+0x10 [foo]"], "{text}");
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
