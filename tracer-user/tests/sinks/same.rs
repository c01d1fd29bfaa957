//! Everything that is written is the same in every run: nothing depends on the order of hash tables.

use std::process::Command;

use devres_tracer::{
    event::Hook,
    evidence::{CommandEnd, SourceInformation},
};

use crate::{
    forms::{FORMS, Material},
    support::{Dev, NO_DOMAIN, Story, added, whole},
};

const DEVICES: u64 = 24;

/// Much at the same time: devices, threads that share a number, groups, deletions, and all of it still going on when
/// the trace ends.
fn material() -> Material {
    let mut story = Story::new();
    let device = |number: u64| Dev(0xff11_0000_0500_0000 + number * 0x1000);
    for number in 0..DEVICES {
        let dev = device(number);
        let name = format!("dev{number}");
        let driver = format!("driver{}", number % 5);
        story
            .task("probe", 7)
            .enter(dev, Hook::Initialise)
            .named(dev, &name, "platform", &driver)
            .add(dev, dev.0 + 0x10, "devm_kzalloc_release", 8)
            .enter(dev, Hook::Probe)
            .attach(dev)
            .stack(&["devm_clk_get", &format!("probe{number}"), "really_probe"])
            .add(dev, dev.0 + 0x20, "devm_clk_release", 8)
            .open_group(dev, 0x10, dev.0 + 0x100)
            .add(dev, dev.0 + 0x30, "devm_irq_release", 8);
        if number % 3 != 0 {
            story.bound(dev);
        }
        if number % 3 == 1 {
            story.enter(dev, Hook::Unbind).enter(dev, Hook::Remove);
            story.detach(dev).release_group(dev, 0);
        }
        let leftover = Dev(dev.0 + 0x800);
        story
            .enter(leftover, Hook::Initialise)
            .named(leftover, &format!("left{number}"), "faux", "")
            .add(leftover, leftover.0 + 0x10, "devm_kzalloc_release", 8)
            .enter(leftover, Hook::Delete)
            .add(leftover, leftover.0 + 0x20, "late", 8);
        let snapped = Dev(dev.0 + 0x400);
        story.snapshot(snapped, "driver", &[added(snapped.0 + 8, "old", 8)]);
        story.pm(dev, Hook::PmAttach, NO_DOMAIN);
    }
    // All at once, and each function on a thread of its own with a number that others have as well.
    for (event, number) in story.events.iter_mut().zip(0_u32..) {
        event.time.0 = 1_000_000_000 + u64::from(number / 400);
        event.task.tid = 7 + number / 600 % 2;
        event.task.tgid = number / 7;
    }
    for number in 0..DEVICES {
        story.task("late", 99).enter(device(number), Hook::Remove);
        if let Some(event) = story.events.last_mut() {
            event.task.tgid = 100 + u32::try_from(number).unwrap();
        }
    }
    let mut coverage = whole();
    coverage.before = devres_tracer::evidence::Before::Snapshot;
    Material {
        name: "same".to_owned(),
        information: SourceInformation {
            tool: "1".to_owned(),
            kernel: Some("6.1".to_owned()),
            machine: None,
            coverage,
            filters: Vec::new(),
        },
        events: story.events,
        command: CommandEnd {
            command: "true".to_owned(),
            code: 1,
            signal: None,
        },
    }
}

#[test]
fn every_form_is_the_same_in_every_run() {
    let material = material();
    for form in &FORMS {
        let first = (form.write)(&material);
        for _ in 0..5 {
            let again = (form.write)(&material);
            assert!(
                first == again,
                "{} differs:\n{}",
                form.name,
                difference(&first, &again)
            );
        }
    }
}

/// The first lines that are not the same.
fn difference(one: &[u8], other: &[u8]) -> String {
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    let mut pairs = one.lines().zip(other.lines());
    let pair = pairs.find(|(one, other)| one != other);
    pair.map_or_else(
        || "one is longer".to_owned(),
        |(one, other)| format!("{one}\n{other}"),
    )
}

/// Without it, the test above could not fail.
#[test]
fn hash_tables_have_another_order_each_time() {
    let order = || {
        let table: hashbrown::HashSet<u64> = (0..100).collect();
        table.into_iter().collect::<Vec<_>>()
    };
    let first = order();
    assert!((0..20).any(|_| order() != first));
}

#[test]
fn an_export_is_the_same_in_every_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("same.jsonl");
    let json = FORMS.iter().find(|form| form.name == "json").unwrap();
    std::fs::write(&path, (json.write)(&material())).unwrap();
    for arguments in [
        &["export", "--format", "chrome"][..],
        &["export", "--format", "json"],
        &["export", "--format", "perfetto"],
        &["report", "--mail"],
        &["report", "--resource", "*"],
        &["report", "--json"],
        &["import"],
    ] {
        let run = || {
            let output = Command::new(env!("CARGO_BIN_EXE_devres-tracer"))
                .args(arguments)
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.stdout.len() > 1000, "{arguments:?}: {output:?}");
            output.stdout
        };
        let first = run();
        for _ in 0..4 {
            assert!(first == run(), "{arguments:?}");
        }
    }
}
