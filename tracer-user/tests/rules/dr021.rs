//! DR021: managed interrupts that are freed twice.

use devres_tracer::{event::Hook, finding::Severity, rules::RuleSet};

use super::{
    accused, call_irq, innocent, nothing, outcome,
    scenes::{DEV_ID, NUMBER, with_irq},
    silent_after_loss,
    support::{Story, whole, without},
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
