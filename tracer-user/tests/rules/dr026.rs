//! DR026: what is pending or registered in managed memory when it goes.

use devres_tracer::{
    event::{CallDetail, Hook, Text, registered},
    finding::Severity,
};
use tracer_ebpf::Trait;

use super::{
    BLOCK, DEVICE, OTHER, accused, add_block, begin, innocent, nothing, probe, silent_after_loss,
    support::{Dev, Story, whole, without},
    unbind,
};

fn pending(story: &mut Story, device: Dev, hook: Hook, calls: &str) {
    story.call(device, hook, CallDetail::Supply(Text::from(calls)));
}

/// A device with a block of memory and, on top, another resource; `in_remove` happens in remove, `before` right before
/// the block's release and `first` before the other's.
fn with_block(
    in_remove: impl Fn(&mut Story),
    first: impl Fn(&mut Story),
    before: impl Fn(&mut Story),
) -> Story {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, 0x100, 256);
        story.add(DEVICE, 0x300, "acme_release", 64);
    });
    unbind(&mut story, DEVICE, in_remove, |story| {
        first(story);
        story.rel(DEVICE, 0x300, "acme_release", 64);
        before(story);
        story.rel(DEVICE, 0x100, BLOCK, 256);
        2
    });
    story
}

#[test]
fn a_timer_or_work_item_that_is_pending_in_a_block_is_reported_with_what_it_calls() {
    let timer = |story: &mut Story| pending(story, DEVICE, Hook::TimerStart, "acme_poll");
    let story = with_block(nothing, nothing, timer);
    let finding = accused(
        &story,
        "DR026",
        Severity::Error,
        "DR026/platform/driver/devm_kzalloc_release/acme_poll",
    );
    assert_eq!(
        finding.summary,
        "Memory of driver-dev was released in which a timer that calls acme_poll was pending."
    );
    assert_eq!(finding.resources.len(), 1);
    let told = story.events.len() - 4;
    silent_after_loss(&story, told - 1, "DR026");
    let work = |story: &mut Story| pending(story, DEVICE, Hook::QueueWork, "acme_work");
    let finding = accused(
        &with_block(nothing, nothing, work),
        "DR026",
        Severity::Error,
        "DR026/platform/driver/devm_kzalloc_release/acme_work",
    );
    assert_eq!(
        finding.summary,
        "Memory of driver-dev was released in which work that calls acme_work was queued."
    );
    let delayed =
        |story: &mut Story| pending(story, DEVICE, Hook::TimerStart, "delayed_work_timer_fn");
    let finding = accused(
        &with_block(nothing, nothing, delayed),
        "DR026",
        Severity::Error,
        "DR026/platform/driver/devm_kzalloc_release/delayed_work_timer_fn",
    );
    assert_eq!(
        finding.summary,
        "Memory of driver-dev was released in which delayed work was queued."
    );
}

#[test]
fn what_is_registered_in_a_block_is_reported_with_what_it_is_known_by() {
    for (hook, known_by, key, is) in [
        (
            Hook::CdevAdd,
            "240:3",
            "cdev",
            "character device 240:3 was registered or open",
        ),
        (
            Hook::BlockingNotifier,
            "acme_event",
            "acme_event",
            "a notifier that calls acme_event was registered",
        ),
        (
            Hook::InputRegister,
            "acme_connect",
            "acme_connect",
            "an input handler with acme_connect was registered",
        ),
    ] {
        let registered = |story: &mut Story| pending(story, DEVICE, hook, known_by);
        let finding = accused(
            &with_block(nothing, nothing, registered),
            "DR026",
            Severity::Error,
            &format!("DR026/platform/driver/devm_kzalloc_release/{key}"),
        );
        assert_eq!(
            finding.summary,
            format!("Memory of driver-dev was released in which {is}.")
        );
        innocent(&with_block(registered, nothing, nothing), "DR026");
    }
}

#[test]
fn what_a_release_of_its_own_may_stop_is_none_of_it() {
    let timer = |story: &mut Story| pending(story, DEVICE, Hook::TimerStart, "acme_poll");
    innocent(&with_block(nothing, timer, nothing), "DR026");
    innocent(&with_block(nothing, nothing, nothing), "DR026");
    // Of another device, whose release was not seen.
    let other = |story: &mut Story| pending(story, OTHER, Hook::TimerStart, "acme_poll");
    let mut story = Story::new();
    begin(&mut story, OTHER, "dev1");
    let rest = with_block(nothing, nothing, other);
    story.events.extend(rest.events);
    innocent(&story, "DR026");
}

#[test]
fn a_block_that_is_freed_by_hand_counts() {
    let mut story = Story::new();
    begin(&mut story, DEVICE, "dev0");
    probe(&mut story, DEVICE, "driver", |story| {
        add_block(story, DEVICE, 0x100, 256);
    });
    let remove = |story: &mut Story| {
        pending(story, DEVICE, Hook::QueueWork, "acme_work");
        story.rem(DEVICE, 0x100, BLOCK, 256);
    };
    unbind(&mut story, DEVICE, remove, |_| 0);
    let finding = accused(
        &story,
        "DR026",
        Severity::Error,
        "DR026/platform/driver/devm_kzalloc_release/acme_work",
    );
    assert_eq!(
        finding.summary,
        "Memory of driver-dev was freed in which work that calls acme_work was queued."
    );
}

#[test]
fn without_any_of_its_hooks_the_rule_is_off_and_one_of_them_is_enough() {
    let story = with_block(nothing, nothing, nothing);
    let in_memory = |hook: &Hook| hook.description().has(Trait::InMemory);
    let all: Vec<Hook> = Hook::ALL.into_iter().filter(in_memory).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(story.judge(without(whole(), &all)).undecided, []);
    for one in &all {
        let others: Vec<Hook> = all.iter().copied().filter(|hook| hook != one).collect();
        let outcome = story.judge_by("DR026", without(whole(), &others));
        assert_eq!(outcome.undecided, []);
    }
    let outcome = story.judge_by("DR026", without(whole(), &all));
    assert_eq!(outcome.undecided.len(), 1);
}

#[test]
fn what_lies_in_memory_has_words_and_nothing_else_has() {
    for hook in Hook::ALL {
        let lies = registered(hook, "acme_poll").is_some();
        assert_eq!(lies, hook.description().has(Trait::InMemory), "{hook:?}");
    }
}
