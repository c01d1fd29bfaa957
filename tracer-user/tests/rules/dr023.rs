//! DR023: managed clocks and regulators that are still enabled when they are put, as the kernel's counts say.

use devres_tracer::{
    event::{CallDetail, Hook, Text},
    finding::Severity,
};

use super::{
    BLOCK, DEVICE, OTHER, accused, begin, innocent, nothing, probe, silent_after_loss,
    support::{Dev, Story},
    unbind,
};

const CLOCK: &str = "devm_clk_release";
const FINGERPRINT: &str = "DR023/platform/driver/apb";

fn call(story: &mut Story, device: Dev, hook: Hook, name: &str) {
    story.call(device, hook, CallDetail::Supply(Text::from(name)));
}

/// A device that is bound with a clock and unbound; `in_probe` and `in_remove` happen there, `put` behind each release.
fn bound(
    in_probe: impl Fn(&mut Story),
    in_remove: impl Fn(&mut Story),
    put: impl Fn(&mut Story, &str),
) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story.add(DEVICE, 0x100, CLOCK, 16);
        story.add(DEVICE, 0x200, BLOCK, 64);
        in_probe(story);
    });
    unbind(&mut story, DEVICE, in_remove, |story| {
        for (node, name, size) in [(0x200, BLOCK, 64), (0x100, CLOCK, 16)] {
            story.rel(DEVICE, node, name, size);
            put(story, name);
        }
        2
    });
    story
}

/// The clock is put while it is on.
fn put(story: &mut Story, released: &str) {
    if released == CLOCK {
        call(story, DEVICE, Hook::ClkPut, "apb");
    }
}

#[test]
fn a_clock_that_its_release_puts_while_it_is_on_is_reported_with_when_it_went_on() {
    let on = |story: &mut Story| {
        story.stack(&["clk_core_enable", "clk_enable", "acme_probe@acme"]);
        call(story, DEVICE, Hook::ClkEnable, "apb");
    };
    let story = bound(on, nothing, put);
    let finding = accused(&story, "DR023", Severity::Warn, FINGERPRINT);
    assert_eq!(
        finding.summary,
        "A clock was still enabled when the release devm_clk_release put it, during an unbind."
    );
    let order: Vec<&str> = finding.order.iter().map(|step| &*step.what).collect();
    assert_eq!(
        order,
        [
            "clock apb goes on, by acme_probe [acme]",
            "remove is over, and the clock is still on",
            "the release devm_clk_release puts the clock apb, and it is still enabled, during an unbind",
        ]
    );
    assert_eq!(finding.resources.len(), 1);
    silent_after_loss(&story, 5, "DR023");
    // That it went on says nothing: only what the kernel counts at the put does.
    innocent(&bound(on, nothing, |_, _| ()), "DR023");
    // It went off and on again: when it first went on is of no interest. Another clock is none of its.
    let off_and_on = |story: &mut Story| {
        call(story, DEVICE, Hook::ClkEnable, "other");
        call(story, DEVICE, Hook::ClkEnable, "apb");
        call(story, DEVICE, Hook::ClkDisable, "apb");
    };
    let finding = accused(
        &bound(off_and_on, nothing, put),
        "DR023",
        Severity::Warn,
        FINGERPRINT,
    );
    assert_eq!(finding.order.len(), 2);
}

#[test]
fn a_probe_that_fails_is_called_so_and_a_regulator_too() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .named(DEVICE, "dev0", "platform", "driver")
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, 0x100, "devm_regulator_release", 8)
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x100, "devm_regulator_release", 8);
    call(&mut story, DEVICE, Hook::RegulatorPut, "dev0-vdd");
    story
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(-5));
    let finding = accused(
        &story,
        "DR023",
        Severity::Warn,
        "DR023/platform/driver/dev0-vdd",
    );
    assert_eq!(
        finding.summary,
        "A regulator was still enabled when the release devm_regulator_release put it, after a failed probe."
    );
}

#[test]
fn what_is_put_by_hand_or_for_another_device_accuses_nobody_here() {
    // Unmanaged, in remove.
    let by_hand = |story: &mut Story| call(story, DEVICE, Hook::ClkPut, "apb");
    innocent(&bound(nothing, by_hand, |_, _| ()), "DR023");
    // Another device's driver puts what it has by hand, in an unbind that this one's release brings along.
    let nested = |story: &mut Story, released: &str| {
        if released == CLOCK {
            unbind(
                story,
                OTHER,
                |story| call(story, OTHER, Hook::ClkPut, "apb"),
                |_| 0,
            );
        }
    };
    let mut story = Story::new();
    begin(&mut story, OTHER, "dev1");
    probe(&mut story, OTHER, "other", nothing);
    story.events.extend(bound(nothing, nothing, nested).events);
    innocent(&story, "DR023");
}
