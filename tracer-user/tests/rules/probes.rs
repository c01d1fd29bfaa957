//! DR002, DR007 and DR018: probes that fail.

use devres_tracer::{
    event::{EventKind, Hook, PmDomain, Return},
    finding::Severity,
};

use super::support::{DOMAIN, NO_DOMAIN, Story};
use super::{BLOCK, DEVICE, OTHER, accused, begin, found, innocent, silent_after_loss};

/// A probe that attaches a PM domain and returns `value`, with this domain then.
fn failed_probe(value: i64, after: PmDomain) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "rpmsg", "driver")
        .enter(DEVICE, Hook::Probe)
        .attach(DEVICE);
    if !after.detaches() {
        story.detach(DEVICE);
    }
    if value == 0 {
        story.enter(DEVICE, Hook::Bound);
    }
    let returned = Return {
        hook: Hook::Probe,
        value: Some(value),
        pm: Some(after),
        node: None,
    };
    story.push(DEVICE, EventKind::Leave(returned));
    story
}

#[test]
fn a_failed_probe_that_leaves_its_domain_attached_leaks_it() {
    for value in [5, -5, 517] {
        accused(
            &failed_probe(value, DOMAIN),
            "DR002",
            Severity::Warn,
            "DR002/rpmsg/driver",
        );
    }
    innocent(&failed_probe(5, NO_DOMAIN), "DR002");
    innocent(&failed_probe(0, DOMAIN), "DR002");
    let no_callback = PmDomain {
        domain: DOMAIN.domain,
        detach: 0,
    };
    innocent(&failed_probe(5, no_callback), "DR002");
    silent_after_loss(&failed_probe(5, DOMAIN), 5, "DR002");
}

#[test]
fn a_domain_that_was_there_before_the_probe_is_not_its_leak() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.attach(DEVICE).enter(DEVICE, Hook::Probe);
    let returned = Return {
        hook: Hook::Probe,
        value: Some(5),
        pm: Some(DOMAIN),
        node: None,
    };
    story.push(DEVICE, EventKind::Leave(returned));
    innocent(&story, "DR002");
}

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
    innocent(&probe_with(false, -16), "DR007");
    // Without the resource's addition nothing was there as far as is known; with a loss after it, it is said.
    silent_after_loss(&probe_with(true, -16), 3, "DR007");
}

/// Probes that return these, one after the other.
fn probes(values: &[i64]) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.named(DEVICE, "dev0", "platform", "driver");
    for value in values {
        story
            .enter(DEVICE, Hook::Probe)
            .add(DEVICE, 0x100, BLOCK, 16)
            .enter(DEVICE, Hook::Cleanup)
            .enter(DEVICE, Hook::ReleaseAll)
            .rel(DEVICE, 0x100, BLOCK, 16)
            .returned(DEVICE, Hook::ReleaseAll, Some(1))
            .leave(DEVICE, Hook::Cleanup)
            .returned(DEVICE, Hook::Probe, Some(*value));
    }
    story
}

#[test]
fn deferrals_in_a_row_are_counted() {
    let fingerprint = "DR018/platform/driver";
    accused(&probes(&[517; 3]), "DR018", Severity::Info, fingerprint);
    let finding = accused(&probes(&[-517; 12]), "DR018", Severity::Warn, fingerprint);
    assert_eq!(finding.count, 1);
    assert_eq!(
        finding.summary,
        "The probe of dev0 was deferred 12 times in a row."
    );
    assert!(
        finding.meaning.contains("12 resources"),
        "{}",
        finding.meaning
    );
    // A supplier was missing before the driver was asked.
    let mut unasked = probes(&[-517; 3]);
    unasked
        .events
        .retain(|event| !matches!(event.kind, EventKind::Add(_) | EventKind::Release(_)));
    let finding = accused(
        &without_releases(unasked),
        "DR018",
        Severity::Info,
        fingerprint,
    );
    assert!(
        finding.meaning.starts_with("None of them acquired"),
        "{}",
        finding.meaning
    );
    innocent(&probes(&[517; 2]), "DR018");
    innocent(&probes(&[517, 517, 5, 517, 517]), "DR018");
    innocent(&probes(&[5; 12]), "DR018");
}

#[test]
fn deferrals_before_a_loss_do_not_count() {
    let mut story = probes(&[517; 2]);
    story.lose(1);
    story.events.extend(probes(&[517; 2]).events);
    assert_eq!(found(&story, "DR018"), []);
}

/// The story with releases that have nothing to release.
fn without_releases(mut story: Story) -> Story {
    for event in &mut story.events {
        if let EventKind::Leave(returned) = &mut event.kind
            && returned.hook == Hook::ReleaseAll
        {
            returned.value = Some(0);
        }
    }
    story
}

#[test]
fn devices_of_one_driver_that_are_deferred_are_named_in_one_finding() {
    let mut story = Story::new();
    for (device, name, count) in [(DEVICE, "panel0", 4), (OTHER, "panel1", 10)] {
        begin(&mut story, device, name);
        story.named(device, name, "platform", "driver");
        for _ in 0..count {
            story
                .enter(device, Hook::Probe)
                .returned(device, Hook::Probe, Some(-517));
        }
    }
    let finding = accused(&story, "DR018", Severity::Warn, "DR018/platform/driver");
    assert_eq!(finding.count, 2);
    assert!(
        finding
            .summary
            .ends_with("panel0 4 times, panel1 10 times."),
        "{}",
        finding.summary
    );
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
        .enter(OTHER, Hook::Bound)
        .returned(OTHER, Hook::Probe, Some(0))
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
