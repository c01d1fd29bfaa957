//! DR016: managed resources that are not there.

use devres_tracer::{
    event::{Event, EventKind, Hook},
    finding::Severity,
};

use super::{
    DEVICE, IRQ, accused, begin, innocent, nothing, outcome, probe, silent, silent_after_loss,
    support::Story, unbind,
};

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
fn a_call_whose_return_was_not_seen_decides_nothing() {
    let mut story = destroyed(-2, "devm_usb_put_phy", false);
    let returns = |event: &Event| matches!(&event.kind, EventKind::Leave(returned) if returned.hook == Hook::Destroy);
    story.events.retain(|event| !returns(event));
    silent(&story, "DR016");
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
