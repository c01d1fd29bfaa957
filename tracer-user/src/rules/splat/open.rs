//! Reports from which no rule follows: where and when it was, and what would show more (DR022).

use super::{mark, name, next, released, step, titled, when};
use crate::{
    event::{
        Function,
        splat::{MIXED, MemoryFault, Phase, Splat, SplatKind, Story},
    },
    finding::{Certainty, Finding, RuleInfo, Severity, Subject},
    model::Model,
    rules::blame,
};

/// What DR022 says of it.
pub(in crate::rules) fn open(
    info: &RuleInfo,
    splat: &Splat,
    subject: &Subject,
    model: &Model,
) -> Finding {
    let story = Story::of(splat);
    let phase = when(story.phase());
    let around = match (story.release(), story.managed()) {
        (Some(_), _) => String::new(),
        (None, Some(managed)) if Some(managed) != story.function() => {
            format!(", below {managed}{phase}")
        }
        (None, _) => phase,
    };
    Finding {
        certainty: Certainty::Likely,
        summary: format!("{}{}{around}.", titled(splat), story.place()),
        meaning: meaning(splat, &story),
        order: facts(splat, &story)
            .into_iter()
            .map(|fact| step(model, fact))
            .collect(),
        caused_by: blame::caller_as_cause(subject, model),
        next: next::commands(splat, &story, subject),
        ..subject.finding(info, Severity::Info, &mark(splat), model.now())
    }
}

/// Why it is left open, in a word for the summary of a run.
pub(super) fn is_messenger(story: &Story<'_>) -> bool {
    story.release().is_none() && story.freed_in().is_none()
}

/// What the report says about the memory, in order.
fn facts(splat: &Splat, story: &Story<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(allocated) = story.allocated() {
        let through = allocated
            .through
            .map_or_else(String::new, |through| format!(" by {through}"));
        facts.push(format!(
            "{} allocates the memory{through}",
            name(allocated.by, "somebody")
        ));
    }
    if let Some(freed) = story.freed() {
        let who = match story.freed_in() {
            Some(release) => released(&release),
            None => name(freed.by, "somebody"),
        };
        facts.push(format!(
            "{who} frees the memory{}",
            when(story.freed_when())
        ));
    }
    // Of memory that nobody uses any more nobody is shown to use it.
    if facts.is_empty() || story.frames().is_empty() && story.function().is_none() {
        return facts;
    }
    let who = match story.release() {
        Some(release) => released(&release),
        None => name(story.user(), "somebody"),
    };
    let again = if splat.memory_fault() == MemoryFault::WronglyFreed {
        "frees it again"
    } else {
        "uses it"
    };
    facts.push(format!("{who} {again}{}", when(story.phase())));
    facts
}

fn meaning(splat: &Splat, story: &Story<'_>) -> String {
    if splat.kind == SplatKind::LiveIrq {
        return "The interrupt's number is freed while its handler is still registered. If devm_request_irq() requested \
                it, its release comes only after the driver's remove. Free the number in a release that is added \
                before the interrupt is requested, or call devm_free_irq() first."
            .to_owned();
    }
    if is_messenger(story) {
        return messenger(splat, story);
    }
    if splat.kind == SplatKind::FreedIrq {
        return irq_freed_by_hand(story);
    }
    if splat.kind.watches_memory() {
        return memory(splat, story);
    }
    if splat
        .detail
        .as_deref()
        .is_some_and(|it| it.starts_with("CFI"))
    {
        return "The function is called through a pointer of another type, as an action that was cast to one. Give it the \
                type of an action: `void (*)(void *)`."
            .to_owned();
    }
    let function = story.function().and_then(Function::base_name);
    let text = match splat.kind {
        SplatKind::Warning if function.is_some_and(is_switched_off) => {
            "It was already off: the driver's remove, or runtime power management, had switched it off, and the release \
             does so again. The report does not show which."
        }
        SplatKind::Abort => {
            "The hardware did not answer: its clock, its power or its bus was off, or nothing is there. The report \
             does not show whether it was switched off before the release, and by whom: a PM domain detached too early \
             is DR001."
        }
        SplatKind::Refcount => refcount(splat),
        SplatKind::List => {
            "A list was overwritten, or an entry on it was freed; the report does not show by whom."
        }
        SplatKind::Lockdep => {
            "The report is about locks. The order of releases matters only if another order would not take them."
        }
        SplatKind::Stall => {
            "RCU waits for one of several tasks, not necessarily the one in the release."
        }
        SplatKind::Stack if splat.detail.as_deref() == Some(MIXED) => {
            "Whose each line is can't be told. With CONFIG_PRINTK_CALLER each line says who wrote it."
        }
        SplatKind::Stack if splat.detail.is_some() => {
            "The kernel shows what each task or CPU was doing: because one of them was stuck, or because somebody asked. \
             Whatever is stuck may wait for this release."
        }
        SplatKind::Stack => {
            "Nothing before the call trace says why the kernel printed it: the first lines are missing, or it is one of \
             dump_stack()."
        }
        SplatKind::Oops | SplatKind::Bug | SplatKind::Panic => {
            "The report does not show why: what the release uses may be gone already, or never existed."
        }
        _ => {
            "The report does not show why: what was released, freed or switched off before is unknown."
        }
    };
    text.to_owned()
}

/// An interrupt that a driver frees explicitly is not there.
fn irq_freed_by_hand(story: &Story<'_>) -> String {
    let who = name(story.caller(), "The driver");
    format!(
        "{who} frees an interrupt that is not registered. If the kernel warned right before this that it is not managed \
         either (kernel/irq/devres.c), it was never requested, or devm_free_irq() had freed it before. If not, somebody \
         had freed it with free_irq()."
    )
}

/// What was wrong with a reference count, by the kernel's own words for it.
fn refcount(splat: &Splat) -> &'static str {
    let says = |words: &str| splat.detail.as_deref().is_some_and(|it| it.contains(words));
    if says("underflow") || says("decrement hit 0") {
        "A reference was put once too often: by this release, or by somebody before it. The report does not show by \
         whom."
    } else if says("addition on 0") {
        "A reference was taken after the last one had been put: what it is about is gone already. The report does not \
         show who put the last one."
    } else if says("saturated") {
        "The count had been wrong before: references were taken and never put, or the memory was overwritten. The \
         report does not show by whom."
    } else {
        "A reference was taken or put where none was left, by this release or by somebody before it. The report does \
         not show by whom."
    }
}

/// Functions that warn where something is switched off once more than on.
fn is_switched_off(function: &str) -> bool {
    matches!(
        function,
        "clk_core_disable" | "clk_core_unprepare" | "_regulator_disable" | "__enable_irq"
    )
}

/// Devres occurs in it, and it did not happen in a release.
fn messenger(splat: &Splat, story: &Story<'_>) -> String {
    if let Some(release) = story.release_elsewhere() {
        let mut text = format!(
            "It did not happen in a release. Another stack of the report goes through {}{}.",
            released(&release),
            when(release.phase)
        );
        if splat.kind == SplatKind::Lockdep {
            text.push_str(
                " The report is about locks: the order of releases matters only if another order would not take them.",
            );
        }
        return text;
    }
    let allocated = story.allocated().and_then(|allocated| allocated.through);
    let (managed, caller) = match (story.managed(), allocated) {
        (Some(managed), _) => (managed.to_string(), story.caller()),
        (None, Some(through)) => (
            through.to_string(),
            story.allocated().and_then(|allocated| allocated.by),
        ),
        (None, None) => ("a managed function".to_owned(), None),
    };
    let by = caller.map_or_else(String::new, |caller| format!(" for {caller}"));
    let mut text = format!(
        "Devres is only the messenger: {managed} was at work{by}, and no release is in the report. It says nothing of \
         the order of releases."
    );
    if splat.kind == SplatKind::DuplicateName {
        text.push_str(
            " The name is still in use: by somebody else, or by an earlier binding that did not free it.",
        );
    }
    if splat.memory_fault() == MemoryFault::UsedAfterFree {
        text.push_str(" What matters is who freed the memory, and when; the report shows no release that did.");
    }
    if story.phase() == Phase::Probe && splat.kind == SplatKind::Oops {
        text.push_str(" Check first what the driver passes to it.");
    }
    text
}

/// Whether a managed function allocated the memory.
fn is_managed(story: &Story<'_>) -> bool {
    story
        .allocated()
        .is_some_and(|given| given.through.is_some())
}

fn memory(splat: &Splat, story: &Story<'_>) -> String {
    if story.is_within_one_release() && splat.memory_fault() == MemoryFault::WronglyFreed {
        return "The same release function freed the memory twice. In two calls, its action was added twice or two \
                resources share the memory; in one call that is a bug inside it. The order of releases does not matter."
            .to_owned();
    }
    if story.is_within_one_release() {
        return "The same release function freed the memory and used it. In one call that is a bug inside it, not in \
                the order of releases; in two calls, for two resources of its kind, the order matters."
            .to_owned();
    }
    match (splat.memory_fault(), story.freed()) {
        (MemoryFault::Other, _) if splat.detail.as_deref().is_some_and(|it| it.starts_with("null")) => {
            "A pointer was NULL: it was cleared before the release, or never set."
        }
        (MemoryFault::Other, _) if splat.detail.is_none() => {
            "The line that says what was wrong with the access is missing, or lines of another report are among these."
        }
        (MemoryFault::Other, _) => {
            "The access was wrong, not the order: the report does not say that the memory had been freed."
        }
        (_, None) => "The text does not show who freed the memory; the rest of the report does.",
        (_, Some(freed)) if story.release().is_some_and(|it| it.callback == freed.by) => {
            "The same function had freed the memory before; the stack does not show who called it then."
        }
        (_, Some(_)) if story.release().is_some() => {
            "As far as the stacks show, somebody other than the driver freed the memory: the release should have held a \
             reference, or put one too often."
        }
        (_, Some(_)) if is_managed(story) => {
            "Memory freed by a release was used later: somebody put a reference too often, or uses it without one. \
             Whatever uses it should hold a reference, or be stopped before the release."
        }
        (_, Some(_)) => {
            "Memory freed by a release was used later. It was not managed memory: its user should hold a reference, or \
             be stopped before the release."
        }
    }
    .to_owned()
}
