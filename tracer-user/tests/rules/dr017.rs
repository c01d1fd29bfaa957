//! DR017: growth while a driver is bound.

use devres_tracer::finding::Severity;

use super::{
    BLOCK, DEVICE, accused, begin, innocent, nothing, outcome, probe, silent_after_loss,
    support::Story,
};

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
