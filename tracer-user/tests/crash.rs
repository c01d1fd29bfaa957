//! What was under way when a machine died, by recordings that end there.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use devres_tracer::{
    crash::{Crash, LastMoments, Messages, MessagesError},
    engine::Engine,
    event::{DeviceAddress, Event, EventKind, NodeReference, Task, Time},
    rules::RuleSet,
    source::{dead_kernel::messages::tell_of_a_crash, recording::Recording, text},
};

/// The end of a recording, as `crash` reports it; with the log's own words on how the machine died.
fn crash(trace: &str) -> Crash {
    let import = text::read(trace.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{trace}"));
    let mut engine = Engine::new(Arc::new(import.coverage().clone()), RuleSet::all());
    let mut moments = LastMoments::default();
    for event in import.events() {
        engine.apply_with(&event, |change, model| moments.observe(change, model));
    }
    moments.finish(engine.model(), import.death().cloned())
}

/// In the words that people read, in one line.
fn words(crash: &Crash) -> String {
    let mut bytes = Vec::new();
    devres_tracer::crash::write(10_000, &mut bytes, crash).unwrap();
    String::from_utf8(bytes).unwrap()
}

const PROBE: &str = "\
  insmod-9 [000] ..... 1.000000: p_really_probe_0: (really_probe+0x0/0x3e0) dev=0xffff888000000100 name=\"acme.0\" drv=\"acme\"
  insmod-9 [000] d..1. 1.000100: p_add_dr_0: (add_dr+0x0/0xc0) dev=0xffff888000000100 node=0xffff888000001000 rel=devm_kmalloc_release+0x0/0x10
  insmod-9 [000] d..1. 1.000101: devres_log: acme.0 ADD 000000000000a001 devm_kzalloc_release (64 bytes)
  insmod-9 [000] d..1. 1.000200: p_add_dr_0: (add_dr+0x0/0xc0) dev=0xffff888000000100 node=0xffff888000002000 rel=devm_irq_release+0x0/0x20
  insmod-9 [000] d..1. 1.000201: devres_log: acme.0 ADD 000000000000a002 devm_irq_release (16 bytes)
  insmod-9 [000] ..... 1.000300: p_driver_bound_0: (driver_bound+0x0/0xb0) dev=0xffff888000000100
  insmod-9 [000] ..... 1.000400: r_really_probe_0: (__driver_probe_device+0x84/0x140 <- really_probe) ret=0x0
";
const UNBIND: &str = "\
   rmmod-12 [001] ..... 2.000000: p_device_release_driver_internal_0: (device_release_driver_internal+0x4/0x200) dev=0xffff888000000100 name=\"acme.0\"
   rmmod-12 [001] ..... 2.000100: p_device_unbind_cleanup_0: (device_unbind_cleanup+0x0/0x70) dev=0xffff888000000100
   rmmod-12 [001] ..... 2.000200: p_devres_release_all_0: (devres_release_all+0x4/0xe0) dev=0xffff888000000100
   rmmod-12 [001] ..... 2.000300: devres_log: acme.0 REL 000000000000a002 devm_irq_release (16 bytes)
";
const RELEASED: &str = "\
   rmmod-12 [001] ..... 2.000400: devres_log: acme.0 REL 000000000000a001 devm_kzalloc_release (64 bytes)
   rmmod-12 [001] ..... 2.000500: r_devres_release_all_0: (device_unbind_cleanup+0xe/0x70 <- devres_release_all) ret=0x2
   rmmod-12 [001] ..... 2.000600: r_device_unbind_cleanup_0: (device_release_driver_internal+0x1c1/0x200 <- device_unbind_cleanup)
   rmmod-12 [001] ..... 2.000700: r_device_release_driver_internal_0: (driver_detach+0x47/0x90 <- device_release_driver_internal)
";
const PANIC: &str = "\
[    2.000350] Kernel panic - not syncing: acme: no way out
[    2.000360] CPU: 1 PID: 12 Comm: rmmod Not tainted 6.12.0 #1
";

#[test]
fn the_release_that_never_ended_is_told_with_its_adder() {
    let crash = crash(&format!("{PROBE}{UNBIND}{PANIC}"));
    let [one] = crash.under_way.as_slice() else {
        panic!("{crash:?}");
    };
    assert_eq!(
        (one.device.as_str(), one.died, one.certain),
        ("acme.0", true, true)
    );
    let released = one.releasing.as_ref().unwrap();
    assert_eq!(released.name, "devm_irq_release");
    assert_eq!(
        (released.added.task.as_deref(), released.added.tid),
        (Some("insmod"), Some(9))
    );
    assert_eq!(crash.missing, Vec::<String>::new());
    let words = words(&crash);
    assert!(
        words.contains("the machine died while releasing devm_irq_release (interrupt) of acme.0 (driver acme), added by insmod[9]"),
        "{words}"
    );
    assert!(words.contains("acme: no way out"), "{words}");
}

/// As a kernel prints it that runs at other addresses than the dead one did, and calls tasks as its own are called.
const BY_FIELDS: &str = "\
  kswapd-9  [000] ..... 1.000000: p_really_probe_0: __probe_ip=0xffffffffb7000010 (-1224736752) dev=0xff11000000000100 (-1) name=acme.0 drv=acme bus=platform comm=insmod
  kswapd-9  [000] d..1. 1.000100: p_add_dr_0: __probe_ip=0xffffffffb7000020 (-1224736736) dev=0xff11000000000100 (-1) node=0xff11000000002000 (-1) rel=0xffffffffb7000030 (-1)
  kswapd-9  [000] d..1. 1.000101: devres_log: devname=acme.0 dev=0x0 (0) op=(0xffffffffb8000010) node=0xff11000000002000 (-1) name=devm_irq_release size=0x10 (16)
  kswapd-9  [000] ..... 1.000200: p_driver_bound_0: __probe_ip=0xffffffffb7000040 (-1224736704) dev=0xff11000000000100 (-1)
  kswapd-9  [000] ..... 1.000300: r_really_probe_0: __probe_func=0xffffffffb7000010 (-1) __probe_ret_ip=0xffffffffb7000050 (-1) ret=0x0 (0)
 kthreadd-12 [001] ..... 2.000000: p_device_release_driver_internal_0: __probe_ip=0xffffffffb7000060 (-1) dev=0xff11000000000100 (-1) name=acme.0 comm=rmmod
 kthreadd-12 [001] ..... 2.000100: p_device_unbind_cleanup_0: __probe_ip=0xffffffffb7000070 (-1) dev=0xff11000000000100 (-1)
 kthreadd-12 [001] ..... 2.000200: p_devres_release_all_0: __probe_ip=0xffffffffb7000080 (-1) dev=0xff11000000000100 (-1)
 kthreadd-12 [001] ..... 2.000300: devres_log: devname=acme.0 dev=0x0 (0) op=(0xffffffffb8000020) node=0xff11000000002000 (-1) name=devm_irq_release size=0x10 (16)
";

#[test]
fn a_kernel_that_ran_at_other_addresses_tells_as_much() {
    let words = words(&crash(BY_FIELDS));
    assert!(
        words.contains("at the end rmmod[12] was releasing devm_irq_release (interrupt) of acme.0 (driver acme), added by insmod[9]"),
        "{words}"
    );
}

#[test]
fn events_by_their_fields_are_read_wherever_they_begin() {
    let dull = "[    1.000000] usb 1-1: new device\n";
    let text = format!("{}{BY_FIELDS}{dull}", dull.repeat(20));
    let import = text::read(text.as_bytes()).unwrap();
    let events = BY_FIELDS.lines().count() as u64;
    let statistics = import.statistics();
    assert_eq!(statistics.lines, 21 + events);
    assert_eq!((statistics.event_lines, statistics.lost), (events, 0));
    let shown = |wanted: fn(&EventKind) -> bool| {
        let mut events = import.events();
        events.any(|event| {
            event.device == DeviceAddress(0xff11_0000_0000_0100) && wanted(&event.kind)
        })
    };
    assert!(shown(|kind| matches!(kind, EventKind::Add(_))));
    assert!(shown(|kind| matches!(kind, EventKind::Release(_))));
}

#[test]
fn what_has_ended_is_not_under_way() {
    let crash = crash(&format!("{PROBE}{UNBIND}{RELEASED}{PANIC}"));
    assert_eq!(crash.under_way, []);
    assert!(
        crash.missing[0].contains("no probe, unbind or release was under way"),
        "{crash:?}"
    );
}

#[test]
fn between_two_functions_the_innermost_is_told() {
    let mut lines: Vec<&str> = UNBIND.lines().collect();
    lines.truncate(2);
    let crash = crash(&format!("{PROBE}{}\n{PANIC}", lines.join("\n")));
    let words = words(&crash);
    assert!(
        words.contains("the machine died in device_unbind_cleanup() of acme.0"),
        "{words}"
    );
}

#[test]
fn what_another_task_did_is_no_more_than_that() {
    let other = PANIC.replace("PID: 12 Comm: rmmod", "PID: 77 Comm: other");
    let crash = crash(&format!("{PROBE}{UNBIND}{other}"));
    assert!(!crash.under_way[0].died);
    let words = words(&crash);
    assert!(
        words.contains("at the end rmmod[12] was releasing devm_irq_release"),
        "{words}"
    );
    assert!(words.contains("may have nothing to do with it"), "{words}");
}

#[test]
fn without_a_log_the_end_is_no_death() {
    let crash = crash(&format!("{PROBE}{UNBIND}"));
    assert_eq!(crash.death, None);
    let words = words(&crash);
    assert!(
        words.contains("rmmod[12] was releasing devm_irq_release"),
        "{words}"
    );
    assert!(words.contains("how the machine died is unknown"), "{words}");
}

#[test]
fn without_functions_a_release_may_have_been_over() {
    let nodes: String = format!("{PROBE}{UNBIND}")
        .lines()
        .filter(|line| line.contains("devres_log:"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let crash = crash(&format!("{nodes}{PANIC}"));
    assert!(!crash.under_way[0].certain);
    let words = words(&crash);
    assert!(
        words.contains("whether it had ended is not recorded"),
        "{words}"
    );
}

#[test]
fn names_from_the_log_can_do_nothing() {
    let hostile = "[    2.1] Kernel panic - not syncing: \u{1b}[2J\u{202e}gone\n";
    let crash = crash(&format!(
        "{}{hostile}",
        PROBE.replace("acme.0", "a\u{1b}]0;x")
    ));
    let words = words(&crash);
    assert!(
        !words.chars().any(|one| one.is_control() && one != '\n'),
        "{words:?}"
    );
    assert!(!words.contains('\u{202e}'), "{words:?}");
}

/// Which rules find what on which device.
fn found(engine: Engine) -> Vec<(String, String)> {
    let findings = engine.finish().findings.into_iter();
    findings
        .map(|finding| (finding.rule.to_string(), finding.device))
        .collect()
}

/// Keeps what is under way of a recording, as `trace --pstore` does of the running kernel.
fn keep(path: &Path, messages: &mut Messages) -> Vec<(String, String)> {
    let mut recording = Recording::open(path).unwrap();
    let coverage = Arc::new(recording.information().coverage.clone());
    let mut engine = Engine::new(coverage, RuleSet::all());
    let read = recording.for_each(|event| {
        engine.apply(event);
        messages.event(event, engine.model());
        ControlFlow::Continue(())
    });
    read.unwrap();
    found(engine)
}

#[test]
fn what_a_tracer_has_kept_of_what_was_under_way_is_read_back() {
    // pvpanic on 6.1: bound, and unbound in the wrong order.
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pvpanic-6.1.dvrt");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pmsg0");
    let missing = Messages::at(&path);
    assert!(matches!(missing, Err(MessagesError::Missing(_))));
    fs::write(&path, "").unwrap();
    let mut messages = Messages::at(&path).unwrap();
    let expected = keep(&recording, &mut messages);
    let text = fs::read_to_string(&path).unwrap();
    assert!(tell_of_a_crash(text.as_bytes()));
    messages.finish().unwrap();
    assert!(!tell_of_a_crash(&fs::read(&path).unwrap()));

    let import = text::read(text.as_bytes()).unwrap();
    let mut engine = Engine::new(Arc::new(import.coverage().clone()), RuleSet::all());
    for event in import.events() {
        engine.apply(&event);
    }
    assert_eq!(found(engine), expected, "{text}");

    let release = text.rfind(" REL ").unwrap();
    let end = release + text[release..].find('\n').unwrap();
    let crash = crash(&text[..=end]);
    let [one] = crash.under_way.as_slice() else {
        panic!("{crash:?}\n{text}");
    };
    assert_eq!(one.device, "QEMU0001:00");
    assert!(one.certain && one.since_detach.is_some(), "{one:?}");
    let added = one.releasing.as_ref().map(|resource| &resource.added);
    assert!(added.is_some_and(|added| added.task.is_some()), "{one:?}");
}

#[test]
fn a_name_does_not_end_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pmsg0");
    fs::write(&path, "").unwrap();
    let mut messages = Messages::at(&path).unwrap();
    let event = Event {
        time: Time(1),
        task: Task::default(),
        cpu: 0,
        device: DeviceAddress(1),
        stack: None,
        kind: EventKind::Release(NodeReference {
            name: Some("x\ny\"".into()),
            ..NodeReference::default()
        }),
    };
    let engine = Engine::new(Arc::default(), RuleSet::all());
    messages.event(&event, engine.model());
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.matches('\n').count() == 1 && text.contains("x?y?"),
        "{text}"
    );
}
