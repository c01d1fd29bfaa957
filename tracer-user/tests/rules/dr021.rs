//! DR021: managed interrupts that are freed twice.

use devres_tracer::{
    engine::{Reason, Verdict},
    event::{Event, EventKind, Hook},
    finding::{Certainty, Doubt, Severity},
    rules::RuleSet,
};

use super::{
    DEVICE, IRQ, accused, add_irq, begin, call_irq, innocent, nothing, outcome, probe,
    scenes::{DEV_ID, NUMBER, with_irq},
    silent_after_loss,
    support::{Story, whole, without},
    unbind,
};

fn free(number: u32, dev_id: u64) -> impl Fn(&mut Story) {
    move |story| call_irq(story, Hook::FreeIrq, number, dev_id)
}

#[test]
fn free_irq_of_a_managed_interrupt_frees_it_twice() {
    let story = with_irq(false, free(NUMBER, DEV_ID), nothing);
    accused(
        &story,
        "DR021",
        Severity::Error,
        "DR021/platform/driver/devm_irq_release",
    );
    silent_after_loss(&story, 7, "DR021");
    // The release itself, devm_free_irq(), and another handler on the same line.
    innocent(&with_irq(false, nothing, nothing), "DR021");
    innocent(&with_irq(true, free(NUMBER, DEV_ID), nothing), "DR021");
    innocent(&with_irq(false, free(NUMBER, DEV_ID + 8), nothing), "DR021");
    innocent(&with_irq(false, free(NUMBER + 1, DEV_ID), nothing), "DR021");
}

#[test]
fn of_two_that_are_alike_each_release_frees_one() {
    let number = u64::from(NUMBER);
    let twice = |removed: bool, by_hand: bool| {
        let mut story = Story::new();
        begin(&mut story, DEVICE, "dev0");
        probe(&mut story, DEVICE, "driver", |story| {
            add_irq(story, DEVICE, 0x100, number, DEV_ID);
            add_irq(story, DEVICE, 0x200, number, DEV_ID);
        });
        let remove = |story: &mut Story| {
            if removed {
                story.rem(DEVICE, 0x200, IRQ, 16);
                free(NUMBER, DEV_ID)(story);
            }
            if by_hand {
                free(NUMBER, DEV_ID)(story);
            }
        };
        unbind(&mut story, DEVICE, remove, |story| {
            if !removed {
                story.rel(DEVICE, 0x200, IRQ, 16);
                free(NUMBER, DEV_ID)(story);
            }
            story.rel(DEVICE, 0x100, IRQ, 16);
            free(NUMBER, DEV_ID)(story);
            2 - i64::from(removed)
        });
        story
    };
    innocent(&twice(false, false), "DR021");
    innocent(&twice(true, false), "DR021");
    accused(
        &twice(true, true),
        "DR021",
        Severity::Error,
        "DR021/platform/driver/devm_irq_release",
    );
}

#[test]
fn an_interrupt_that_was_freed_is_freed_twice_only_if_its_release_runs() {
    let events = with_irq(true, free(NUMBER, DEV_ID), nothing).events;
    let removal = |event: &Event| matches!(event.kind, EventKind::Remove(_));
    let freed = events.iter().position(removal).expect("it is removed");
    // devm_free_irq() has called it, and the removal of the resource was not seen.
    let mut story = Story::new();
    story.events = [&events[..freed], &events[freed + 1..]].concat();
    let outcome = story.judge_by("DR021", whole());
    assert_eq!(outcome.findings, []);
    let reasons: Vec<_> = outcome.undecided.iter().map(|one| &one.reason).collect();
    assert_eq!(reasons, [&Reason::Doubt(Doubt::FreedIrqAfterMiss)]);
    // The trace ends before its release.
    let mut story = with_irq(false, free(NUMBER, DEV_ID), nothing);
    let release = |event: &Event| matches!(event.kind, EventKind::Release(_));
    let released = story
        .events
        .iter()
        .position(release)
        .expect("it is released");
    story.events.truncate(released);
    let outcome = super::outcome(&story, "DR021");
    let found: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| (finding.severity, finding.certainty))
        .collect();
    assert_eq!(found, [(Severity::Warn, Certainty::Likely)]);
    assert_eq!(outcome.verdict(Severity::Error), Verdict::Inconclusive);
}

#[test]
fn an_optional_rule_that_nobody_asked_for_is_no_gap() {
    let coverage = || without(whole(), &[Hook::FreeIrq]);
    let story = with_irq(false, nothing, nothing);
    assert_eq!(story.judge(coverage()).undecided, []);
    let asked = story.judge_by("DR021", coverage());
    assert_eq!(asked.undecided.len(), 1);
    assert_eq!(asked.undecided[0].rule, "DR021");
    assert!(RuleSet::all().infos().any(|info| info.optional));
    assert_eq!(outcome(&story, "DR021").undecided, []);
}
