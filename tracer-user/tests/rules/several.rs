//! Several rules at once: what none of them accuses.

use super::{
    BLOCK, DEVICE, begin, delete, found, innocent, nothing, probe, support::Story, unbind,
};

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

#[test]
fn drm_objects_and_rust_are_ordinary() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "nova", |story| {
        story
            .add(DEVICE, 0x100, "devm_drm_dev_init_release", 64)
            .add(DEVICE, 0x200, "Devres<T>", 0)
            .add(DEVICE, 0x300, "Devres<T>", 0);
    });
    story.rem(DEVICE, 0x200, "Devres<T>", 0);
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x300, "Devres<T>", 0).rel(
            DEVICE,
            0x100,
            "devm_drm_dev_init_release",
            64,
        );
        2
    });
    delete(&mut story, DEVICE);
    for rule in [
        "DR005", "DR008", "DR011", "DR012", "DR013", "DR015", "DR016",
    ] {
        assert_eq!(found(&story, rule), [], "{rule}");
    }
}
