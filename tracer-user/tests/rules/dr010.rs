//! DR010: additions in remove.

use devres_tracer::{
    event::{EventKind, Hook},
    finding::Severity,
};

use super::{
    BLOCK, DEVICE, IRQ, accused, begin, innocent, no_release, nothing, probe, silent_after_loss,
    support::{Story, whole, without},
    unbind,
};

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
