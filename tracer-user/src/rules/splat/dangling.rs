//! Memory that was freed and used later, by the kernel's own word (DR013).

use super::{capital, cause, mark, name, released, step, when};
use crate::{
    event::splat::{Given, Release, Role, Splat, SplatKind, Story},
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
    let (what, stop) = if splat.kind == SplatKind::FreedLock {
        ("a held lock".to_owned(), "the lock is unlocked".to_owned())
    } else {
        let object = splat.detail.as_deref().unwrap_or("object");
        let calls = splat
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!(" that would call {hint}"));
        (
            format!("an active {object}{calls}"),
            format!("the {object} is cancelled"),
        )
    };
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
        meaning: "It uses the memory later, when somebody else may have it. Either it was \
                  not stopped, or it was started again after the driver's remove."
            .to_owned(),
        order: vec![
            step(model, format!("{}{phase}", freeing(release.as_ref()))),
            step(model, format!("the kernel finds {what} in it")),
        ],
        expected: vec![
            "whatever can start it is released or disabled".to_owned(),
            stop,
            "the memory is released".to_owned(),
        ],
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
    let by_whom = freer(freed.as_ref(), freed_in.as_ref());
    let memory = if by_devres {
        format!(
            "managed memory that had been released before{}",
            when(story.freed_when())
        )
    } else {
        format!(
            "memory that {by_whom} had freed before{}",
            when(story.freed_when())
        )
    };
    let (meaning, expected) = match (&used, by_devres || freed_in.is_some()) {
        (Some(_), true) => (
            "Resources are released in reverse order: the memory was added after the resource whose release uses it.",
            vec![
                "the memory is added before what uses it".to_owned(),
                format!("{who} runs"),
                "the memory is released".to_owned(),
            ],
        ),
        (Some(_), false) => (
            "Managed resources are released after the driver's remove: the memory they use must live until then, for \
             example as managed memory added before them.",
            vec![
                format!("{who} runs"),
                "the memory it uses is freed".to_owned(),
            ],
        ),
        (None, _) => (
            "Managed memory is freed when the binding ends. Whatever can still use it must be stopped before: a timer, \
             a work item, an interrupt, an open file, a registered callback. Otherwise don't use managed memory for \
             it.",
            vec![
                format!("whatever can call {who} is stopped"),
                "the memory is released".to_owned(),
            ],
        ),
    };
    let stack = splat.stack(Role::Freed);
    Said {
        summary: format!("{} used {memory}.", capital(&who)),
        meaning: meaning.to_owned(),
        order: order(&story, &who, &by_whom, by_devres, model),
        expected,
        caused_by: stack
            .and_then(|stack| cause(subject, &stack.frames, stack.tid))
            .or_else(|| blame::caller_as_cause(subject, model)),
    }
}

/// Who freed it, in words.
fn freer(freed: Option<&Given<'_>>, freed_in: Option<&Release<'_>>) -> String {
    match (freed, freed_in) {
        (_, Some(release)) => released(release),
        (Some(freed), None) => {
            let by = name(freed.by, "somebody");
            match freed.through {
                Some(through) => format!("{by}, by {through},"),
                None => by,
            }
        }
        (None, None) => "somebody".to_owned(),
    }
}

fn order(story: &Story<'_>, who: &str, freer: &str, by_devres: bool, model: &Model) -> Vec<Step> {
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
            format!(
                "{} frees the memory{when_freed}",
                freer.trim_end_matches(',')
            )
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
