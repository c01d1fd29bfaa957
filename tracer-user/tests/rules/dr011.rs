//! DR011: resources of devices that were never bound.

use devres_tracer::{
    event::{Event, EventKind, Hook},
    finding::Severity,
};

use super::{
    BLOCK, DEVICE, OTHER, accused, add_action_on, begin, innocent, nothing, probe, silent,
    support::Story, unbind,
};

/// A device without a driver gets an action, is deleted, and its last reference is put that much later. The
/// action is released by `device_del`, by the last put, or not at all.
fn without_driver(by: Option<Hook>, microseconds: u64, data: u64) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "vgem");
    add_action_on(&mut story, DEVICE, 0x100, "drm_dev_put", data);
    let release = |story: &mut Story, here: bool| {
        if here {
            story
                .enter(DEVICE, Hook::ReleaseAll)
                .rel(DEVICE, 0x100, "drm_dev_put", 64)
                .returned(DEVICE, Hook::ReleaseAll, Some(1));
        }
    };
    story.enter(DEVICE, Hook::Delete);
    release(&mut story, by == Some(Hook::Delete));
    story.leave(DEVICE, Hook::Delete).wait(microseconds);
    if by.is_some() {
        story.enter(DEVICE, Hook::FinalPut);
        release(&mut story, by == Some(Hook::FinalPut));
        story.leave(DEVICE, Hook::FinalPut);
    } else {
        story.enter(OTHER, Hook::Initialise);
    }
    story
}

#[test]
fn a_deletion_whose_entry_was_missed_decides_nothing() {
    let mut story = without_driver(Some(Hook::Delete), 200_000, 0);
    let begins =
        |event: &Event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Delete);
    story.events.retain(|event| !begins(event));
    silent(&story, "DR011");
}

#[test]
fn what_an_unbound_device_owns_is_graded_by_its_end() {
    let fingerprint = "DR011/platform/?/drm_dev_put";
    for (story, severity) in [
        (
            without_driver(Some(Hook::Delete), 200_000, 0),
            Severity::Info,
        ),
        (
            without_driver(Some(Hook::FinalPut), 10_000, 0),
            Severity::Info,
        ),
        (
            without_driver(Some(Hook::FinalPut), 200_000, 0),
            Severity::Warn,
        ),
        (without_driver(None, 200_000, 0), Severity::Warn),
        (without_driver(None, 10_000, DEVICE.0), Severity::Info),
        // The action is called with the device itself.
        (without_driver(None, 200_000, DEVICE.0), Severity::Error),
    ] {
        let finding = accused(&story, "DR011", severity, fingerprint);
        // One device, one resource: what becomes of it is no other finding.
        assert_eq!(finding.count, 1);
    }
}

#[test]
fn many_unbound_devices_are_one_word_of_information() {
    let mut story = Story::new();
    for device in [DEVICE, OTHER] {
        begin(&mut story, device, "hwmon");
        for number in 1..50 {
            story.add(device, device.0 + number * 0x80, BLOCK, 8);
        }
    }
    let finding = accused(
        &story,
        "DR011",
        Severity::Info,
        "DR011/platform/?/devm_kzalloc_release",
    );
    assert_eq!(finding.device, "hwmon");
}

#[test]
fn a_device_that_is_probed_or_was_bound_is_not_unbound() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story.add(DEVICE, 0x100, BLOCK, 8);
    });
    story.add(DEVICE, 0x200, BLOCK, 8);
    innocent(&story, "DR011");
    unbind(&mut story, DEVICE, nothing, |story| {
        story
            .rel(DEVICE, 0x200, BLOCK, 8)
            .rel(DEVICE, 0x100, BLOCK, 8);
        2
    });
    story.add(DEVICE, 0x300, BLOCK, 8);
    innocent(&story, "DR011");
}
