//! The kernel's own lines: DEVRES and REL.

use devres_tracer::{event::EventKind, evidence::Addresses};

use super::{add, identity, kinds, reference, support::import};

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

/// `dmesg -d` says how long after the line before one was written. Lines between two events count, too, so it is neither
/// when nor how long after each other they were.
#[test]
fn the_time_since_the_line_before_is_no_time() {
    let line = |time: &str, node: u64| {
        format!("{time} foo x.0: DEVRES ADD 000000000000000{node} a (8 bytes)\n")
    };
    let minute = line("[Nov30 11:22]", 1);
    for (text, times) in [
        (line("[   2.000000]", 1) + &line("[   7.000000]", 2), true),
        (line("[  +2.000000]", 1) + &line("[  +5.000000]", 2), false),
        (
            line("<    2.000000>", 1) + &line("<    5.000000>", 2),
            false,
        ),
        (minute.clone(), true),
        (minute + &line("[  +5.000000]", 2), false),
    ] {
        assert_eq!(import(&text).coverage().times, times, "{text}");
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
fn an_event_without_its_subject_is_of_an_unknown_device() {
    let found = kinds("DEVRES ADD 0000000000000001 a (8 bytes)\n");
    assert_eq!(
        found,
        [identity("an unknown device", "", ""), add(1, "a", 8)]
    );
}
