//! DR014: interrupts that outlive remove.

use devres_tracer::{
    event::{EventKind, Hook},
    finding::Severity,
};

use super::{
    DEVICE, IRQ, accused, add_irq, begin, call_irq, innocent, nothing, probe,
    scenes::{DEV_ID, NUMBER, with_irq},
    silent_after_loss,
    support::{Story, added, reduced, whole, without},
    unbind,
};

fn handler(number: u32, dev_id: u64) -> impl Fn(&mut Story) {
    move |story| call_irq(story, Hook::IrqHandler, number, dev_id)
}

#[test]
fn an_interrupt_that_outlives_remove_is_worth_knowing_and_one_that_is_handled_worse() {
    let fingerprint = "DR014/platform/driver/devm_irq_release";
    accused(
        &with_irq(false, nothing, nothing),
        "DR014",
        Severity::Info,
        fingerprint,
    );
    let handled = with_irq(false, nothing, handler(NUMBER, DEV_ID));
    let finding = accused(&handled, "DR014", Severity::Warn, fingerprint);
    assert_eq!(finding.order.len(), 3);
    // Another device's handler on the same line, and its own before remove has returned.
    let shared = with_irq(false, nothing, handler(NUMBER, DEV_ID + 8));
    accused(&shared, "DR014", Severity::Info, fingerprint);
    let in_remove = with_irq(false, handler(NUMBER, DEV_ID), nothing);
    accused(&in_remove, "DR014", Severity::Info, fingerprint);
    innocent(&with_irq(true, nothing, handler(NUMBER, DEV_ID)), "DR014");
    silent_after_loss(&handled, 6, "DR014");
}

#[test]
fn without_the_handlers_tracepoint_it_only_says_less() {
    let story = with_irq(false, nothing, nothing);
    let outcome = story.judge_by("DR014", without(whole(), &[Hook::IrqHandler]));
    assert_eq!(outcome.findings.len(), 1);
    assert_eq!(outcome.undecided, []);
    let mut concluded = with_irq(false, nothing, nothing);
    concluded
        .events
        .retain(|event| !matches!(event.kind, EventKind::Release(_)));
    assert_eq!(concluded.judge_by("DR014", reduced()).findings.len(), 1);
}

#[test]
fn a_probe_that_fails_removes_nothing() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    story.enter(DEVICE, Hook::Probe);
    add_irq(&mut story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    story
        .enter(DEVICE, Hook::Cleanup)
        .enter(DEVICE, Hook::ReleaseAll)
        .rel(DEVICE, 0x100, IRQ, 16)
        .returned(DEVICE, Hook::ReleaseAll, Some(1))
        .leave(DEVICE, Hook::Cleanup)
        .returned(DEVICE, Hook::Probe, Some(5));
    innocent(&story, "DR014");
}

#[test]
fn an_interrupt_from_before_the_trace_and_the_next_bindings_are_one_finding() {
    let mut story = Story::new();
    let mut irq = added(0x1100, IRQ, 16);
    irq.payload = [17, DEV_ID, 0, 0];
    story.snapshot(DEVICE, "driver", &[irq]);
    let freed = |story: &mut Story| {
        story.rel(DEVICE, 0x1100, IRQ, 16);
        1
    };
    unbind(&mut story, DEVICE, nothing, freed);
    probe(&mut story, DEVICE, "driver", |story| {
        story.stack(&["devres_add", "devm_request_threaded_irq", "setup_rx@driver"]);
        add_irq(story, DEVICE, 0x1100, 17, DEV_ID);
    });
    unbind(&mut story, DEVICE, nothing, freed);
    let finding = accused(
        &story,
        "DR014",
        Severity::Info,
        "DR014/platform/driver/devm_irq_release",
    );
    assert_eq!(finding.count, 2);
}
