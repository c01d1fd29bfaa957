//! DR025: memory that is freed by hand while a managed action or interrupt is still called with it.

use devres_tracer::{
    event::{CallDetail, EventKind, Hook},
    evidence::NodeEvents,
    finding::{Certainty, Doubt, Severity},
};

use super::{
    DEVICE, IRQ, OTHER, accused, add_action_on, begin, call_irq, innocent, nothing, outcome, probe,
    scenes::{DEV_ID, NUMBER, with_irq},
    silent, silent_after_loss,
    support::{Dev, Story, added, whole, without},
    unbind,
};

const MEMORY: u64 = 0xff11_0000_0300_0040;
const FINGERPRINT: &str = "DR025/platform/driver/stop_queue";

fn free(story: &mut Story, device: Dev, memory: u64) {
    story.call(device, Hook::Free, CallDetail::Pointer(memory));
}

/// A device with an action; `in_remove` happens in remove, and `before` and `after` around the release of the action.
fn with_action(
    in_remove: impl Fn(&mut Story),
    before: impl Fn(&mut Story),
    after: impl Fn(&mut Story),
) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_action_on(story, DEVICE, 0x100, "stop_queue", MEMORY);
    });
    unbind(&mut story, DEVICE, in_remove, |story| {
        before(story);
        story.rel(DEVICE, 0x100, "stop_queue", 16);
        after(story);
        1
    });
    story
}

#[test]
fn an_action_that_runs_with_memory_that_remove_has_freed_is_reported() {
    let story = with_action(
        |story| {
            story.stack(&["kfree", "acme_remove@acme", "device_remove"]);
            free(story, DEVICE, MEMORY);
        },
        nothing,
        nothing,
    );
    let finding = accused(&story, "DR025", Severity::Error, FINGERPRINT);
    assert_eq!(
        finding.summary,
        "The remove of driver-dev freed the data of stop_queue on driver-dev with kfree() while stop_queue was still live."
    );
    assert_eq!(finding.certainty, Certainty::Confirmed);
    let order: Vec<&str> = finding.order.iter().map(|step| &*step.what).collect();
    assert_eq!(
        order,
        [
            "stop_queue is added to driver-dev",
            "The remove of driver-dev frees the action's data with kfree(), by acme_remove [acme]",
            "stop_queue is released",
        ]
    );
    let freed = story
        .events
        .iter()
        .position(|event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Free));
    silent_after_loss(&story, freed.expect("it is freed") + 1, "DR025");
}

#[test]
fn a_free_in_front_of_an_earlier_release_proves_nothing() {
    let mut story = with_action(nothing, nothing, |story| free(story, DEVICE, MEMORY));
    innocent(&story, "DR025");
    let freed = story
        .events
        .iter()
        .position(|event| matches!(&event.kind, EventKind::Enter(call) if call.hook == Hook::Free))
        .expect("it is freed");
    story.events.swap(freed - 1, freed);
    silent(&story, "DR025");
}

#[test]
fn an_action_that_frees_its_data_itself_or_never_runs_is_innocent() {
    let freed = |story: &mut Story| free(story, DEVICE, MEMORY);
    innocent(&with_action(nothing, nothing, freed), "DR025");
    innocent(&with_action(nothing, nothing, nothing), "DR025");
    // Something else, and a larger structure that it lies in.
    let other = |story: &mut Story| {
        free(story, DEVICE, MEMORY + 0x40);
        free(story, DEVICE, MEMORY - 0x40);
    };
    innocent(&with_action(other, nothing, nothing), "DR025");
    // It is removed after the free, and does not run.
    let removed = |added_first: bool| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            if !added_first {
                free(story, DEVICE, MEMORY);
            }
            add_action_on(story, DEVICE, 0x100, "stop_queue", MEMORY);
        });
        let remove = |story: &mut Story| {
            if added_first {
                free(story, DEVICE, MEMORY);
                story.rem(DEVICE, 0x100, "stop_queue", 16);
            }
        };
        unbind(&mut story, DEVICE, remove, |story| {
            if !added_first {
                story.rel(DEVICE, 0x100, "stop_queue", 16);
            }
            i64::from(!added_first)
        });
        story
    };
    innocent(&removed(true), "DR025");
    // It is added after the free: the memory is another's, at the same address.
    innocent(&removed(false), "DR025");
    // An interrupt comes in between and frees something.
    let in_interrupt = |story: &mut Story| {
        story.stack(&["kfree", "handle_irq_event", "acme_remove@acme"]);
        free(story, DEVICE, MEMORY);
    };
    innocent(&with_action(in_interrupt, nothing, nothing), "DR025");
}

#[test]
fn a_release_that_frees_what_an_older_action_is_called_with_is_reported_too() {
    let freed = |story: &mut Story| free(story, DEVICE, MEMORY);
    let story = with_action(nothing, freed, nothing);
    let finding = accused(&story, "DR025", Severity::Error, FINGERPRINT);
    assert!(finding.summary.starts_with("Another release of driver-dev"));
}

#[test]
fn an_action_that_is_released_by_hand_after_the_free_has_run() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_action_on(story, DEVICE, 0x100, "stop_queue", MEMORY);
    });
    let remove = |story: &mut Story| {
        free(story, DEVICE, MEMORY);
        story.enter(DEVICE, Hook::ReleaseAction);
        story.rem(DEVICE, 0x100, "stop_queue", 16);
        story.leave(DEVICE, Hook::ReleaseAction);
    };
    unbind(&mut story, DEVICE, remove, |_| 0);
    accused(&story, "DR025", Severity::Error, FINGERPRINT);
}

#[test]
fn a_probe_that_fails_frees_what_another_device_is_called_with() {
    let mut story = Story::new();
    begin(&mut story, OTHER, "dev1");
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_action_on(story, DEVICE, 0x100, "stop_queue", MEMORY);
    });
    story
        .named(OTHER, "dev1", "platform", "other")
        .enter(OTHER, Hook::Probe);
    free(&mut story, OTHER, MEMORY);
    story
        .enter(OTHER, Hook::Cleanup)
        .release_nothing(OTHER)
        .leave(OTHER, Hook::Cleanup)
        .returned(OTHER, Hook::Probe, Some(-5));
    unbind(&mut story, DEVICE, nothing, |story| {
        story.rel(DEVICE, 0x100, "stop_queue", 16);
        1
    });
    let finding = accused(&story, "DR025", Severity::Error, FINGERPRINT);
    assert!(finding.summary.starts_with("The probe of dev1 freed"));
    assert!(finding.caused_by.is_some());
}

#[test]
fn an_interrupt_counts_from_its_request_to_its_end() {
    let mark = "DR025/platform/driver/devm_irq_release";
    let freed = |story: &mut Story| free(story, DEVICE, DEV_ID);
    accused(
        &with_irq(false, freed, nothing),
        "DR025",
        Severity::Warn,
        mark,
    );
    let handled = |story: &mut Story| {
        free(story, DEVICE, DEV_ID);
        call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID);
    };
    accused(
        &with_irq(false, handled, nothing),
        "DR025",
        Severity::Error,
        mark,
    );
    // The handler ran before, or it is another's.
    let before = |story: &mut Story| {
        call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID);
        free(story, DEVICE, DEV_ID);
        call_irq(story, Hook::IrqHandler, NUMBER, DEV_ID + 8);
    };
    accused(
        &with_irq(false, before, nothing),
        "DR025",
        Severity::Warn,
        mark,
    );
    // devm_free_irq() first.
    innocent(&with_irq(true, freed, nothing), "DR025");
    // devm_free_irq() after the free: the handler could run in between.
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        super::add_irq(story, DEVICE, 0x100, u64::from(NUMBER), DEV_ID);
    });
    let remove = |story: &mut Story| {
        free(story, DEVICE, DEV_ID);
        story.rem(DEVICE, 0x100, IRQ, 16);
    };
    unbind(&mut story, DEVICE, remove, |_| 0);
    accused(&story, "DR025", Severity::Warn, mark);
}

#[test]
fn what_is_still_live_at_the_end_is_undecided_and_without_frees_the_rule_is_off() {
    let mut story = with_action(|story| free(story, DEVICE, MEMORY), nothing, nothing);
    let released = story
        .events
        .iter()
        .position(|event| matches!(event.kind, EventKind::Release(_)));
    story.events.truncate(released.expect("it is released"));
    let end = outcome(&story, "DR025");
    assert_eq!(end.findings, []);
    let reasons: Vec<String> = end
        .undecided
        .iter()
        .map(|one| format!("{:?}", one.reason))
        .collect();
    assert_eq!(reasons, [format!("Doubt({:?})", Doubt::FreedUnderAtEnd)]);
    let off = without(whole(), &[Hook::Free]);
    let whole_story = with_action(nothing, nothing, nothing);
    assert_eq!(whole_story.judge(off).undecided, []);
}

#[test]
fn where_releases_are_concluded_what_runs_frees_its_own() {
    let mut coverage = without(whole(), &[Hook::DevresLog]);
    coverage.nodes = NodeEvents::Concluded;
    let story = |in_remove: bool| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            let mut action = added(0x100, "stop_queue", 16);
            action.action_data = MEMORY;
            story.push(DEVICE, EventKind::Add(action));
        });
        let remove = |story: &mut Story| {
            if in_remove {
                free(story, DEVICE, MEMORY);
            }
        };
        unbind(&mut story, DEVICE, remove, |story| {
            if !in_remove {
                free(story, DEVICE, MEMORY);
            }
            1
        });
        story
    };
    let found = |in_remove| {
        let outcome = story(in_remove).judge_by("DR025", coverage.clone());
        outcome.findings.len()
    };
    assert_eq!((found(true), found(false)), (1, 0));
}
