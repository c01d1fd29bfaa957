//! Something managed that was freed by hand and by its release, by the kernel's own word (DR021).

use super::{capital, mark, name, released, step, when};
use crate::{
    event::splat::{Given, Splat, SplatKind, Story},
    finding::{Certainty, Finding, RuleInfo, Severity, Subject},
    model::Model,
    rules::blame,
};

/// What DR021 says of it.
pub(super) fn freed_twice(
    info: &RuleInfo,
    splat: &Splat,
    subject: &Subject,
    model: &Model,
) -> Finding {
    let finding = subject.finding(info, Severity::Error, &mark(splat), model.now());
    let finding = Finding {
        certainty: Certainty::Likely,
        caused_by: blame::caller_as_cause(subject, model),
        ..finding
    };
    if splat.kind == SplatKind::FreedIrq {
        interrupt(finding, splat, model)
    } else {
        memory(finding, splat, model)
    }
}

fn interrupt(finding: Finding, splat: &Splat, model: &Model) -> Finding {
    let story = Story::of(splat);
    let number = splat.number.map_or_else(
        || "An interrupt".to_owned(),
        |number| format!("Interrupt {number}"),
    );
    let who = story
        .release()
        .map_or_else(|| "its release".to_owned(), |release| released(&release));
    let phase = when(story.phase());
    Finding {
        summary: format!("{number} was already free when {who} freed it{phase}."),
        meaning: "The release frees a managed interrupt. Somebody had already freed it with free_irq(), which leaves the \
                  devres node on the device; or somebody else requested the same number in between. Record with \
                  --with free_irq to see who."
            .to_owned(),
        order: vec![
            step(model, "somebody frees the interrupt with free_irq()".to_owned()),
            step(model, format!("{who} frees it again{phase}")),
        ],
        expected: vec![
            "devm_free_irq() or the unbind frees the interrupt, once".to_owned(),
        ],
        ..finding
    }
}

fn memory(finding: Finding, splat: &Splat, model: &Model) -> Finding {
    let story = Story::of(splat);
    let used = story.release().filter(|release| !release.by_hand);
    let who = match &used {
        Some(release) => released(release),
        None => name(story.function(), "somebody"),
    };
    let mut order = Vec::new();
    if let Some(allocated) = story.allocated() {
        let through = allocated
            .through
            .map_or_else(String::new, |through| format!(" by {through}"));
        let by = name(allocated.by, "somebody");
        order.push(step(model, format!("{by} allocates the memory{through}")));
    }
    let is_own = |freed: &Given<'_>| used.is_some_and(|release| release.callback == freed.by);
    let first = story.freed().map(|freed| match story.freed_in() {
        Some(release) => released(&release),
        None => match story.freed_for().filter(|_| is_own(&freed)) {
            Some(caller) => format!("{caller} through {}", name(freed.by, "its release")),
            None => name(freed.by, "somebody"),
        },
    });
    let managed = story
        .allocated()
        .is_none_or(|allocated| allocated.through.is_some());
    if let Some(first) = &first {
        let phase = when(story.freed_when());
        order.push(step(model, format!("{first} frees it{phase}")));
    }
    let phase = when(story.phase());
    order.push(step(
        model,
        match first {
            Some(_) => format!("{who} frees it again{phase}"),
            None => format!("{who} frees it explicitly{phase}"),
        },
    ));
    let summary = match &first {
        Some(first) => format!(
            "{} freed memory that {first} had freed before{phase}.",
            capital(&who)
        ),
        None => format!("{} freed managed memory explicitly{phase}.", capital(&who)),
    };
    Finding {
        summary,
        meaning: if managed {
            "The release frees managed memory. An explicit kfree() frees it twice, or frees a pointer that the allocator \
             never returned: managed memory starts after its devres header."
        } else {
            "A release frees the memory, and somebody does so by hand: the release stays on the device and runs later. \
             devm_release_action() does both at once, devm_remove_action() takes it off."
        }
        .to_owned(),
        order,
        expected: vec![if managed {
            "devm_kfree() or the unbind frees the memory, once".to_owned()
        } else {
            "the release frees the memory, or somebody who takes it off".to_owned()
        }],
        ..finding
    }
}
