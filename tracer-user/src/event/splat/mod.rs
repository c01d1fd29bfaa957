//! Splats: what the kernel writes into its log when something is wrong, with the stacks that come with it.

mod driver;
mod frames;
mod library;
mod reporting;
mod story;

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, StackFrame, Text};

pub use frames::{Given, is_devres, is_freeing, is_managed, warns_of_miss};
pub(crate) use frames::{is_of_allocator, is_of_driver_core};
pub(crate) use reporting::{is_interrupt_entry, is_of_reporting};
pub use story::{Phase, Release, Story};

/// A report of the kernel about a fault, with its stacks. Only those are events in whose stacks devres occurs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Splat {
    /// What it reports.
    pub kind: SplatKind,
    /// The kernel's own words for that: `slab-use-after-free`, the type of an active object, a file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text>,
    /// The place in the source that it names, such as `kernel/irq/devres.c:144`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Text>,
    /// The function in which it happened, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Arc<Function>>,
    /// The function that an active object would have called, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Text>,
    /// The number of the interrupt, or the seconds for which something has been going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The module that was being loaded or unloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Text>,
    /// The kernel did not go on after it.
    #[serde(default)]
    pub fatal: bool,
    /// Its first lines are missing: what it reports is concluded from the rest.
    #[serde(default)]
    pub cut: bool,
    /// Its stacks.
    pub stacks: Vec<SplatStack>,
}

/// What is known of reports whose lines are among each other's.
pub const MIXED: &str = "lines of several reports are mixed";

/// What is said of memory that has the tag of what is free: `KASAN_TAG_INVALID` of mm/kasan/kasan.h.
pub const FREE_TAG: &str = "memory tag fe";

/// A stack in a splat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SplatStack {
    /// Of what it is.
    pub role: Role,
    /// The task, where it is another than the event's or the report names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// The frames, innermost first, without those of which the kernel itself is not sure.
    pub frames: Arc<[StackFrame]>,
}

/// What a stack in a splat shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Where it happened.
    Report,
    /// What an interrupt, in which it happened, had interrupted.
    Interrupted,
    /// Who allocated the memory that it is about.
    Allocated,
    /// Who freed that memory.
    Freed,
    /// Something else: a lock's history, who queued a work item.
    Other,
}

impl Role {
    /// Every role: the numbers that trace files give them.
    pub const ALL: [Self; 5] = [
        Self::Report,
        Self::Interrupted,
        Self::Allocated,
        Self::Freed,
        Self::Other,
    ];
}

/// What a splat reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplatKind {
    /// Unknown: only a stack is left of it.
    #[default]
    Stack,
    /// `WARN_ON()`.
    Warning,
    /// `BUG_ON()`, and what else the kernel calls a BUG.
    Bug,
    /// An access that the processor refused: a NULL or stray pointer.
    Oops,
    /// An access that the hardware refused: an external abort, an `SError`, a machine check.
    Abort,
    /// Nothing but that the kernel stopped.
    Panic,
    /// KASAN.
    Kasan,
    /// KFENCE.
    Kfence,
    /// The slab allocator's own checks.
    Slab,
    /// `debug_check_no_obj_freed()`: memory was freed with something active in it.
    FreedActive,
    /// `__free_irq()`: "Trying to free already-free IRQ".
    FreedIrq,
    /// `debug_check_no_locks_freed()`: memory was freed with a lock held in it.
    FreedLock,
    /// khungtaskd: a task is blocked.
    Hung,
    /// The watchdog: a CPU is stuck.
    Lockup,
    /// RCU waits for a CPU or task.
    Stall,
    /// lockdep, and other complaints about locks and contexts.
    Lockdep,
    /// `refcount_t`.
    Refcount,
    /// UBSAN.
    Ubsan,
    /// A list is corrupt.
    List,
    /// sysfs: a name is taken.
    DuplicateName,
    /// A kobject was misused.
    Kobject,
    /// `unregister_irq_proc()`: an interrupt's number is freed, and its handler is not.
    LiveIrq,
}

impl SplatKind {
    /// Every kind, by the numbers that trace files give them.
    pub const ALL: [Self; 22] = [
        Self::Stack,
        Self::Warning,
        Self::Bug,
        Self::Oops,
        Self::Abort,
        Self::Panic,
        Self::Kasan,
        Self::Kfence,
        Self::Slab,
        Self::FreedActive,
        Self::FreedIrq,
        Self::FreedLock,
        Self::Hung,
        Self::Lockup,
        Self::Stall,
        Self::Lockdep,
        Self::Refcount,
        Self::Ubsan,
        Self::List,
        Self::DuplicateName,
        Self::Kobject,
        Self::LiveIrq,
    ];

    /// In a word, for fingerprints: stable.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Warning => "warning",
            Self::Bug => "bug",
            Self::Oops => "oops",
            Self::Abort => "abort",
            Self::Panic => "panic",
            Self::Kasan => "kasan",
            Self::Kfence => "kfence",
            Self::Slab => "slab",
            Self::FreedActive => "freed-active",
            Self::FreedIrq => "already-free-irq",
            Self::FreedLock => "freed-lock",
            Self::Hung => "hung-task",
            Self::Lockup => "lockup",
            Self::Stall => "rcu-stall",
            Self::Lockdep => "lockdep",
            Self::Refcount => "refcount",
            Self::Ubsan => "ubsan",
            Self::List => "list-corruption",
            Self::DuplicateName => "duplicate-name",
            Self::Kobject => "kobject",
            Self::LiveIrq => "live-irq",
        }
    }

    /// Whether it is about a task that makes no progress.
    #[must_use]
    pub const fn is_stuck(self) -> bool {
        matches!(self, Self::Hung | Self::Lockup | Self::Stall)
    }

    /// Whether a tool that watches memory reports, so that it knows who allocated and freed it.
    #[must_use]
    pub const fn watches_memory(self) -> bool {
        matches!(self, Self::Kasan | Self::Kfence | Self::Slab)
    }
}

/// What was wrong with an access to memory, or with freeing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryFault {
    /// It had been freed.
    UsedAfterFree,
    /// It was freed twice, or by what can't free it.
    WronglyFreed,
    /// Something else: beyond its end, for one.
    Other,
}

impl Splat {
    /// What was wrong with the memory, where the report is of a tool that watches it.
    #[must_use]
    pub fn memory_fault(&self) -> MemoryFault {
        let detail = self.detail.as_deref().unwrap_or_default();
        let says = |word: &str| {
            detail
                .split(|byte: char| !byte.is_ascii_alphanumeric())
                .collect::<Vec<_>>()
                .join("-")
                .to_ascii_lowercase()
                .contains(word)
        };
        if !self.kind.watches_memory() {
            MemoryFault::Other
        } else if says("double-free") || says("invalid-free") || says("already-free") {
            MemoryFault::WronglyFreed
        } else if says("use-after-free") || says("poison-overwritten") || detail.ends_with(FREE_TAG)
        {
            MemoryFault::UsedAfterFree
        } else {
            MemoryFault::Other
        }
    }

    /// The first stack of this role.
    #[must_use]
    pub fn stack(&self, role: Role) -> Option<&SplatStack> {
        self.stacks.iter().find(|stack| stack.role == role)
    }

    /// What it reports, as the subject of a sentence without its article: "KASAN report (slab-use-after-free)".
    #[must_use]
    pub fn title(&self) -> String {
        let detail = self.detail.as_deref();
        let with =
            |name: &str| detail.map_or_else(|| name.to_owned(), |it| format!("{name} ({it})"));
        match self.kind {
            SplatKind::Stack => match detail {
                Some(it) => format!("call trace ({it})"),
                None => "call trace (no line says why)".to_owned(),
            },
            SplatKind::Warning => match &self.place {
                Some(place) => format!("warning ({place})"),
                None => with("warning"),
            },
            SplatKind::Bug => match (detail, &self.place) {
                (None, Some(place)) => format!("BUG ({place})"),
                _ => with("BUG"),
            },
            SplatKind::Oops => with("oops"),
            SplatKind::Abort => with("external abort"),
            SplatKind::Panic => with("panic"),
            SplatKind::Kasan => with("KASAN report"),
            SplatKind::Kfence => with("KFENCE report"),
            SplatKind::Slab => with("report of the slab allocator"),
            SplatKind::FreedActive => with("ODEBUG report"),
            SplatKind::FreedIrq => match self.number {
                Some(number) => format!("warning (interrupt {number} is already free)"),
                None => "warning (an interrupt is already free)".to_owned(),
            },
            SplatKind::FreedLock => "lockdep report (a held lock is freed)".to_owned(),
            SplatKind::Hung => match self.number {
                Some(seconds) => format!("hung task report (blocked for more than {seconds} s)"),
                None => "hung task report".to_owned(),
            },
            SplatKind::Lockup => match self.number {
                Some(seconds) => format!("lockup report (stuck for {seconds} s)"),
                None => "lockup report".to_owned(),
            },
            SplatKind::Stall => "RCU stall report".to_owned(),
            SplatKind::Lockdep => with("lockdep report"),
            SplatKind::Refcount => with("refcount warning"),
            SplatKind::Ubsan => with("UBSAN report"),
            SplatKind::List => with("list corruption report"),
            SplatKind::DuplicateName => with("sysfs warning: a name is taken"),
            SplatKind::Kobject => with("kobject warning"),
            SplatKind::LiveIrq => match self.number {
                Some(number) => format!("warning (interrupt {number} still has a handler)"),
                None => "warning (an interrupt still has a handler)".to_owned(),
            },
        }
    }
}

impl fmt::Display for Splat {
    /// In one line: what, where, within which release, in which phase.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = Story::of(self);
        write!(formatter, "{}{}", self.title(), story.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_role_has_one_number() {
        for (place, kind) in SplatKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
        for (place, role) in Role::ALL.iter().enumerate() {
            assert_eq!(*role as usize, place);
        }
    }

    #[test]
    fn memory_faults_are_told_apart_by_the_kernels_words() {
        for (detail, expected) in [
            ("slab-use-after-free", MemoryFault::UsedAfterFree),
            ("use-after-free read", MemoryFault::UsedAfterFree),
            ("Poison overwritten", MemoryFault::UsedAfterFree),
            ("double-free or invalid-free", MemoryFault::WronglyFreed),
            ("invalid-free", MemoryFault::WronglyFreed),
            ("invalid free", MemoryFault::WronglyFreed),
            ("Object already free", MemoryFault::WronglyFreed),
            ("slab-out-of-bounds", MemoryFault::Other),
            ("invalid-access", MemoryFault::Other),
            ("invalid-access, memory tag fe", MemoryFault::UsedAfterFree),
            ("null-ptr-deref", MemoryFault::Other),
        ] {
            let splat = Splat {
                kind: SplatKind::Kasan,
                detail: Some(detail.into()),
                ..Splat::default()
            };
            assert_eq!(splat.memory_fault(), expected, "{detail}");
        }
    }
}
