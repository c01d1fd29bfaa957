//! DR015, DR016 and DR019: single resources given up by hand, in vain, or slowly.

use devres_tracer::{
    event::{EventKind, Hook, Message},
    finding::Severity,
};

use super::support::{Story, whole};
use super::{
    BLOCK, DEVICE, IRQ, OTHER, accused, begin, found, innocent, nothing, outcome, probe,
    silent_after_loss, unbind,
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

/// A driver that gives something up, and this is what it gets.
fn destroyed(value: i64, caller: &'static str, during_release: bool) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        story.add(DEVICE, 0x100, IRQ, 16);
    });
    let destroy = |story: &mut Story| {
        story
            .stack(&["devres_destroy", caller, "driver_exit@driver"])
            .enter(DEVICE, Hook::Destroy)
            .returned(DEVICE, Hook::Destroy, Some(value));
    };
    if !during_release {
        destroy(&mut story);
    }
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x100, IRQ, 16);
        if during_release {
            destroy(story);
        }
        1
    });
    story
}

#[test]
fn giving_up_what_is_not_there_is_reported_with_its_caller() {
    let finding = accused(
        &destroyed(-2, "devm_usb_put_phy", false),
        "DR016",
        Severity::Warn,
        "DR016/platform/driver/devm_usb_put_phy",
    );
    assert_eq!(finding.caused_by.expect("there is a stack").stack.len(), 3);
    innocent(&destroyed(0, "devm_free_irq", false), "DR016");
    innocent(&destroyed(-2, "devm_gpiod_unhinge", false), "DR016");
    innocent(&destroyed(-2, "pcim_release_region.part.0", false), "DR016");
    // The list has been taken already: whatever a release looks for, it can't be found.
    innocent(&destroyed(-2, "regmap_exit", true), "DR016");
}

#[test]
fn what_is_dropped_and_never_freed_is_reported() {
    accused(
        &destroyed(0, "devm_phy_put.isra.0", false),
        "DR016",
        Severity::Warn,
        "DR016/platform/driver/devm_phy_put",
    );
}

#[test]
fn where_a_release_may_run_unseen_or_no_stack_was_taken_nobody_is_accused() {
    let story = destroyed(-2, "regmap_exit", false);
    silent_after_loss(&story, 4, "DR016");
    let mut stackless = Story::new();
    stackless.events = story.events;
    for event in &mut stackless.events {
        event.stack = None;
    }
    let outcome = outcome(&stackless, "DR016");
    assert_eq!(outcome.findings, []);
    assert_eq!(outcome.undecided.len(), 1, "{:?}", outcome.undecided);
}

/// An unbind in which the release of an action takes so long, in milliseconds, and another device's release
/// inside of it so long of that.
fn slow(milliseconds: u64, nested: u64) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    begin(&mut story, OTHER, "dev1");
    probe(&mut story, OTHER, "other", |story| {
        story.add(OTHER, 0x900, "stop_other", 16);
    });
    probe(&mut story, DEVICE, "driver", |story| {
        story
            .add(DEVICE, 0x100, BLOCK, 8)
            .add(DEVICE, 0x200, "stop", 16);
    });
    unbind(&mut story, DEVICE, nothing, |story| {
        story
            .rel(DEVICE, 0x200, "stop", 16)
            .wait((milliseconds - nested) * 1000);
        if nested > 0 {
            unbind(story, OTHER, nothing, |story| {
                story
                    .rel(OTHER, 0x900, "stop_other", 16)
                    .wait(nested * 1000);
                1
            });
        }
        story.rel(DEVICE, 0x100, BLOCK, 8);
        2
    });
    story
}

#[test]
fn a_release_that_takes_long_is_reported_where_the_time_was_spent() {
    accused(
        &slow(200, 0),
        "DR019",
        Severity::Warn,
        "DR019/platform/driver/stop",
    );
    accused(
        &slow(220, 200),
        "DR019",
        Severity::Warn,
        "DR019/platform/other/stop_other",
    );
    innocent(&slow(90, 0), "DR019");
    assert_eq!(found(&slow(400, 200), "DR019").len(), 2);
}

#[test]
fn what_a_loss_or_a_clock_without_time_hides_is_not_slow() {
    let mut story = slow(200, 0);
    let release = story
        .events
        .iter()
        .position(|event| matches!(event.kind, EventKind::Release(_)));
    let mut lossy = Story::new();
    lossy.lose(1);
    story
        .events
        .insert(release.map_or(0, |place| place + 1), lossy.events.remove(0));
    assert_eq!(found(&story, "DR019"), []);
    let mut coverage = whole();
    coverage.times = false;
    assert_eq!(slow(200, 0).judge_by("DR019", coverage).findings, []);
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

#[test]
fn where_a_release_waits_is_told_with_it() {
    let told = |looked_up: bool| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            story.add(DEVICE, 0x100, "stop", 16);
        });
        unbind(&mut story, DEVICE, nothing, |story| {
            story.rel(DEVICE, 0x100, "stop", 16).wait(4_500_000);
            if looked_up {
                story
                    .stack(&["wait_for_completion", "stop@driver", "release_nodes"])
                    .push(DEVICE, EventKind::Message(Message::Waits));
            }
            story.wait(1_500_000);
            1
        });
        accused(
            &story,
            "DR019",
            Severity::Warn,
            "DR019/platform/driver/stop",
        )
    };
    let finding = told(true);
    assert!(
        finding.summary.ends_with("took 6000 ms."),
        "{}",
        finding.summary
    );
    let stack = finding.caused_by.map(|cause| cause.stack);
    let innermost = stack.as_ref().and_then(|stack| stack.first());
    assert_eq!(
        innermost.map(String::as_str),
        Some("wait_for_completion+0x2b")
    );
    assert_eq!(told(false).caused_by, None);
}

#[test]
fn who_waits_for_a_slow_release_depends_on_who_releases() {
    let held = accused(
        &slow(200, 0),
        "DR019",
        Severity::Warn,
        "DR019/platform/driver/stop",
    );
    assert!(held.meaning.contains("lock is held"), "{}", held.meaning);
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story
        .add(DEVICE, 0x100, "stop", 16)
        .enter(DEVICE, Hook::FinalPut)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x100, "stop", 16)
        .wait(200_000)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::FinalPut);
    let put = accused(&story, "DR019", Severity::Warn, "DR019/platform/?/stop");
    assert!(!put.meaning.contains("lock"), "{}", put.meaning);
}
