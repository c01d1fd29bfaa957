//! Memory that was freed and used later, by the kernel's own word (DR013).

use super::{capital, cause, mark, name, released, step, when};
use crate::{
    event::splat::{Phase, Release, Role, Splat, SplatKind, Story},
    finding::{Certainty, Finding, RuleInfo, Severity, Step, Subject},
    model::Model,
    rules::blame,
};

/// What DR013 says of it.
pub(super) fn dangling(
    info: &RuleInfo,
    splat: &Splat,
    subject: &Subject,
    model: &Model,
) -> Finding {
    let finding = match splat.kind {
        SplatKind::FreedActive | SplatKind::FreedLock => active(splat, subject, model),
        _ => used(splat, subject, model),
    };
    Finding {
        certainty: Certainty::Likely,
        ..finding.within(subject.finding(info, Severity::Error, &mark_of(splat), model.now()))
    }
}

/// What tells it apart: what is active, or who used what had been freed.
fn mark_of(splat: &Splat) -> String {
    match (&splat.hint, &splat.detail, splat.kind) {
        (Some(hint), _, SplatKind::FreedActive) => hint.to_string(),
        (None, Some(object), SplatKind::FreedActive) => object.to_string(),
        _ => mark(splat),
    }
}

/// What is said, apart from what every finding has.
struct Said {
    summary: String,
    meaning: String,
    order: Vec<Step>,
    expected: Vec<String>,
    caused_by: Option<crate::finding::Cause>,
}

impl Said {
    fn within(self, finding: Finding) -> Finding {
        Finding {
            summary: self.summary,
            meaning: self.meaning,
            order: self.order,
            expected: self.expected,
            caused_by: self.caused_by,
            ..finding
        }
    }
}

/// The kernel found something active, or locked, in memory that was freed.
fn active(splat: &Splat, subject: &Subject, model: &Model) -> Said {
    let story = Story::of(splat);
    let (what, meaning, mut expected) = if splat.kind == SplatKind::FreedLock {
        (
            "a held lock".to_owned(),
            "Whoever holds the lock unlocks it later, when somebody else may have the memory.",
            vec!["the lock is unlocked".to_owned()],
        )
    } else {
        let object = splat.detail.as_deref().unwrap_or("object");
        let calls = splat
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!(" that would call {hint}"));
        (
            format!("an active {object}{calls}"),
            "It uses the memory later, when somebody else may have it. Either it was not stopped, or it was started again \
             after the driver's remove.",
            vec![
                "whatever can start it is released or disabled".to_owned(),
                format!("the {object} is cancelled"),
            ],
        )
    };
    expected.push("the memory is released".to_owned());
    let release = story.release();
    let phase = when(story.phase());
    let memory = match release {
        Some(Release {
            callback: Some(callback),
            by_hand: false,
            ..
        }) => format!("The release {callback} freed memory"),
        Some(Release {
            callback: Some(callback),
            ..
        }) => format!("{callback} freed memory"),
        _ => "Managed memory was freed".to_owned(),
    };
    Said {
        summary: format!("{memory} with {what} in it{phase}."),
        meaning: meaning.to_owned(),
        order: vec![
            step(model, format!("{}{phase}", freeing(release.as_ref()))),
            step(model, format!("the kernel finds {what} in it")),
        ],
        expected,
        caused_by: blame::caller_as_cause(subject, model),
    }
}

fn freeing(release: Option<&Release<'_>>) -> String {
    match release.and_then(|release| release.callback) {
        Some(callback) => format!("{callback} frees the memory"),
        None => "the memory is released".to_owned(),
    }
}

/// Memory was used after it had been freed.
fn used(splat: &Splat, subject: &Subject, model: &Model) -> Said {
    let story = Story::of(splat);
    let used = story.release().filter(|release| !release.by_hand);
    let freed = story.freed();
    let by_devres = freed.is_some_and(|freed| freed.by.is_none() && freed.in_release);
    let freed_in = story.freed_in().filter(|release| !release.by_hand);
    let who = match &used {
        Some(release) => released(release),
        None => name(story.user(), "somebody"),
    };
    let memory = if by_devres {
        format!(
            "managed memory that had been released before{}",
            when(story.freed_when())
        )
    } else {
        let (by, through) = freer(&story);
        format!(
            "memory that {by} had freed before{through}{}",
            when(story.freed_when())
        )
    };
    let (meaning, expected) = match &used {
        Some(_) if by_devres || freed_in.is_some() => too_young(&story, &who),
        Some(_) => (
            "Managed resources are released after the driver's remove: the memory they use must live until then, for \
             example as managed memory added before them.",
            vec![
                format!("{who} runs"),
                "the memory it uses is freed".to_owned(),
            ],
        ),
        None => outlived(&story, &who, by_devres || freed_in.is_some()),
    };
    let stack = splat.stack(Role::Freed);
    Said {
        summary: format!("{} used {memory}.", capital(&who)),
        meaning: meaning.to_owned(),
        order: order(&story, &who, by_devres, model),
        expected,
        caused_by: stack
            .and_then(|stack| cause(subject, &stack.frames, stack.tid))
            .or_else(|| blame::caller_as_cause(subject, model)),
    }
}

/// What is meant and expected where a release used what another one had freed.
fn too_young(story: &Story<'_>, who: &str) -> (&'static str, Vec<String>) {
    let runs = format!("{who} runs");
    let is_released = "the memory is released".to_owned();
    let by_devres = story.release().is_some_and(|it| it.callback.is_none());
    if by_devres && story.is_freed_by_last_put() {
        return (
            "A release put the last reference to the device whose resources were released: that was one put too many, or \
             nobody else held one.",
            vec![
                "the device's resources are released".to_owned(),
                "its last reference is put".to_owned(),
            ],
        );
    }
    if story.is_of_two_bindings() {
        return (
            "The memory went with another device's resources, or with those of another binding: no order within one of \
             them keeps it. It must belong to what lives as long as its user.",
            vec![runs, is_released],
        );
    }
    (
        "Resources are released in reverse order: the memory was added after the resource whose release uses it.",
        vec![
            "the memory is added before what uses it".to_owned(),
            runs,
            is_released,
        ],
    )
}

/// What is meant and expected where something else used the memory: after a release or, if not `released`, after it was
/// freed by hand.
fn outlived(story: &Story<'_>, who: &str, released: bool) -> (&'static str, Vec<String>) {
    let is_released = "the memory is released".to_owned();
    match story.phase() {
        Phase::FinalPut => (
            "Managed memory is freed when the binding ends, and a device can live on. What its last put uses is \
             allocated by kzalloc() and freed in its release function.",
            vec![
                format!("{who} runs"),
                "the memory is freed, in the device's release function".to_owned(),
            ],
        ),
        Phase::Probe | Phase::FailedProbe => (
            "A pointer to the memory was kept beyond the binding that it belonged to. Clear it before the memory goes, or \
             allocate what outlives a binding otherwise.",
            vec![
                "the pointer to the memory is cleared".to_owned(),
                is_released,
            ],
        ),
        Phase::Unbind | Phase::Deletion => (
            "The memory belonged to another device or to an earlier binding, which ended before. What is needed here must \
             live until then.",
            vec![format!("{who} runs"), is_released],
        ),
        Phase::Unknown => {
            let is_stopped = match story.user() {
                Some(user) => format!("whatever can call {user} is stopped"),
                None => "whatever can use the memory is stopped".to_owned(),
            };
            if !released && story.freed().is_some_and(|freed| freed.through.is_some()) {
                let meaning = "The memory was freed by hand, not by an unbind. Whatever can still use it must be stopped \
                               before.";
                return (meaning, vec![is_stopped, "the memory is freed".to_owned()]);
            }
            if story.is_freed_by_group() {
                let meaning = "The memory was released with a group, not by an unbind. Whatever can still use it must be \
                               stopped before.";
                return (meaning, vec![is_stopped, is_released]);
            }
            (
                "Managed memory is freed when the binding ends. Whatever can still use it must be stopped before: a \
                 timer, a work item, an interrupt, an open file, a registered callback. Otherwise don't use managed \
                 memory for it.",
                vec![is_stopped, is_released],
            )
        }
    }
}

/// Who freed it, and by which managed function, in words.
fn freer(story: &Story<'_>) -> (String, String) {
    if let Some(release) = story.freed_in().filter(|release| !release.by_hand) {
        return (released(&release), String::new());
    }
    let freed = story.freed();
    let through = freed.and_then(|freed| freed.through);
    (
        name(freed.and_then(|freed| freed.by), "somebody"),
        through.map_or_else(String::new, |through| format!(" by {through}")),
    )
}

fn order(story: &Story<'_>, who: &str, by_devres: bool, model: &Model) -> Vec<Step> {
    let mut order = Vec::new();
    if let Some(allocated) = story.allocated() {
        let by = name(allocated.by, "somebody");
        let through = allocated
            .through
            .map_or_else(String::new, |through| format!(" by {through}"));
        order.push(step(model, format!("{by} allocates the memory{through}")));
    }
    let when_freed = when(story.freed_when());
    order.push(step(
        model,
        if by_devres {
            format!("devres releases the memory{when_freed}")
        } else {
            let (by, through) = freer(story);
            format!("{by} frees the memory{through}{when_freed}")
        },
    ));
    let by = match (story.release(), story.function()) {
        (Some(release), Some(function)) if release.callback != Some(function) => {
            format!("{who} uses it, in {function}")
        }
        (None, Some(function)) if story.user() != Some(function) => {
            format!("{who} uses it, in {function}")
        }
        _ => format!("{who} uses it"),
    };
    order.push(step(model, format!("{by}{}", when(story.phase()))));
    order
}
