//! One sample of every format of pasted text, with exactly the events that it must become.

#[path = "support/text.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    event::{
        AddedNode, Call, CallDetail, Comm, DeviceAddress, DeviceIdentity, Event, EventKind,
        Function, GroupId, Hook, Loss, LossCause, NodeAddress, NodeReference, PmDomain, Return,
        StackDefinition, StackFrame, StackId, Task, Text, Time,
    },
    evidence::{Addresses, Attachment, Before, Coverage, HookState, NodeEvents},
    model::{Change, Model},
    source::text::{self, ImportError},
};
use support::{import, judge};

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

#[test]
fn every_prefix_of_the_kernel_log_gives_the_same_event() {
    for (prefix, time) in [
        ("[  126.886032] ", Some(126_886_032_000)),
        ("[7.138679] ", Some(7_138_679_000)),
        ("[ ] ", None),
        ("", None),
        ("\t  ", None),
        ("> ", None),
        ("> > [7.138679] ", Some(7_138_679_000)),
        ("| [7.138679] ", Some(7_138_679_000)),
        ("<3>[    7.138679] ", Some(7_138_679_000)),
        ("kern  :err   : [    7.138679] ", Some(7_138_679_000)),
        ("3,77,7138679,-;", Some(7_138_679_000)),
        ("[  +0.000008] ", Some(8_000)),
        ("[Thu Jan  1 00:01:05 1970] ", Some(65 * SECOND)),
        ("Jan  1 00:01:05 pc-mine kernel: ", Some(65 * SECOND)),
        (
            "Jan  1 00:01:05 pc-mine kernel: [    7.138679] ",
            Some(7_138_679_000),
        ),
        (
            "1970-01-01T00:01:05.5+02:00 pc-mine kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("1970-01-01 00:01:05 [    7.138679] ", Some(7_138_679_000)),
        ("  CRIT KERN ", None),
        ("kernel: ", None),
        ("board-7 console: [    7.138679] ", Some(7_138_679_000)),
        (
            "\x1b[32m[    7.138679] \x1b[0m\x1b[33m",
            Some(7_138_679_000),
        ),
        // journalctl -o short-precise, short-iso, short-iso-precise, short-monotonic, short-unix, short-full,
        // with-unit, cat, export, json.
        (
            "Jan 01 00:01:05.500000 pc kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("1970-01-01T00:01:05+0100 pc kernel: ", Some(65 * SECOND)),
        (
            "1970-01-01T00:01:05.500000+01:00 pc kernel: ",
            Some(65 * SECOND + SECOND / 2),
        ),
        ("[    7.138679] pc kernel: ", Some(7_138_679_000)),
        ("65.500000 pc kernel: ", Some(65 * SECOND + SECOND / 2)),
        ("Thu 1970-01-01 00:01:05 CET pc kernel: ", Some(65 * SECOND)),
        ("MESSAGE=", None),
        (r#"{"_HOSTNAME":"pc","MESSAGE":"#, None),
        // rsyslog, busybox's syslogd and OpenWrt's logread.
        ("Jan  1 00:01:05 pc kern.err kernel: ", Some(65 * SECOND)),
        (
            "Thu Jan  1 00:01:05 1970 kern.err kernel: [    7.138679] ",
            Some(7_138_679_000),
        ),
        // Android's log.
        ("01-01 00:01:05.000     0     0 E ", Some(65 * SECOND)),
        // dmesg -T, -x, --time-format=iso, -r, -H's first line of a minute.
        ("[Thu Jan  1 00:01:05 1970] ", Some(65 * SECOND)),
        (
            "kern  :err   : [Thu Jan  1 00:01:05 1970] ",
            Some(65 * SECOND),
        ),
        ("1970-01-01T00:01:05,000000+00:00 ", Some(65 * SECOND)),
        ("[Jan 1 00:01] ", Some(60 * SECOND)),
        // CONFIG_PRINTK_CALLER, and what vendors have instead.
        ("<3>[    7.138679][    T0] ", Some(7_138_679_000)),
        ("[    7.138679][    C1] ", Some(7_138_679_000)),
        ("[    7.138679@2] ", Some(7_138_679_000)),
        ("[    7.138679][2] ", Some(7_138_679_000)),
        ("[    7.138679] (2)[0:swapper/2] ", Some(7_138_679_000)),
        // netconsole: plain, extended, with the kernel's release.
        ("3,77,7138679,-,caller=T0;", Some(7_138_679_000)),
        ("6.12.43,3,77,7138679,-;", Some(7_138_679_000)),
        ("6.1.0-13-amd64,3,77,7138679,c;", Some(7_138_679_000)),
        // A test machine's log around the console's.
        ("2024-02-27T01:02:03 [    7.138679] ", Some(7_138_679_000)),
        ("00:07:01.234 | kern | [    7.138679] ", Some(7_138_679_000)),
    ] {
        is_the_event(prefix, time);
    }
}

/// What other programs, web pages and vendors' kernels put in front.
#[test]
fn every_other_prefix_gives_the_same_event() {
    for (prefix, time) in [
        ("21:52:21.0000  [    7.138679] ", Some(7_138_679_000)),
        // What grep, a shell and a web page put in front.
        ("12:[    7.138679] ", Some(7_138_679_000)),
        ("dmesg.txt:12:", None),
        ("root@pc:~# ", None),
        ("[&nbsp;&nbsp; 7.138679]\t", Some(7_138_679_000)),
        ("[\u{a0}\u{a0}\u{a0} 7.138679]\u{a0}", Some(7_138_679_000)),
        ("[=C2=A0=C2=A0 7.138679] ", Some(7_138_679_000)),
        // The time with the brackets cut off, or others; a line that lost its end in front.
        ("7.138679] ", Some(7_138_679_000)),
        ("7.138679 ", Some(7_138_679_000)),
        ("(7.138679) ", Some(7_138_679_000)),
        ("[<    0.000008>] ", Some(8_000)),
        ("[    1.0] usb 1-1: new[    7.138679] ", Some(7_138_679_000)),
        // Containers' logs, tables, RFC 5424, vendors' kernels.
        (
            "time=\"1970-01-01T00:01:05Z\" level=error msg=\"",
            Some(65 * SECOND),
        ),
        ("1970-01-01T00:01:05Z,pc,kernel,err,\"", Some(65 * SECOND)),
        (
            "<3>1 1970-01-01T00:01:05Z pc kernel - - - ",
            Some(65 * SECOND),
        ),
        ("[    7.138679@0]- ", Some(7_138_679_000)),
        ("7.138679\tkern\terr\t", Some(7_138_679_000)),
    ] {
        is_the_event(prefix, time);
    }
}

/// Whether a line with this prefix is an event of that time.
fn is_the_event(prefix: &str, time: Option<u64>) {
    let quote = if prefix.ends_with(':') { "\"" } else { "" };
    let line = format!(
        "{prefix}{quote}lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_release (16 bytes){quote}\r\n"
    );
    let import = import(&line);
    let found: Vec<Event> = import.events().collect();
    let kinds: Vec<_> = found.iter().map(|event| &event.kind).collect();
    let expected = [
        &identity("0-0048", "lm75", ""),
        &add(0x323c_cdc5, "devm_clk_release", 16),
    ];
    assert_eq!(kinds, expected, "{line}");
    assert_eq!(import.coverage().times, time.is_some(), "{line}");
    // Without times, events are counted.
    assert_eq!(found[0].time, Time(time.unwrap_or(1)), "{line}");
    assert_eq!(found[1].time, Time(time.unwrap_or(2)), "{line}");
    assert_eq!(found[1].device, found[0].device);
    assert_ne!(found[1].device, DeviceAddress::NONE);
    assert_eq!(found[1].task, Task::default());
}

#[test]
fn files_of_every_encoding_are_read() {
    let text = "[    7.138679] lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_release (16 bytes)\r\n\
                [    8.138679] lm75 0-0048: DEVRES REL 00000000323ccdc5 devm_clk_release (16 bytes)\r\n";
    let expected = kinds(text);
    assert_eq!(expected.len(), 3);
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').count();
    for bytes in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        [b"\xff\xfe", &little[..]].concat(),
        [b"\xfe\xff", &big[..]].concat(),
        little.clone(),
        text.replace('\n', "\r\n").into_bytes(),
        [text.as_bytes(), b"\xff\xfe\x80 not UTF-8"].concat(),
        // What a serial console or pstore leaves around it.
        [b"\0\0\0", text.as_bytes(), b"\0\0"].concat(),
    ] {
        let import = text::read(&bytes[..]).unwrap();
        let found: Vec<_> = import.events().map(|event| event.kind).collect();
        assert_eq!(found, expected, "{bytes:?}");
        assert!(import.statistics().lines <= lines(&bytes) as u64);
        assert!(import.coverage().times);
    }
}

#[test]
fn what_stands_around_events_is_passed_over() {
    for (around, event_lines) in [
        // pstore's and the crash's own headers, /dev/kmsg's dictionary, a mail's prose and diff.
        ("Oops#1 Part1\n<3>EVENT", 1),
        ("Panic#2 Part3\n<3>EVENT", 1),
        ("EVENT SUBSYSTEM=i2c\n DEVICE=+i2c:0-0048\n", 1),
        ("As the DEVRES lines show:\n\nEVENT\n-- \n2.32.0\n", 1),
        ("On Fri, x wrote:\n> > EVENT> and more DEVRES prose\n", 1),
        ("```\nEVENT```\n", 1),
        ("$ dmesg | grep DEVRES\nEVENT$ \n", 1),
        ("devres: DEVRES ADD and REL\nEVENT", 1),
        ("EVENTEVENT", 2),
    ] {
        let event = "[ 7.0] lm75 0-0048: DEVRES REM 00000000323ccdc5 devm_clk_release (16 bytes)\n";
        let text = around.replace("EVENT", event);
        let import = import(&text);
        assert_eq!(import.statistics().event_lines, event_lines, "{text}");
        let removed = EventKind::Remove(reference(0x323c_cdc5, "devm_clk_release", 16));
        let found = import
            .events()
            .filter(|event| event.kind == removed)
            .count();
        assert_eq!(found as u64, event_lines, "{text}");
    }
}

#[test]
fn mails_that_are_not_decoded_are_read() {
    let text = "[ 7.0] lm75 0-0048: DEVRES ADD 00000000323ccdc5 devm_clk_rel=\nease (16 bytes)\n";
    assert_eq!(kinds(text)[1], add(0x323c_cdc5, "devm_clk_release", 16));
}

#[test]
fn the_thread_that_wrote_the_message_is_its_task() {
    let found = events("[    7.138679][  T123] x y: DEVRES REM 00000000323ccdc5 z (1 bytes)");
    assert_eq!(found[1].task, task("", 123));
    let found = events("[    7.138679] [    C3] x y: DEVRES REM 00000000323ccdc5 z (1 bytes)");
    assert_eq!((found[1].task, found[1].cpu), (task("", 0), 3));
}

#[test]
fn devices_have_a_driver_or_a_bus_or_neither() {
    for (subject, expected) in [
        (
            "snd_hda_intel 0000:00:1f.3",
            identity("0000:00:1f.3", "snd_hda_intel", ""),
        ),
        ("pci 0000:00:1f.3", identity("0000:00:1f.3", "", "pci")),
        ("mlxreg-hotplug", identity("mlxreg-hotplug", "", "")),
        (
            "mei_pxp 0000:00:16.0-fbf6fcf1-96cf",
            identity("0000:00:16.0-fbf6fcf1-96cf", "mei_pxp", ""),
        ),
        (
            "Generic PHY fixed-0:00",
            identity("fixed-0:00", "Generic PHY", ""),
        ),
        ("platform (null)", identity("", "", "platform")),
    ] {
        let line = format!("[ 1.0] {subject}: DEVRES REM 00000000323ccdc5 z (1 bytes)");
        let expected = [expected, EventKind::Remove(reference(0x323c_cdc5, "z", 1))];
        assert_eq!(kinds(&line), expected, "{line}");
    }
}

#[test]
fn a_driver_comes_and_goes() {
    let text = "[ 1.0] platform x.0: DEVRES ADD 0000000000000001 a (8 bytes)\n\
                [ 2.0] foo x.0: DEVRES ADD 0000000000000002 b (8 bytes)\n\
                [ 3.0] foo x.0: DEVRES REL 0000000000000002 b (8 bytes)\n\
                [ 4.0] platform x.0: DEVRES REL 0000000000000001 a (8 bytes)\n";
    let expected = [
        identity("x.0", "", "platform"),
        add(1, "a", 8),
        identity("x.0", "foo", "platform"),
        add(2, "b", 8),
        EventKind::Release(reference(2, "b", 8)),
        identity("x.0", "", "platform"),
        EventKind::Release(reference(1, "a", 8)),
    ];
    assert_eq!(kinds(text), expected);
}

#[test]
fn nodes_are_printed_in_many_ways() {
    use Addresses::{Absent, Hashed, Real};
    for (printed, node, worth) in [
        ("00000000323ccdc5 ", 0x323c_cdc5, Hashed),
        ("f0ecfb01 ", 0xf0ec_fb01, Hashed),
        ("ffff800081443800 ", 0xffff_8000_8144_3800, Real),
        ("0xffff800081443800 ", 0xffff_8000_8144_3800, Real),
        ("(ptrval) ", 0, Absent),
        ("(____ptrval____) ", 0, Absent),
        ("", 0, Absent),
        ("00000000323ccdc5 ffff800081443800 ", 0x323c_cdc5, Hashed),
    ] {
        for (name, expected) in [
            ("grp<", "grp<"),
            ("a release with blanks", "a release with blanks"),
            ("(void(*)(void *))put_device", "(void(*)(void *))put_device"),
            ("&rmi_irq_teardown", "&rmi_irq_teardown"),
            ("Devres<T>", "Devres<T>"),
            ("(null)", ""),
        ] {
            let line = format!("x y: DEVRES ADD {printed}{name} (64 bytes) (a remark)");
            let import = import(&line);
            let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
            let expected = [identity("y", "x", ""), add(node, expected, 64)];
            assert_eq!(kinds, expected, "{line}");
            assert_eq!(import.coverage().node_addresses, worth, "{line}");
        }
    }
}

#[test]
fn the_four_operations_are_told_apart() {
    let text = "x: DEVRES ADD 0000000000000001 a (8 bytes)\n\
                x: DEVRES REPLACE 0000000000000001 a (8 bytes)\n\
                x: DEVRES REM 0000000000000002 b (8 bytes)\n\
                x: DEVRES REL 0000000000000003 c (8 bytes)\n";
    let expected = [
        identity("x", "", ""),
        add(1, "a", 8),
        EventKind::Replace(reference(1, "a", 8)),
        EventKind::Remove(reference(2, "b", 8)),
        EventKind::Release(reference(3, "c", 8)),
    ];
    assert_eq!(kinds(text), expected);
}

#[test]
fn addresses_that_are_all_the_same_are_none() {
    let text = "[ 1.0] x y: DEVRES REL ffff800081443800 a (8 bytes)\n".repeat(4);
    let import = import(&text);
    assert_eq!(import.coverage().node_addresses, Addresses::Absent);
    let last = import.events().last().unwrap();
    assert_eq!(last.kind, EventKind::Release(reference(0, "a", 8)));
}

#[test]
fn devices_interleave_and_names_live_again() {
    let text = "[ 1.0] d a: DEVRES ADD 0000000000000001 x (8 bytes)\n\
                [ 2.0] d b: DEVRES ADD 0000000000000002 y (8 bytes)\n\
                [ 3.0] d a: DEVRES REL 0000000000000001 x (8 bytes)\n\
                [ 4.0] d b: DEVRES REL 0000000000000002 y (8 bytes)\n\
                [ 5.0] d a: DEVRES ADD 0000000000000001 x (8 bytes)\n";
    let import = import(text);
    assert_eq!(import.coverage().device_addresses, Addresses::Absent);
    let devices: Vec<_> = import.events().map(|event| event.device.0).collect();
    let (a, b) = (devices[0], devices[2]);
    assert_ne!(a, b);
    assert_eq!(devices, [a, a, b, b, a, b, a]);
}

#[test]
fn wrapped_lines_are_joined() {
    let expected = [
        identity("0000:00:1f.3", "snd_hda_intel", ""),
        add(0x323c_cdc5, "devm_component_match_release", 24),
    ];
    for text in [
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD\n00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES\nADD 00000000323ccdc5\ndevm_component_match_release (24 bytes)",
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5\n> devm_component_match_release (24\n> bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3:\nDEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel\n0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0]\nsnd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        // Where the line was full.
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323c\ncdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo\nnent_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES AD\nD 00000000323ccdc5 devm_component_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 by\ntes)",
        // Quoted-printable, quoted before or behind that, and with a blank kept at the end.
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo=\nnent_match_release (24 bytes)",
        "> [  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_compo=\n> nent_match_release (24 bytes)",
        "[  1.0] snd_hda_intel 0000:00:1f.3: DEVRES ADD=20\n00000000323ccdc5 devm_component_match_release (24 bytes)",
        // Records of several lines.
        "__CURSOR=s\n__MONOTONIC_TIMESTAMP=1000000\nMESSAGE=snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)\n",
        "{\n\"time\": 1.0,\n\"msg\": \"snd_hda_intel 0000:00:1f.3: DEVRES ADD 00000000323ccdc5 devm_component_match_release (24 bytes)\"\n}",
    ] {
        let import = import(text);
        let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
        assert_eq!(kinds, expected, "{text}");
        let statistics = import.statistics();
        let is_record = text.starts_with('{') || text.starts_with('_');
        assert!(
            is_record || statistics.event_lines == statistics.lines,
            "{text}"
        );
        assert_eq!(statistics.kernel_log, 1);
        assert_eq!(import.events().next().unwrap().time, Time(SECOND), "{text}");
    }
}

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
fn several_events_on_a_line_are_several() {
    let one = "[ 1.0] x y: DEVRES ADD 0000000000000001 a (8 bytes)";
    let two = "[ 2.0] x y: DEVRES REL 0000000000000001 a (8 bytes)";
    let refused = "[ 2.0] pci z: Resources present before probing";
    let expected = kinds(&format!("{one}\n{two}\n"));
    for between in ["", "\r", "\u{1b}[0m"] {
        assert_eq!(
            kinds(&format!("{one}{between}{two}\n")),
            expected,
            "{between:?}"
        );
    }
    let messages = |text: &str| import(text).statistics().messages;
    assert_eq!(messages(&format!("{one}{refused}")), 1);
    assert_eq!(messages(&format!("{refused}{refused}")), 2);
}

#[test]
fn marks_of_web_pages_are_undone() {
    let text = "sh-1 [000] d..1. 1.000000: devres_log: x ADD 0000000000000001 grp&lt; (0 bytes)\n\
                sh-1 [000] d..1. 1.000001: devres_log: x ADD 0000000000000002 \\u0026a (8 bytes)\n";
    assert_eq!(kinds(text)[1..], [add(1, "grp<", 0), add(2, "&a", 8)]);
}

#[test]
fn an_event_without_its_subject_is_of_an_unknown_device() {
    let found = kinds("DEVRES ADD 0000000000000001 a (8 bytes)\n");
    assert_eq!(
        found,
        [identity("an unknown device", "", ""), add(1, "a", 8)]
    );
}

#[test]
fn cut_beginnings_and_ends_are_counted() {
    let text = "c5 devm_component_match_release (24 bytes)\n\
                [ 1.0] x y: DEVRES ADD 000000\n\
                [ 2.0] x y: DEVRES ADD 0000000000000001 a (8 bytes)\n\
                [ 3.0] x y: DEVRES REL 00000000000";
    let import = import(text);
    let kinds: Vec<_> = import.events().map(|event| event.kind).collect();
    // The last one is where the text ends: nothing more is known of what came then.
    let lost = EventKind::Loss(Loss {
        count: 1,
        cause: LossCause::Input,
    });
    assert_eq!(kinds, [lost, identity("y", "x", ""), add(1, "a", 8)]);
    let statistics = import.statistics();
    assert_eq!((statistics.lines, statistics.event_lines), (4, 1));
    assert_eq!((statistics.other_lines, statistics.cut), (3, 2));
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
fn a_text_without_events_is_an_error_that_says_what_to_do() {
    assert!(matches!(text::read(&b""[..]), Err(ImportError::Empty)));
    for text in [
        "\n",
        "[ 1.0] usb 1-1: new device\nprose about DEVRES ADD\n\0\u{fffd}\n",
    ] {
        match text::read(text.as_bytes()) {
            Err(ImportError::NoEvents { statistics }) => {
                assert_eq!(statistics.lines, text.lines().count() as u64);
                assert_eq!(statistics.other_lines, statistics.lines);
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
    let error = text::read(&b"x\n"[..]).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("the only line is not a devres event"),
        "{error}"
    );
    assert!(
        error.contains("devres.log=1") && error.contains("dev:devres_log"),
        "{error}"
    );
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

/// A probe and an unbind as kprobe events and the tracepoint tell them.
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
        // Where devres_open_group returns to tells who opened the group.
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
            EventKind::Remove(_) | EventKind::Loss(_) => panic!("no line tells of it: {kind:?}"),
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
