//! What a splat's stacks show: in which release it happened, in which phase, who allocated and who freed.

use super::{
    MemoryFault, Role, Splat, SplatKind, SplatStack,
    frames::{self, Core, Given},
    is_of_reporting,
    library::caller_of_library,
};
use crate::event::{Function, StackFrame};

/// In which phase of a device's life something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The driver's probe ran.
    Probe,
    /// The driver's probe had failed, and what it had acquired was released.
    FailedProbe,
    /// The driver was being unbound.
    Unbind,
    /// `device_del()`.
    Deletion,
    /// The last reference to the device was put.
    FinalPut,
    /// The stack does not show it.
    Unknown,
}

impl Phase {
    /// In words, behind a statement: "during an unbind"; empty where it is not known.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Probe => "during a probe",
            Self::FailedProbe => "after a failed probe",
            Self::Unbind => "during an unbind",
            Self::Deletion => "in device_del()",
            Self::FinalPut => "at the last put of the device",
            Self::Unknown => "",
        }
    }
}

/// A release that a stack goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release<'a> {
    /// The release function, or the action; none where devres itself was at work, freeing memory for one.
    pub callback: Option<&'a Function>,
    /// The part of devres that called it.
    pub through: &'a Function,
    /// The driver gave it up by hand: `devm_kfree()`, `devm_release_action()`.
    pub by_hand: bool,
    /// In which phase.
    pub phase: Phase,
}

impl Release<'_> {
    /// In words, behind a statement: "in the release `foo_disable`, during an unbind".
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut words = match (self.callback, self.by_hand) {
            (Some(callback), false) => format!("in the release {callback}"),
            (Some(callback), true) => format!("in {callback}, called by {}", self.through),
            (None, true) => format!("in {}", self.through),
            (None, false) => format!("while {} releases resources", self.through),
        };
        let phase = self.phase.words();
        if !phase.is_empty() {
            words.push_str(", ");
            words.push_str(phase);
        }
        words
    }
}

/// What a splat shows.
#[derive(Debug, Clone, Copy)]
pub struct Story<'a> {
    pub(super) splat: &'a Splat,
    main: Option<&'a SplatStack>,
}

impl<'a> Story<'a> {
    /// What this splat shows.
    #[must_use]
    pub fn of(splat: &'a Splat) -> Self {
        let stuck = splat.kind.is_stuck();
        let mut reports = splat
            .stacks
            .iter()
            .filter(|stack| stack.role == Role::Report || stuck && stack.role == Role::Interrupted);
        // Of several, as those of all tasks that don't get on, the one that goes through devres.
        let first = reports.clone().next();
        let main = reports
            .find(|stack| release(&stack.frames).is_some())
            .or(first);
        // The allocator finds it when the memory is used next: by somebody who has nothing to do with it.
        let late =
            splat.kind == SplatKind::Slab && splat.memory_fault() == MemoryFault::UsedAfterFree;
        Self {
            splat,
            main: main.filter(|_| !late),
        }
    }

    /// The frames of the stack where it happened, innermost first.
    #[must_use]
    pub fn frames(&self) -> &'a [StackFrame] {
        self.main.map_or(&[], |stack| &stack.frames)
    }

    /// The release in which it happened.
    #[must_use]
    pub fn release(&self) -> Option<Release<'a>> {
        release(self.frames())
    }

    /// Where it happened, in words behind a statement: the function, the release, the phase.
    #[must_use]
    pub fn place(&self) -> String {
        let Some(function) = self.function() else {
            return self
                .release()
                .map_or_else(String::new, |release| format!(" {}", release.sentence()));
        };
        match self.release() {
            Some(release)
                if [release.callback, Some(release.through)].contains(&Some(function)) =>
            {
                format!(" {}", release.sentence())
            }
            Some(release) => format!(" in {function}, {}", release.sentence()),
            None => format!(" in {function}"),
        }
    }

    /// The phase in which it happened, in a release or not.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.release() {
            Some(release) => release.phase,
            None => phase(self.frames(), false),
        }
    }

    /// The function in which it happened, without those of the allocator and of what reports.
    #[must_use]
    pub fn function(&self) -> Option<&'a Function> {
        // The one that RCU waits for names it; another one, which is shown behind it, was elsewhere.
        let is_anothers = self.splat.kind == SplatKind::Stall
            && self.main.is_some_and(|stack| stack.role == Role::Report)
            && self.splat.stack(Role::Interrupted).is_some();
        if let Some(function) = self.splat.function.as_deref()
            && !is_anothers
            && function
                .base_name()
                .is_some_and(|name| !frames::is_of_allocator(name) && !is_of_reporting(name))
        {
            return Some(function);
        }
        frames::named(self.frames())
            .find(|(_, _, name)| !frames::is_of_allocator(name) && !is_of_reporting(name))
            .map(|(_, function, _)| function)
    }

    /// Who had what it is about: the innermost function that is none of the kernel's library, such as one that takes a
    /// lock or prints a string.
    #[must_use]
    pub fn user(&self) -> Option<&'a Function> {
        let own = self.function()?;
        Some(caller_of_library(self.frames(), own).unwrap_or(own))
    }

    /// The managed function that acquires or frees something where it happened, outside of a release.
    #[must_use]
    pub fn managed(&self) -> Option<&'a Function> {
        let mut outer = frames::named(self.frames())
            .filter(|(_, function, _)| frames::is_devres(function))
            .map(|(_, function, _)| function);
        outer.next()
    }

    /// Who called that: the driver, as a rule.
    #[must_use]
    pub fn caller(&self) -> Option<&'a Function> {
        let mut behind = frames::named(self.frames())
            .skip_while(|(_, function, _)| !frames::is_devres(function))
            .skip_while(|(_, function, _)| frames::is_devres(function));
        behind.next().map(|(_, function, _)| function)
    }

    /// Who allocated the memory, as far as known.
    #[must_use]
    pub fn allocated(&self) -> Option<Given<'a>> {
        let stack = self.splat.stack(Role::Allocated)?;
        Some(Given::of(&stack.frames))
    }

    /// Who freed the memory before, as far as known.
    #[must_use]
    pub fn freed(&self) -> Option<Given<'a>> {
        let stack = self.splat.stack(Role::Freed)?;
        Some(Given::of(&stack.frames))
    }

    /// Who called the function that freed the memory before.
    #[must_use]
    pub fn freed_for(&self) -> Option<&'a Function> {
        let by = self.freed()?.by?;
        frames::named(&self.splat.stack(Role::Freed)?.frames)
            .map(|(_, function, _)| function)
            .skip_while(|function| *function != by)
            .nth(1)
    }

    /// The release in which the memory was freed.
    #[must_use]
    pub fn freed_in(&self) -> Option<Release<'a>> {
        release(&self.splat.stack(Role::Freed)?.frames)
    }

    /// Whether the memory was freed because the last reference to what lies in it was put: who may still use it is a
    /// question of references.
    #[must_use]
    pub fn is_freed_by_last_put(&self) -> bool {
        let Some(stack) = self.splat.stack(Role::Freed) else {
            return false;
        };
        frames::named(&stack.frames)
            .take_while(|(_, function, name)| !frames::releases(function, name))
            .any(|(_, _, name)| {
                name.split('_')
                    .any(|word| matches!(word, "put" | "kobject" | "kref"))
            })
    }

    /// Whether the memory was freed with a group that was released by itself.
    #[must_use]
    pub fn is_freed_by_group(&self) -> bool {
        let is_of_group = |release: &Release<'_>| {
            self.splat.stack(Role::Freed).is_some_and(|stack| {
                frames::named(&stack.frames).any(|(_, _, name)| name == "devres_release_group")
            }) && release.phase == Phase::Unknown
        };
        self.freed_in().as_ref().is_some_and(is_of_group)
    }

    /// A release that only a further stack goes through: an earlier link in a chain of locks, or who queued what ran.
    #[must_use]
    pub fn release_elsewhere(&self) -> Option<Release<'a>> {
        let others = self.splat.stacks.iter().filter(|it| it.role == Role::Other);
        others
            .filter_map(|stack| release(&stack.frames))
            .find(|release| !release.by_hand)
    }

    /// The phase in which the memory was freed.
    #[must_use]
    pub fn freed_when(&self) -> Phase {
        let Some(stack) = self.splat.stack(Role::Freed) else {
            return Phase::Unknown;
        };
        match release(&stack.frames) {
            Some(release) => release.phase,
            None => phase(&stack.frames, false),
        }
    }

    /// Whether the memory was used when other resources were released than those that it was freed with: by another task, or
    /// in another phase.
    #[must_use]
    pub fn is_of_two_bindings(&self) -> bool {
        let (Some(used), Some(freed)) = (self.release(), self.freed_in()) else {
            return false;
        };
        let tids = (
            self.main.and_then(|stack| stack.tid),
            self.splat.stack(Role::Freed).and_then(|stack| stack.tid),
        );
        let are_known = used.phase != Phase::Unknown && freed.phase != Phase::Unknown;
        matches!(tids, (Some(used), Some(freed)) if used != freed)
            || are_known && used.phase != freed.phase
    }

    /// Whether the release function in which the memory was used freed it, too: in one call, that is no question of
    /// order.
    #[must_use]
    pub fn is_within_one_release(&self) -> bool {
        let (Some(used), Some(freed)) = (self.release(), self.freed_in()) else {
            return false;
        };
        let same_task = match (self.main, self.splat.stack(Role::Freed)) {
            (Some(main), Some(freed)) => {
                main.tid.is_none() || freed.tid.is_none() || main.tid == freed.tid
            }
            _ => true,
        };
        used.callback.is_some() && used.callback == freed.callback && same_task
    }

    /// Whether devres occurs in it at all, or what managed resources are released too late for.
    #[must_use]
    pub fn is_of_devres(&self) -> bool {
        if self.splat.kind == SplatKind::LiveIrq && self.phase() != Phase::Unknown {
            return true;
        }
        let stuck = self.splat.kind.is_stuck();
        self.splat
            .stacks
            .iter()
            .filter(|stack| stuck || stack.role != Role::Interrupted)
            .filter(|stack| !stuck || stack.role != Role::Other)
            .any(|stack| {
                frames::named(&stack.frames).any(|(_, function, _)| frames::is_devres(function))
            })
    }
}

/// The function of the driver core that has called a release: where devres has no frame, the compiler has put it into that.
fn caller_of_release(frames: &[StackFrame]) -> Option<(usize, &Function, &str)> {
    frames::named(frames)
        .zip(frames::named(frames).skip(1))
        .find(|((_, _, called), (_, function, name))| {
            let is_release = called.starts_with("devm_") && called.contains("release");
            is_release && frames::calls_devres(function, name)
        })
        .map(|(_, caller)| caller)
}

/// The innermost release that a stack goes through.
fn release(frames: &[StackFrame]) -> Option<Release<'_>> {
    let by_list = frames::named(frames)
        .find(|(_, function, name)| frames::releases(function, name))
        .or_else(|| caller_of_release(frames));
    let by_hand = frames::named(frames).find(|(_, function, name)| {
        let is_core = matches!(*name, "devres_release" | "devres_destroy");
        function.module.is_none() && is_core || frames::is_freeing(name)
    });
    // What the driver has called, and not the part of devres that does it.
    let by_hand = by_hand.map(|(at, inner, _)| {
        let outer = frames::named(frames.get(at..).unwrap_or_default())
            .take_while(|(_, function, _)| frames::is_devres(function))
            .filter(|(_, _, name)| frames::is_freeing(name));
        (at, outer.last().map_or(inner, |(_, function, _)| function))
    });
    // `devm_kfree()` in a release is a part of that release, not one by hand.
    let (at, through, by_hand) = match (by_list, by_hand) {
        (Some((at, function, _)), _) => (at, function, false),
        (None, Some((at, function))) => (at, function, true),
        (None, None) => return None,
    };
    let inner = frames.get(..at).unwrap_or_default();
    let callback = frames::named(inner)
        .filter(|(_, function, name)| {
            !(function.module.is_none()
                && (frames::passes_on(name) || frames::releases(function, name)))
                && !is_of_reporting(name)
        })
        .last()
        // Devres is called by the driver core and calls nothing of it: there the frames are out of order.
        .filter(|(_, function, name)| !frames::calls_devres(function, name))
        .filter(|(_, _, name)| !frames::is_of_allocator(name))
        .map(|(_, function, _)| function);
    let phase = phase(frames.get(at..).unwrap_or_default(), !by_hand);
    Some(Release {
        callback,
        through,
        by_hand,
        phase,
    })
}

/// The phase, by what the innermost function of the driver core is.
fn phase(frames: &[StackFrame], releasing: bool) -> Phase {
    let mut named = frames::named(frames);
    // What a driver's probe itself has released, while it still ran, is none of a failed probe.
    let mut by_core = true;
    let core = named.find_map(|(_, function, name)| {
        let core = frames::core(function, name);
        by_core &=
            core.is_some() || frames::is_devres(function) || frames::calls_devres(function, name);
        core
    });
    match core {
        Some(Core::Probe) if releasing && by_core => Phase::FailedProbe,
        Some(Core::Probe) => Phase::Probe,
        Some(Core::Unbind) => Phase::Unbind,
        Some(Core::Deletion) => Phase::Deletion,
        Some(Core::FinalPut) => Phase::FinalPut,
        None => Phase::Unknown,
    }
}
