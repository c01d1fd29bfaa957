//! What of a life is compared.

use std::collections::BTreeMap;

use crate::{
    event::{Hook, Time},
    evidence::Coverage,
    history::{Binding, DeviceHistory, Held, Histories, Item, LabelId, Names, Step, StepKind},
    model::{State, kind::plain_name},
};

/// What both recordings could see.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    hooks: u64,
}

impl View {
    pub(super) fn of(good: &Coverage, bad: &Coverage) -> Self {
        let hooks = Hook::ALL
            .into_iter()
            .filter(|hook| good.sees(*hook) && bad.sees(*hook))
            .fold(0, |hooks, hook| hooks | 1 << hook as u64);
        Self { hooks }
    }

    pub(super) fn has(self, hook: Hook) -> bool {
        self.hooks & (1 << hook as u64) != 0
    }

    /// A phase, as far as both know it.
    pub(super) fn phase(self, phase: State) -> State {
        if !self.has(Hook::Probe) {
            return State::Unknown;
        }
        match phase {
            State::Cleanup if !self.has(Hook::Cleanup) || !self.has(Hook::Remove) => {
                State::Removing
            }
            State::Probing if !self.has(Hook::Bound) => State::Bound,
            State::Deleted if !self.has(Hook::Delete) => State::Unbound,
            // A device that was first seen halfway has no driver as far as anybody knows.
            State::Unknown => State::Initialised,
            phase => phase,
        }
    }

    /// Whether both know which function released a resource.
    pub(super) fn has_frames(self) -> bool {
        self.has(Hook::ReleaseAll) && self.has(Hook::ReleaseGroup)
    }

    /// Whether both would have recorded this step.
    fn tells(self, step: &Step) -> bool {
        let hook = match step.kind {
            StepKind::Added(_)
            | StepKind::Removed(_)
            | StepKind::Released(_)
            | StepKind::Replaced(_)
            | StepKind::Refused
            | StepKind::Warned(..)
            | StepKind::FreedActive(_)
            | StepKind::Splat(_) => {
                return true;
            }
            StepKind::Doubtful(_) | StepKind::Missed(_) => return false,
            StepKind::GroupReleased(_) => Hook::ReleaseGroup,
            StepKind::Initialised => Hook::Initialise,
            StepKind::Probe | StepKind::ProbeFailed(_) => Hook::Probe,
            StepKind::Bound => Hook::Bound,
            StepKind::Unbind => Hook::Unbind,
            StepKind::Remove => Hook::Remove,
            StepKind::Cleanup => Hook::Cleanup,
            StepKind::PmAttached(_) => Hook::PmAttach,
            StepKind::PmDetached(_) => Hook::PmDetach,
            StepKind::Switched(hook, _) => hook,
            StepKind::Deleted => Hook::Delete,
            StepKind::Gone => Hook::FinalPut,
        };
        self.has(hook)
    }
}

/// One thing that is compared.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// What the device owned when the recording began.
    Had(&'a Held),
    /// What happened.
    Step(&'a Step),
}

impl Entry<'_> {
    /// The resource that it is about.
    #[must_use]
    pub fn item(&self) -> Option<Item> {
        match self {
            Self::Had(held) => Some(held.item),
            Self::Step(step) => step.kind.item().copied(),
        }
    }

    /// Whether with it a resource came.
    #[must_use]
    pub fn begins(&self) -> bool {
        match self {
            Self::Had(_) => true,
            Self::Step(step) => matches!(step.kind, StepKind::Added(_)),
        }
    }

    /// Whether with it a resource went.
    #[must_use]
    pub fn ends(&self) -> bool {
        match self {
            Self::Had(_) => false,
            Self::Step(step) => matches!(step.kind, StepKind::Removed(_) | StepKind::Released(_)),
        }
    }

    /// When; `None` for what was there before.
    #[must_use]
    pub fn time(&self) -> Option<Time> {
        match self {
            Self::Had(_) => None,
            Self::Step(step) => Some(step.time),
        }
    }

    /// Where the device was in its life then.
    #[must_use]
    pub fn phase(&self) -> Option<State> {
        match self {
            Self::Had(_) => None,
            Self::Step(step) => Some(step.phase),
        }
    }

    /// The function of drivers/base/devres.c that was running.
    #[must_use]
    pub fn frame(&self) -> Option<Hook> {
        match self {
            Self::Had(_) => None,
            Self::Step(step) => step.frame,
        }
    }

    /// Whether another device's probe, unbind or end did it.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        match self {
            Self::Had(_) => false,
            Self::Step(step) => step.by != LabelId::NONE,
        }
    }

    /// Whether it is a step of the device's life itself: it makes the phase, and is in none.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        match self {
            Self::Had(_) => false,
            Self::Step(step) => matches!(
                step.kind,
                StepKind::Initialised
                    | StepKind::Probe
                    | StepKind::ProbeFailed(_)
                    | StepKind::Bound
                    | StepKind::Unbind
                    | StepKind::Remove
                    | StepKind::Cleanup
                    | StepKind::Deleted
                    | StepKind::Gone
            ),
        }
    }

    /// In a word, for machines: stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Had(_) => "had",
            Self::Step(step) => step.kind.name(),
        }
    }
}

/// A binding, or several in one if probes can't be distinguished, as it is compared.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) binding: &'a Binding,
    pub(super) history: &'a DeviceHistory,
    pub(super) names: &'a Names,
    pub(super) entries: Vec<Entry<'a>>,
}

/// What makes two steps alike before it is known which resource is which.
pub(super) type Alike = (&'static str, String, State);

impl Compared<'_> {
    /// Whether it is a probe, or has resources.
    pub(super) fn is_worth_telling(&self) -> bool {
        let resources = self.entries.iter().any(|entry| entry.item().is_some());
        resources || self.binding.number > 0 && !self.entries.is_empty()
    }

    pub(super) fn bag(&self, view: View) -> BTreeMap<Alike, u32> {
        let mut bag = BTreeMap::new();
        for entry in &self.entries {
            let label = entry
                .item()
                .map(|item| canonical(self.names.text(item.label)));
            let phase = view.phase(entry.phase().unwrap_or(State::Unknown));
            let key = (entry.name(), label.unwrap_or_default(), phase);
            *bag.entry(key).or_insert(0) += 1;
        }
        bag
    }
}

/// The bindings of a life as they are compared: the first is what happened before the first probe.
pub(super) fn bindings<'a>(
    history: Option<&'a DeviceHistory>,
    histories: &'a Histories,
    view: View,
) -> Vec<Compared<'a>> {
    let Some(history) = history else {
        return Vec::new();
    };
    let mut told: Vec<Compared<'a>> = Vec::new();
    for binding in &history.bindings {
        let steps = binding
            .steps
            .iter()
            .filter(|step| view.tells(step))
            .map(Entry::Step);
        match told.last_mut() {
            Some(last) if !view.has(Hook::Probe) => last.entries.extend(steps),
            Some(_) => told.push(Compared {
                binding,
                history,
                names: &histories.names,
                entries: steps.collect(),
            }),
            None => told.push(Compared {
                binding,
                history,
                names: &histories.names,
                entries: history
                    .initial
                    .held
                    .iter()
                    .map(Entry::Had)
                    .chain(steps)
                    .collect(),
            }),
        }
    }
    told
}

pub(super) fn bag_of_history(
    history: &DeviceHistory,
    histories: &Histories,
    view: View,
) -> BTreeMap<Alike, u32> {
    let mut all = BTreeMap::new();
    for told in bindings(Some(history), histories, view) {
        for (key, count) in told.bag(view) {
            *all.entry(key).or_insert(0) += count;
        }
    }
    all
}

/// Pairs of names that stand for the same on kernels that log names and on those that don't.
const SYNONYMS: &[(&str, &str)] = &[
    ("devm_kzalloc_release", "devm_kmalloc_release"),
    ("group_open_release", "grp<"),
    ("group_close_release", "grp>"),
];

/// What a compiler adds to the name of a function of which it makes another.
const SUFFIXES: &[&str] = &[
    ".constprop",
    ".isra",
    ".part",
    ".cold",
    ".llvm",
    ".lto_priv",
    ".cfi_jt",
    ".cfi",
    ".__uniq",
];

/// A resource's name without what depends on the kernel's version or on how it was compiled.
pub(super) fn canonical(name: &str) -> String {
    let mut plain = plain_name(name);
    while let Some(shorter) = SUFFIXES.iter().find_map(|suffix| {
        let place = plain.rfind(suffix)?;
        let behind = plain.get(place + suffix.len()..)?;
        let number = behind.strip_prefix('.').unwrap_or(behind);
        let only = number.bytes().all(|byte| byte.is_ascii_hexdigit());
        (place > 0 && only && (behind.is_empty() || behind.starts_with('.')))
            .then(|| plain.get(..place))?
    }) {
        plain = shorter;
    }
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == plain);
    synonym.map_or(plain, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn compilers_and_versions_dont_change_a_name() {
        for (name, plain) in [
            ("pvpanic_remove", "pvpanic_remove"),
            ("&regulator_action_disable", "regulator_action_disable"),
            ("(void (*)(void *))put_device", "put_device"),
            ("foo.constprop.0", "foo"),
            ("foo.isra.0.cold", "foo"),
            ("foo.part.12.constprop.3", "foo"),
            ("foo.llvm.1234567890", "foo"),
            ("foo.coldness", "foo.coldness"),
            (".cold", ".cold"),
            ("devm_kzalloc_release", "devm_kmalloc_release"),
            ("Devres<kernel::io::Io>", "Devres<kernel::io::Io>"),
        ] {
            assert_eq!(canonical(name), plain, "{name}");
        }
    }
}
