//! DR008 to DR010 and DR017: resources that are added too late, or too many.

use devres_tracer::{
    event::{EventKind, Hook},
    finding::Severity,
};

use super::support::{Story, whole, without};
use super::{
    BLOCK, DEVICE, IRQ, accused, begin, delete, found, innocent, no_release, nothing, outcome,
    probe, silent_after_loss, unbind,
};

/// A device whose interrupt's release does this at unbind.
fn released(during: impl Fn(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story.add(DEVICE, 0x100, IRQ, 16);
    });
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x100, IRQ, 16);
        during(story);
        1
    });
    story
}

#[test]
fn what_a_release_adds_stays_behind() {
    let story = released(|story| {
        story.add(DEVICE, 0x200, BLOCK, 8);
    });
    accused(
        &story,
        "DR008",
        Severity::Error,
        "DR008/platform/driver/devm_kzalloc_release",
    );
    silent_after_loss(&story, 9, "DR008");
    innocent(&released(nothing), "DR008");
    let removed = released(|story| {
        story
            .add(DEVICE, 0x200, BLOCK, 8)
            .rem(DEVICE, 0x200, BLOCK, 8);
    });
    innocent(&removed, "DR008");
    // Another task adds at the same time.
    let other_task = released(|story| {
        story
            .task("worker", 9)
            .add(DEVICE, 0x200, BLOCK, 8)
            .task("init", 1);
    });
    innocent(&other_task, "DR008");
}

#[test]
fn what_is_left_on_a_device_that_is_going_is_a_warning() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .add(DEVICE, 0x100, IRQ, 16)
        .enter(DEVICE, Hook::Delete)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x100, IRQ, 16)
        .add(DEVICE, 0x200, BLOCK, 8)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Delete);
    accused(
        &story,
        "DR008",
        Severity::Warn,
        "DR008/platform/?/devm_kzalloc_release",
    );
}

/// A device that was bound, has been unbound, and gets a resource.
fn added_after_unbind(after: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    unbind(&mut story, DEVICE, nothing, no_release);
    story.add(DEVICE, 0x100, BLOCK, 8);
    after(&mut story);
    story
}

#[test]
fn what_is_added_after_unbind_is_in_the_way_of_the_next_probe() {
    let fingerprint = "DR009/platform/driver/devm_kzalloc_release";
    let probed = added_after_unbind(|story| {
        story
            .enter(DEVICE, Hook::Probe)
            .returned(DEVICE, Hook::Probe, Some(-16));
    });
    accused(&probed, "DR009", Severity::Error, fingerprint);
    let deleted = added_after_unbind(|story| {
        story
            .enter(DEVICE, Hook::Delete)
            .enter(DEVICE, Hook::ReleaseAll)
            .rel(DEVICE, 0x100, BLOCK, 8)
            .returned(DEVICE, Hook::ReleaseAll, Some(1))
            .leave(DEVICE, Hook::Delete);
    });
    accused(&deleted, "DR009", Severity::Warn, fingerprint);
    accused(
        &added_after_unbind(nothing),
        "DR009",
        Severity::Warn,
        fingerprint,
    );
    silent_after_loss(&added_after_unbind(nothing), 7, "DR009");
    let taken_off = added_after_unbind(|story| {
        story.rem(DEVICE, 0x100, BLOCK, 8);
    });
    innocent(&taken_off, "DR009");
}

#[test]
fn what_is_added_to_a_deleted_device_and_never_released_is_leaked() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .enter(DEVICE, Hook::FinalPut)
        .release_nothing(DEVICE)
        .add(DEVICE, 0x100, BLOCK, 8)
        .leave(DEVICE, Hook::FinalPut);
    // The state at that time is dead, not deleted: nothing is added to such a device by rights at all.
    assert_eq!(found(&story, "DR009"), []);
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .enter(DEVICE, Hook::Delete)
        .release_nothing(DEVICE)
        .leave(DEVICE, Hook::Delete)
        .add(DEVICE, 0x100, BLOCK, 8)
        .enter(DEVICE, Hook::FinalPut)
        .leave(DEVICE, Hook::FinalPut);
    accused(
        &story,
        "DR009",
        Severity::Error,
        "DR009/platform/?/devm_kzalloc_release",
    );
}

#[test]
fn resources_of_a_bound_or_never_bound_device_are_no_late_ones() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.add(DEVICE, 0x100, BLOCK, 8);
    innocent(&story, "DR009");
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    // As snd_hda_intel does, whose probe goes on in a work item.
    probe(&mut story, DEVICE, "driver", nothing);
    story
        .task("kworker/1:0", 44)
        .add(DEVICE, 0x100, BLOCK, 8)
        .task("init", 1);
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x100, BLOCK, 8);
        1
    });
    delete(&mut story, DEVICE);
    for rule in ["DR008", "DR009", "DR010", "DR011", "DR012", "DR017"] {
        innocent(&story, rule);
    }
}

/// A device whose remove adds something, which the unbind releases or not.
fn added_in_remove(task: u32, removed: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    let remove = |story: &mut Story| {
        story.task("task", task).add(DEVICE, 0x100, BLOCK, 8);
        if removed {
            story.rem(DEVICE, 0x100, BLOCK, 8);
        }
        story.task("init", 1);
    };
    unbind(&mut story, DEVICE, remove, |story| {
        if !removed {
            story.rel(DEVICE, 0x100, BLOCK, 8);
        }
        i64::from(!removed)
    });
    story
}

#[test]
fn what_remove_adds_and_leaves_is_reported() {
    let story = added_in_remove(1, false);
    accused(
        &story,
        "DR010",
        Severity::Warn,
        "DR010/platform/driver/devm_kzalloc_release",
    );
    silent_after_loss(&story, 8, "DR010");
    innocent(&added_in_remove(1, true), "DR010");
    innocent(&added_in_remove(7, false), "DR010");
    // Before 5.18 the resume that comes with an unbind can't be told from remove.
    let mut old = story;
    old.events.retain(|event| match &event.kind {
        EventKind::Enter(call) => call.hook != Hook::Remove,
        EventKind::Leave(returned) => returned.hook != Hook::Remove,
        _ => true,
    });
    let outcome = old.judge_by("DR010", without(whole(), &[Hook::Remove]));
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided.len(), 1);
}

/// A bound device to which the same place adds `count` actions, this many microseconds apart; of each that is
/// added, `keep` says whether it stays.
fn growing(count: u64, apart: u64, keep: impl Fn(u64) -> bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "dwc2", nothing);
    for number in 1..=count {
        let node = 0x1000 + number * 0x100;
        story.wait(apart).add(DEVICE, node, "hw_disable", 16);
        if !keep(number) {
            story.rem(DEVICE, node, "hw_disable", 16);
        }
    }
    story
}

#[test]
fn what_only_grows_while_a_driver_is_bound_is_reported() {
    let fingerprint = "DR017/platform/dwc2/hw_disable";
    accused(
        &growing(48, 100_000, |_| true),
        "DR017",
        Severity::Warn,
        fingerprint,
    );
    // One operation that needs many looks the same, only quicker.
    accused(
        &growing(48, 10, |_| true),
        "DR017",
        Severity::Info,
        fingerprint,
    );
    silent_after_loss(&growing(48, 100_000, |_| true), 20, "DR017");
    innocent(&growing(47, 100_000, |_| true), "DR017");
    innocent(&growing(500, 100_000, |_| false), "DR017");
    innocent(&growing(500, 100_000, |number| number % 20 == 0), "DR017");
}

#[test]
fn what_falls_again_and_what_a_probe_adds_is_no_growth() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        for number in 1..=100 {
            story.add(DEVICE, number * 0x100, BLOCK, 8);
        }
    });
    // Forty each time that the device is opened, all given up when it is closed.
    for _ in 0..20 {
        story.wait(500_000);
        for number in 101..=140 {
            story.add(DEVICE, number * 0x100, BLOCK, 8);
        }
        for number in (101..=140).rev() {
            story.rem(DEVICE, number * 0x100, BLOCK, 8);
        }
    }
    innocent(&story, "DR017");
    assert_eq!(outcome(&story, "DR017").events, story.events.len() as u64);
}

/// An I2C device, whose bus opens a group before the driver's probe and releases it when the driver's remove has
/// returned, or whose driver does, in its remove.
fn removed_by_group(bus: &str, opener: &'static str, stacks: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "0-0048");
    story
        .named(DEVICE, "0-0048", bus, "lm75")
        .enter(DEVICE, Hook::Probe);
    if stacks {
        story.stack(&["add_dr", "devres_open_group", opener, "really_probe"]);
    }
    story
        .open_group(DEVICE, 0, 0x100)
        .add(DEVICE, 0x200, IRQ, 16)
        .enter(DEVICE, Hook::Bound)
        .returned(DEVICE, Hook::Probe, Some(0));
    let remove = |story: &mut Story| {
        story
            .add(DEVICE, 0x300, BLOCK, 8)
            .release_group(DEVICE, 0x100)
            .rel(DEVICE, 0x100, "grp<", 0)
            .rel(DEVICE, 0x300, BLOCK, 8)
            .rel(DEVICE, 0x200, IRQ, 16)
            .returned(DEVICE, Hook::ReleaseGroup, Some(2));
    };
    unbind(&mut story, DEVICE, remove, no_release);
    story
}

#[test]
fn what_remove_adds_and_leaves_to_its_bus_is_reported_too() {
    let story = removed_by_group("i2c", "i2c_device_probe", true);
    let fingerprint = "DR010/i2c/lm75/devm_kzalloc_release";
    accused(&story, "DR010", Severity::Warn, fingerprint);
    silent_after_loss(&story, 12, "DR010");
    let unstacked = removed_by_group("i2c", "i2c_device_probe", false);
    accused(&unstacked, "DR010", Severity::Warn, fingerprint);
    // The driver's own group, which its own remove releases.
    innocent(&removed_by_group("i2c", "lm75_probe@lm75", true), "DR010");
    innocent(&removed_by_group("platform", "", false), "DR010");
}

/// A device that was unbound, and to which two functions of its driver add memory.
fn added_after_unbind_by(callers: &[&'static str]) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    unbind(&mut story, DEVICE, nothing, no_release);
    for (caller, node) in callers.iter().zip(1..) {
        story
            .stack(&["devm_kmalloc", "devm_kasprintf", caller, "process_one_work"])
            .add(DEVICE, node * 0x100, BLOCK, 8);
    }
    story
}

#[test]
fn resources_that_different_functions_ask_for_are_different_findings() {
    let fingerprint = |caller: &str| {
        let name = format!("DR009/platform/driver/devm_kzalloc_release/{caller}");
        (Severity::Warn, name)
    };
    // What a compiler appends to a name differs from one kernel to the next.
    assert_eq!(
        found(
            &added_after_unbind_by(&["work@driver", "open.isra.0@driver"]),
            "DR009"
        ),
        [fingerprint("work"), fingerprint("open")]
    );
    // The same twice, and after the module was loaded anew.
    let twice = added_after_unbind_by(&["work@driver", "work@driver"]);
    let finding = accused(&twice, "DR009", Severity::Warn, &fingerprint("work").1);
    assert_eq!(finding.count, 2);
}

#[test]
fn a_function_that_has_no_name_tells_nothing_apart() {
    let finding = accused(
        &added_after_unbind_by(&["do_one_initcall"]),
        "DR009",
        Severity::Warn,
        "DR009/platform/driver/devm_kzalloc_release",
    );
    assert_eq!(finding.resources.len(), 1);
}

/// A bound driver that again and again adds a block, lets it grow, and frees it or not.
fn reallocating(count: u64, freed: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", nothing);
    for number in 1..=count {
        let node = 0x0010_0000 + number * 0x1000;
        story
            .wait(100_000)
            .add(DEVICE, node, BLOCK, 40)
            .krealloc(DEVICE, node, node + 0x800);
        if freed {
            story.rem(DEVICE, node + 0x800, "devm_krealloc_release", 4000);
        }
    }
    story
}

#[test]
fn a_block_that_grew_counts_until_it_is_freed() {
    innocent(&reallocating(200, true), "DR017");
    accused(
        &reallocating(48, false),
        "DR017",
        Severity::Warn,
        "DR017/platform/driver/devm_krealloc_release",
    );
    innocent(&reallocating(47, false), "DR017");
}

#[test]
fn growth_that_goes_on_is_one_finding_that_tells_the_present_number() {
    let story = growing(160, 100_000, |_| true);
    let finding = accused(
        &story,
        "DR017",
        Severity::Warn,
        "DR017/platform/dwc2/hw_disable",
    );
    assert_eq!(finding.count, 1);
    assert!(
        finding.summary.contains("160 live allocations"),
        "{}",
        finding.summary
    );
}
