//! DR007: resources before a probe.

use devres_tracer::{event::Hook, finding::Severity};

use super::{
    BLOCK, DEVICE, OTHER, accused, begin, innocent, silent, silent_after_loss, support::Story,
};

/// A probe of a device with a resource, or without, that returns this.
fn probe_with(resource: bool, value: i64) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    if resource {
        story.add(DEVICE, 0x100, BLOCK, 8);
    }
    story
        .named(DEVICE, "dev0", "spi", "driver")
        .enter(DEVICE, Hook::Probe);
    if value == 0 {
        story.enter(DEVICE, Hook::Bound);
    }
    story.returned(DEVICE, Hook::Probe, Some(value));
    story
}

#[test]
fn a_probe_that_is_refused_because_of_resources_is_an_error() {
    let finding = accused(
        &probe_with(true, -16),
        "DR007",
        Severity::Error,
        "DR007/spi/driver/devm_kzalloc_release",
    );
    assert_eq!(finding.resources.len(), 1);
    // Refused for another reason, and by the driver itself.
    innocent(&probe_with(true, -517), "DR007");
    innocent(&probe_with(true, 16), "DR007");
    // Refused, and for what is not known.
    silent(&probe_with(false, -16), "DR007");
    let mut failed = Story::new();
    begin(&mut failed, DEVICE, "dev0");
    failed
        .named(DEVICE, "dev0", "spi", "driver")
        .enter(DEVICE, Hook::Probe)
        .enter(DEVICE, Hook::Cleanup)
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(-16));
    innocent(&failed, "DR007");
    silent_after_loss(&probe_with(true, -16), 3, "DR007");
}

#[test]
fn whoever_added_what_a_probe_is_refused_for_is_named() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "spi0.0");
    begin(&mut story, OTHER, "controller");
    story
        .named(OTHER, "controller", "platform", "tegra-spi")
        .enter(OTHER, Hook::Probe)
        .stack(&["devm_kmalloc", "tegra_setup@spi_tegra", "spi_setup"])
        .add(DEVICE, 0x100, BLOCK, 8)
        .bound(OTHER)
        .named(DEVICE, "spi0.0", "spi", "driver")
        .enter(DEVICE, Hook::Probe)
        .returned(DEVICE, Hook::Probe, Some(-16));
    let finding = accused(
        &story,
        "DR007",
        Severity::Error,
        "DR007/spi/driver/devm_kzalloc_release/tegra_setup",
    );
    let cause = finding.caused_by.expect("there is a culprit");
    assert_eq!(
        (&*cause.device, cause.driver.as_deref(), cause.frame),
        ("controller", Some("tegra-spi"), "probe")
    );
}
