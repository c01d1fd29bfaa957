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
