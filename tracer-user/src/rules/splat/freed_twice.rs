//! Something managed that was freed by hand and by its release, by the kernel's own word (DR021).

use super::{mark, name, released, step, when};
use crate::{
    event::splat::{Splat, SplatKind, Story},
    finding::{Certainty, Finding, RuleInfo, Severity, Subject},
    model::Model,
    rules::blame,
};

/// What DR021 says of it.
pub(in crate::rules) fn freed_twice(
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
        meaning: "A managed interrupt is freed by its release. Somebody had freed it before by free_irq(), which leaves \
                  the resource on the device; or somebody else requested the same number meanwhile. Record with \
                  --with free_irq to see who."
            .to_owned(),
        order: vec![
            step(model, "somebody frees the interrupt by hand".to_owned()),
            step(model, format!("{who} frees it again{phase}")),
        ],
        expected: vec![
            "the interrupt is left to its release, or given up by devm_free_irq()".to_owned(),
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
    let first = story.freed().map(|freed| match story.freed_in() {
        Some(release) => released(&release),
        None => name(freed.by, "somebody"),
    });
    if let Some(first) = &first {
        let phase = when(story.freed_when());
        order.push(step(model, format!("{first} frees it{phase}")));
    }
    let phase = when(story.phase());
    order.push(step(
        model,
        match first {
            Some(_) => format!("{who} frees it again{phase}"),
            None => format!("{who} frees it by hand{phase}"),
        },
    ));
    let summary = match &first {
        Some(first) => format!("{who} freed memory{phase} that {first} had freed before."),
        None => format!("{who} freed managed memory by hand{phase}."),
    };
    Finding {
        summary: summary.replacen("the release", "The release", 1),
        meaning: "What is managed is freed by its release. Freed by hand as well, it is freed twice, or the pointer is \
                  one that the allocator never gave out: managed memory begins behind what devres keeps of it."
            .to_owned(),
        order,
        expected: vec!["the memory is left to its release, or freed by devm_kfree()".to_owned()],
        ..finding
    }
}
