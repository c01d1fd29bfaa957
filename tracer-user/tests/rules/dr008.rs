//! DR008: additions while resources are released.

use devres_tracer::{event::Hook, finding::Severity};

use super::{
    BLOCK, DEVICE, IRQ, accused, begin, innocent, nothing, probe, silent_after_loss,
    support::Story, unbind,
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
fn an_addition_that_is_the_last_call_of_its_release_is_that_releases() {
    let story = released(|story| {
        let stack = [
            "add_dr",
            "devm_kmalloc",
            "release_nodes",
            "devres_release_all",
        ];
        story.stack(&stack).add(DEVICE, 0x200, BLOCK, 8);
    });
    let finding = accused(
        &story,
        "DR008",
        Severity::Error,
        "DR008/platform/driver/devm_kzalloc_release/devm_irq_release",
    );
    assert_eq!(finding.resources[0].added.by, None);
    let adds = "the release of devm_irq_release adds devm_kzalloc_release";
    assert_eq!(finding.order[1].what, adds);
    // What has a frame is named by that.
    let story = released(|story| {
        let stack = ["devm_kmalloc", "note@driver", "release_nodes"];
        story.stack(&stack).add(DEVICE, 0x200, BLOCK, 8);
    });
    accused(
        &story,
        "DR008",
        Severity::Error,
        "DR008/platform/driver/devm_kzalloc_release/note",
    );
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
