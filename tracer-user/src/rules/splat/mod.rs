//! What the kernel's own reports prove: which rule a splat speaks for, and what that rule says of it.

mod dangling;
mod enabled;
mod freed_twice;
mod next;
mod open;
mod slow;

use super::blame;
use crate::{
    event::{
        Function, Message, StackFrame, Task,
        splat::{
            Given, MIXED, MemoryFault, Phase, Release, Role, Splat, SplatKind, Story, is_freeing,
            is_of_allocator, is_of_reporting, warns_of_miss,
        },
    },
    finding::{Cause, Doubt, Report, RuleInfo, Step, Subject},
    model::{DeviceId, Model},
};

pub(super) use enabled::Put;
pub(super) use open::open;

/// What a splat proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Memory was freed that was used later (DR013).
    Dangling,
    /// Something managed was freed by hand and by its release (DR021).
    FreedTwice,
    /// Something was to be given up that was not there (DR016).
    Missed,
    /// A release took long (DR019).
    Slow,
    /// A regulator was put that was still on (DR023).
    EnabledAtPut,
    /// Nothing that a rule is about: only where and when it happened.
    Nothing,
}

/// What a splat proves. Of what can't be told for certain it proves nothing.
pub(super) fn proof(splat: &Splat) -> Proof {
    let story = Story::of(splat);
    let release = story.release();
    match splat.kind {
        // Without a stack only what follows the release of a managed interrupt is one of these events.
        // devm_free_irq() of what was never requested is the same to the kernel.
        SplatKind::FreedIrq
            if release.is_some_and(|release| !release.by_hand) || splat.stacks.is_empty() =>
        {
            Proof::FreedTwice
        }
        SplatKind::FreedActive | SplatKind::FreedLock if release.is_some() => Proof::Dangling,
        SplatKind::Hung | SplatKind::Lockup if release.is_some() => Proof::Slow,
        // Of several tasks nobody knows which one RCU waits for.
        SplatKind::Stall if release.is_some() && is_of_one(splat) => Proof::Slow,
        SplatKind::Warning if release.is_some() && enabled::is_enabled_at_put(splat) => {
            Proof::EnabledAtPut
        }
        SplatKind::Warning if missed(splat).is_some() => Proof::Missed,
        SplatKind::Kasan | SplatKind::Kfence | SplatKind::Slab => memory(splat, &story),
        _ => Proof::Nothing,
    }
}

/// What the rule of `info`, which is about `what`, makes of a message: a finding, if that is a splat that proves it, and
/// nothing for certain, if it leaves it open.
pub(super) fn judge(
    info: &RuleInfo,
    what: Proof,
    device: Option<DeviceId>,
    message: &Message,
    model: &Model,
    report: &mut Report,
) {
    let Message::Splat(splat) = message else {
        return;
    };
    let subject = blame::told_of(device, model);
    if leaves_open(splat, what) {
        report.stay_silent(info.id, subject.key, Doubt::FaultUnexplained);
    } else if proof(splat) == what {
        let make = match what {
            Proof::Dangling => dangling::dangling,
            Proof::FreedTwice => freed_twice::freed_twice,
            Proof::Slow => slow::slow,
            Proof::EnabledAtPut => enabled::enabled_at_put,
            // The rule itself knows more of it, or there is none.
            Proof::Missed | Proof::Nothing => return,
        };
        report.submit(make(info, splat, &subject, model));
    }
}

/// Whether a report that proves nothing may be one that proves this, and what would show it was lost.
fn leaves_open(splat: &Splat, what: Proof) -> bool {
    let story = Story::of(splat);
    if proof(splat) != Proof::Nothing {
        return false;
    }
    match splat.kind {
        // What is only shown along with others reports no fault.
        SplatKind::Stack => splat.detail.as_deref().is_none_or(|it| it == MIXED),
        // The kernel's words say what it was: nothing of these.
        SplatKind::Warning if splat.detail.is_some() && splat.place.is_none() && !splat.cut => {
            false
        }
        SplatKind::Warning => match splat.function.as_deref().and_then(Function::base_name) {
            // Its other line, which names the interrupt, was lost.
            Some("__free_irq") => what == Proof::FreedTwice,
            _ if enabled::is_enabled_at_put(splat) => what == Proof::EnabledAtPut,
            Some(_) if !splat.cut => false,
            _ => matches!(what, Proof::Missed | Proof::EnabledAtPut),
        },
        SplatKind::Kasan | SplatKind::Kfence | SplatKind::Slab => {
            // Its first line, which says what was wrong, ends too early.
            let is_cut = splat.kind != SplatKind::Slab && splat.function.is_none();
            (splat.memory_fault() != MemoryFault::Other || is_cut)
                && matches!(what, Proof::Dangling | Proof::FreedTwice)
        }
        SplatKind::FreedActive | SplatKind::FreedLock => what == Proof::Dangling,
        SplatKind::FreedIrq => what == Proof::FreedTwice,
        SplatKind::Stall => what == Proof::Slow && story.release().is_some(),
        _ => false,
    }
}

/// The managed function that warned because it did not find what it was to give up.
pub(super) fn missed(splat: &Splat) -> Option<&str> {
    let name = splat.function.as_deref()?.base_name()?;
    (splat.kind == SplatKind::Warning && !splat.cut && warns_of_miss(name)).then_some(name)
}

/// Whether only one task or CPU is shown: what an interrupt had interrupted stands behind the interrupt's own stack, and
/// what comes behind that is another one's.
fn is_of_one(splat: &Splat) -> bool {
    let roles = || splat.stacks.iter().map(|stack| stack.role);
    let reports = roles().filter(|role| *role == Role::Report).count();
    let own = roles().skip_while(|role| *role != Role::Interrupted);
    reports == 1 && !own.clone().any(|role| role == Role::Report)
}

fn memory(splat: &Splat, story: &Story<'_>) -> Proof {
    let used = story.release().filter(|release| !release.by_hand);
    let freed_in = story.freed_in();
    let (Some(freed), false) = (story.freed(), story.is_within_one_release()) else {
        return match (splat.memory_fault(), story.allocated()) {
            // What is managed can't be freed by kfree() at all.
            (MemoryFault::WronglyFreed, Some(allocated))
                if allocated.through.is_some()
                    && used.is_none()
                    && !story.is_within_one_release() =>
            {
                Proof::FreedTwice
            }
            _ => Proof::Nothing,
        };
    };
    let by_list = freed_in.filter(|release| !release.by_hand);
    match splat.memory_fault() {
        MemoryFault::UsedAfterFree => {
            let by_hand = freed.through.and_then(Function::base_name);
            let by_devres =
                freed.by.is_none() && freed.in_release || by_hand.is_some_and(is_freeing);
            let between_releases = by_list.is_some() && used.is_some();
            let by_driver = used.is_some() && freed_in.is_none() && is_by_driver(&freed, story);
            // What a managed function allocated is freed by the action that this adds.
            let by_own_release = by_list.is_some()
                && !story.is_freed_by_last_put()
                && story
                    .allocated()
                    .is_some_and(|given| given.through.is_some());
            if by_devres || by_own_release || between_releases || by_driver {
                Proof::Dangling
            } else {
                Proof::Nothing
            }
        }
        MemoryFault::WronglyFreed => {
            let managed = story
                .allocated()
                .is_some_and(|allocated| allocated.through.is_some());
            // Cut off right behind the release function it shows neither who called that nor when.
            let is_cut = used.is_some_and(|release| release.callback == freed.by)
                && story.freed_when() == Phase::Unknown;
            let again_by_release =
                used.is_some() && by_list.is_none() && !is_cut && is_by_driver(&freed, story);
            let again_by_hand =
                used.is_none() && by_list.is_some() && story.phase() == Phase::Unbind;
            if managed || again_by_release || again_by_hand {
                Proof::FreedTwice
            } else {
                Proof::Nothing
            }
        }
        MemoryFault::Other => Proof::Nothing,
    }
}

/// Whether a driver freed it while it was probed or unbound, or the one whose release used it.
fn is_by_driver(freed: &Given<'_>, story: &Story<'_>) -> bool {
    let in_driver_core = matches!(
        story.freed_when(),
        Phase::Unbind | Phase::Probe | Phase::FailedProbe
    );
    let callback = story.release().and_then(|release| release.callback);
    let same_module = freed
        .by
        .and_then(|by| by.module.as_ref())
        .is_some_and(|module| callback.is_some_and(|own| own.module.as_ref() == Some(module)));
    in_driver_core || same_module
}

/// A step of what the report says.
fn step(model: &Model, what: String) -> Step {
    Step::at(model.now(), what)
}

/// Who did it, by one of the report's stacks.
fn cause(subject: &Subject, frames: &[StackFrame], tid: Option<u32>) -> Option<Cause> {
    let telling = |frame: &&StackFrame| {
        let name = frame.function.as_deref().and_then(Function::base_name);
        name.is_none_or(|name| !is_of_allocator(name) && !is_of_reporting(name))
    };
    let stack: Vec<String> = frames
        .iter()
        .filter(telling)
        .map(ToString::to_string)
        .collect();
    (!stack.is_empty()).then(|| Cause {
        tid: tid.unwrap_or_default(),
        stack,
        line: frames
            .iter()
            .find(telling)
            .and_then(|frame| frame.line.as_deref().cloned()),
        ..subject.cause("a call", &Task::default(), None)
    })
}

/// Behind a statement, with a comma, in which phase that was; empty where it is not known.
fn when(phase: Phase) -> String {
    match phase.words() {
        "" => String::new(),
        words => format!(", {words}"),
    }
}

/// The name of a function with its module, or words in its place.
fn name(function: Option<&Function>, otherwise: &str) -> String {
    function.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

/// What is released, for a sentence: the release function, or the part of devres.
fn released(release: &Release<'_>) -> String {
    match (release.callback, release.by_hand) {
        (Some(callback), _) => format!("the release {callback}"),
        (None, true) => release.through.to_string(),
        (None, false) => "a release".to_owned(),
    }
}

/// What tells a splat apart in fingerprints.
fn mark(splat: &Splat) -> String {
    let story = Story::of(splat);
    let callback = story
        .release()
        .and_then(|release| release.callback)
        .or_else(|| story.user())
        .or(story.allocated().and_then(|allocated| allocated.by))
        .and_then(Function::base_name);
    match callback {
        Some(function) => format!("{}/{function}", splat.kind.word()),
        None => splat.kind.word().to_owned(),
    }
}

/// A report with its article: "A KASAN report (slab-use-after-free)".
fn titled(splat: &Splat) -> String {
    let title = splat.title();
    let article = if title.starts_with(['o', 'e', 'O', 'R']) {
        "An"
    } else {
        "A"
    };
    format!("{article} {title}")
}

/// With a capital letter, at the beginning of a sentence.
fn capital(text: &str) -> String {
    // A function's name stays as it is.
    for (small, large) in [("the ", "The "), ("a ", "A "), ("somebody", "Somebody")] {
        if let Some(rest) = text.strip_prefix(small) {
            return format!("{large}{rest}");
        }
    }
    text.to_owned()
}
