//! What a source could see, and what it could not: no verdict is better than this.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Hook, Role, hook_name, role_name};

/// What a source could see of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The hooks that the source tried, with how each was attached or why it was not.
    pub hooks: Vec<HookCoverage>,
    /// What calls of hooks that deliver events don't report, all of them or some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<Untold>,
    /// Ways of attachment that the kernel can switch off, and the source can't read whether it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread_switches: Vec<Attachment>,
    /// How node events came about.
    pub nodes: NodeEvents,
    /// Whether node addresses identify nodes.
    pub node_addresses: Addresses,
    /// Whether device addresses identify devices; without, a device is its name.
    pub device_addresses: Addresses,
    /// Whether event times are real.
    pub times: bool,
    /// Whether kernel stacks are taken.
    pub stacks: bool,
    /// What is known of the time before the source began.
    pub before: Before,
}

/// One hook and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookCoverage {
    /// Which one.
    #[serde(with = "hook_name")]
    #[schemars(with = "String")]
    pub hook: Hook,
    /// How it is attached, or why not, in words for a person.
    pub state: HookState,
}

/// An argument that calls don't report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Untold {
    /// Of which hook.
    #[serde(with = "hook_name")]
    #[schemars(with = "String")]
    pub hook: Hook,
    /// Which argument.
    #[serde(with = "role_name")]
    #[schemars(with = "String")]
    pub role: Role,
    /// Why, in words for a person.
    pub reason: String,
}

/// What keeps a rule from deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The hooks of which one would do.
    pub any: &'static [Hook],
    /// The argument that it doesn't report, if the hook itself is there.
    pub role: Option<Role>,
}

/// Whether a hook delivers events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    /// It does.
    Attached(Attachment),
    /// It does not, for this reason.
    Missing(String),
    /// It is not needed on this kernel: another hook reports the same.
    NotNeeded(String),
}

/// How a hook is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attachment {
    /// A BTF-typed raw tracepoint.
    TpBtf,
    /// A raw tracepoint.
    RawTracepoint,
    /// fentry, with fexit where the return is of interest.
    Fentry,
    /// kprobe, with kretprobe where the return is of interest.
    Kprobe,
    /// The events were read from a text or file that another tool recorded.
    Recorded,
}

impl fmt::Display for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TpBtf => "tp_btf",
            Self::RawTracepoint => "raw_tp",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Recorded => "recorded",
        })
    }
}

/// How node events came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeEvents {
    /// The kernel logged each addition, removal and release.
    #[default]
    Logged,
    /// Additions and removals were seen at their functions; releases are concluded by the model from
    /// `devres_release_all` and `devres_release_group`.
    Concluded,
}

/// What an address in an event is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// The kernel's own.
    #[default]
    Real,
    /// Hashed by the kernel's `%p`: equal addresses have equal hashes, nothing more.
    Hashed,
    /// None, or useless.
    Absent,
}

/// What is known of the time before the source began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Nothing existed before: the source saw every device's whole life.
    #[default]
    Nothing,
    /// The resources that existed were read from the kernel's memory.
    Snapshot,
    /// Nothing is known, for this reason.
    Unknown(String),
}

impl Coverage {
    /// How `hook` is attached, if it is.
    #[must_use]
    pub fn attachment(&self, hook: Hook) -> Option<Attachment> {
        self.hooks
            .iter()
            .find(|entry| entry.hook == hook)
            .and_then(|entry| match entry.state {
                HookState::Attached(attachment) => Some(attachment),
                HookState::Missing(_) | HookState::NotNeeded(_) => None,
            })
    }

    /// Whether `hook` delivers events.
    #[must_use]
    pub fn sees(&self, hook: Hook) -> bool {
        self.attachment(hook).is_some()
    }

    /// Whether the calls of `hook` report this argument, as far as there are any.
    #[must_use]
    pub fn tells(&self, hook: Hook, role: Role) -> bool {
        self.untold(hook, role).is_none()
    }

    fn untold(&self, hook: Hook, role: Role) -> Option<&Untold> {
        let mut untold = self.untold.iter();
        untold.find(|untold| untold.hook == hook && untold.role == role)
    }

    /// Whether `hook` delivers events with what is needed of each of its calls.
    #[must_use]
    pub fn serves(&self, hook: Hook) -> bool {
        self.sees(hook) && self.unserved(hook).is_none()
    }

    fn unserved(&self, hook: Hook) -> Option<&Untold> {
        if self.untold.is_empty() {
            return None;
        }
        let mut essentials = hook.description().essentials();
        essentials.find_map(|role| self.untold(hook, role))
    }

    /// For each hook that is seen and of no use, what it is seen without.
    pub fn of_no_use(&self) -> impl Iterator<Item = &Untold> {
        let seen = self.hooks.iter().filter(|entry| self.sees(entry.hook));
        seen.filter_map(|entry| self.unserved(entry.hook))
    }

    /// What is not seen, and why.
    #[must_use]
    pub fn explain(&self, gap: Gap) -> String {
        let untold = gap
            .any
            .iter()
            .filter(|hook| self.sees(**hook))
            .find_map(|hook| match gap.role {
                Some(role) => self.untold(*hook, role),
                None => self.unserved(*hook),
            });
        if let Some(Untold { hook, role, reason }) = untold {
            return format!(
                "{} is seen without {}: {reason}",
                hook.symbol(),
                role.name()
            );
        }
        let reason = gap.any.iter().find_map(|hook| self.reason(*hook));
        let reason = reason.unwrap_or("the source does not record it");
        format!("{} is not seen: {reason}", any_of(gap.any))
    }

    /// Why `hook` delivers no events, if it doesn't and the source says why.
    #[must_use]
    pub fn reason(&self, hook: Hook) -> Option<&str> {
        let entry = self.hooks.iter().find(|entry| entry.hook == hook)?;
        match &entry.state {
            HookState::Attached(_) => None,
            HookState::Missing(reason) | HookState::NotNeeded(reason) => Some(reason),
        }
    }

    /// The hooks that should be there and are not, with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (Hook, &str)> {
        self.hooks.iter().filter_map(|entry| match &entry.state {
            HookState::Missing(reason) => Some((entry.hook, reason.as_str())),
            HookState::Attached(_) | HookState::NotNeeded(_) => None,
        })
    }
}

/// Hooks of which one is enough, in words: of many the first two and how many more there are.
#[must_use]
pub fn any_of(hooks: &[Hook]) -> String {
    const MOST: usize = 4;
    let mut symbols: Vec<String> = hooks.iter().map(|hook| hook.symbol().to_owned()).collect();
    if symbols.len() > MOST {
        let rest = symbols.split_off(2).len();
        symbols.push(format!("one of {rest} others"));
    }
    symbols.join(" or ")
}
