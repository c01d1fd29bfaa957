//! What is known of a hook: a row of the table.

use super::Hook;
use crate::role::Role;

/// What a hook is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A tracepoint.
    Tracepoint,
    /// A function, at its entry, its return, or both.
    Function,
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// Nothing, or nothing of interest.
    Nothing,
    /// The kernel's `int`: it fills half of the register, and the other half is not defined.
    Int,
    /// An address.
    Pointer,
}

/// What else is to know of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// Attached only where it is wanted: it costs something, or few need it.
    Optional,
    /// Needed only on kernels without the `devres_log` tracepoint, where functions report additions and removals.
    WithoutLog,
    /// It is told of what it sees when managed memory goes in which that lies, and not before. Of use only on kernels with the
    /// `devres_log` tracepoint, which reports how large each payload is.
    InMemory,
    /// Its entry shows who is responsible for what follows, so that a stack is taken there.
    Stack,
    /// It has to do with the device's PM domain, of which two words are read.
    PmDomain,
    /// Events of every device are wanted, whatever the filters say: what one device's unbind does to another can
    /// only be known if both frames are known.
    Unfiltered,
    /// Where a function of the other name exists, that one is attached to.
    AliasFirst,
    /// It is seen only in a task that probes or unbinds a device, and has nothing to do with devres.
    Beside,
}

/// The names of two programs that observe the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Programs {
    /// The fentry or fexit program; of a tracepoint the one that is typed by BTF, if there is one.
    pub best: &'static str,
    /// The kprobe or kretprobe program; of a tracepoint the raw one.
    pub plain: &'static str,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Which hook this is.
    pub hook: Hook,
    /// What it is on.
    pub point: Point,
    /// The name on current kernels, and behind it those on others.
    pub symbols: &'static [&'static str],
    /// The arguments, in order. The device is the first, if there is one.
    pub arguments: &'static [Role],
    /// What is returned.
    pub returns: Returns,
    /// The programs for the entry, or the tracepoint.
    pub enter: Option<Programs>,
    /// The programs for the return.
    pub leave: Option<Programs>,
    /// What else is to know.
    pub traits: &'static [Trait],
    /// What is not known without it.
    pub without: &'static str,
}

impl Description {
    /// What must be known of a call for it to be usable at all.
    pub fn essentials(&self) -> impl Iterator<Item = Role> + use<> {
        let passed = self.arguments.iter().copied().filter(|role| {
            matches!(
                role,
                Role::Device
                    | Role::Kobject
                    | Role::Node
                    | Role::Group
                    | Role::Irq
                    | Role::DevId
                    | Role::Memory
            )
        });
        let besides: &[Role] = match self.hook {
            Hook::DevresLog => &[],
            Hook::AddDr => &[Role::Name, Role::Release],
            Hook::PmDetach => &[Role::Name, Role::PmDomain],
            Hook::Destroy | Hook::Release | Hook::DevresRemove => &[Role::Name, Role::Returned],
            _ if self.hook.has_device() => &[Role::Name],
            _ => &[],
        };
        passed.chain(besides.iter().copied())
    }

    /// Whether a function event of any tracer shows what is told of it. Of the others a probe reads what the arguments point
    /// to, and tells only of what it finds there.
    #[must_use]
    pub fn is_told_by_arguments(&self) -> bool {
        let is_read = |role: &Role| matches!(role, Role::Supply | Role::Callback);
        self.point == Point::Function && !self.arguments.iter().any(is_read)
    }

    /// Whether it has this trait.
    #[must_use]
    pub fn has(&self, wanted: Trait) -> bool {
        self.traits.contains(&wanted)
    }

    /// The names of the function in the order in which they are tried.
    pub fn candidates(&self) -> impl Iterator<Item = &'static str> + use<> {
        let first = usize::from(self.has(Trait::AliasFirst));
        let (later, sooner) = self.symbols.split_at(first);
        sooner.iter().chain(later).copied()
    }
}
