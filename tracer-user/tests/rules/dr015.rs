//! DR015: resources freed out of order.

use devres_tracer::finding::Severity;

use super::{
    BLOCK, DEVICE, IRQ, accused, begin, innocent, probe, silent_after_loss,
    support::{Story, whole},
    unbind,
};

/// A bound device that has `older` and then `younger`, of which the older is given up.
fn given_up(older: &'static str, younger: &'static str) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story
            .pinctrl(DEVICE)
            .add(DEVICE, 0x100, older, 8)
            .add(DEVICE, 0x200, younger, 8);
    });
    story.rem(DEVICE, 0x100, older, 8);
    story
}

#[test]
fn an_older_resource_given_up_by_hand_is_graded_by_what_is_younger() {
    for (older, younger, severity) in [
        (BLOCK, BLOCK, Severity::Info),
        (BLOCK, IRQ, Severity::Info),
        (IRQ, IRQ, Severity::Info),
        ("devm_clk_release", BLOCK, Severity::Info),
        ("devm_clk_release", IRQ, Severity::Warn),
        ("devm_ioremap_release", IRQ, Severity::Warn),
        (
            "devm_regulator_release",
            "pm_runtime_disable_action",
            Severity::Warn,
        ),
    ] {
        let fingerprint = format!("DR015/platform/driver/{older}");
        accused(&given_up(older, younger), "DR015", severity, &fingerprint);
    }
    silent_after_loss(&given_up(BLOCK, BLOCK), 10, "DR015");
    innocent(&given_up("Devres<T>", IRQ), "DR015");
    innocent(&given_up("devm_pinctrl_release", IRQ), "DR015");
}

#[test]
fn the_newest_what_remove_gives_up_and_scratch_memory_are_innocent() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story
            .add(DEVICE, 0x100, BLOCK, 8)
            .add(DEVICE, 0x200, IRQ, 16)
            .rem(DEVICE, 0x100, BLOCK, 8);
    });
    story
        .add(DEVICE, 0x300, "devm_clk_release", 8)
        .rem(DEVICE, 0x300, "devm_clk_release", 8)
        .add(DEVICE, 0x300, "devm_clk_release", 8)
        .add(DEVICE, 0x400, IRQ, 16);
    // As nfit and cxl do: remove takes down by hand, in an order of its own.
    let remove = |story: &mut Story| {
        story
            .rem(DEVICE, 0x300, "devm_clk_release", 8)
            .rem(DEVICE, 0x200, IRQ, 16);
    };
    unbind(&mut story, DEVICE, remove, |story| {
        story.rel(DEVICE, 0x400, IRQ, 16);
        1
    });
    innocent(&story, "DR015");
}

#[test]
fn the_same_thing_many_times_is_one_finding_with_a_count() {
    let mut story = given_up(BLOCK, IRQ);
    for number in 1..=200 {
        story
            .add(DEVICE, 0x1000, BLOCK, 8)
            .add(DEVICE, 0x2000 + number * 0x100, IRQ, 16)
            .rem(DEVICE, 0x1000, BLOCK, 8);
    }
    let finding = accused(
        &story,
        "DR015",
        Severity::Info,
        "DR015/platform/driver/devm_kzalloc_release",
    );
    assert_eq!(finding.count, 201);
}

#[test]
fn a_repetition_on_a_device_of_which_something_was_missed_does_not_count() {
    let mut story = given_up(BLOCK, BLOCK);
    story
        .lose(1)
        .add(DEVICE, 0x1000, BLOCK, 8)
        .add(DEVICE, 0x2000, BLOCK, 8)
        .rem(DEVICE, 0x1000, BLOCK, 8);
    let outcome = story.judge_by("DR015", whole());
    assert_eq!(outcome.findings.len(), 1);
    assert_eq!(outcome.findings[0].count, 1);
    assert_eq!(outcome.undecided.len(), 1);
}
