//! DR018: probes that are deferred again and again.

use devres_tracer::{
    event::{EventKind, Hook},
    finding::Severity,
};

use super::{BLOCK, DEVICE, OTHER, accused, begin, found, innocent, support::Story};

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
