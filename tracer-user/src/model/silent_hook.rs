//! A hook that is attached and silent, and the sign that shows it.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::InstanceKey;
use crate::{
    event::{Hook, Text, Time},
    evidence::Attachment,
};

/// What shows that a hook is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The kernel says that nothing attached in this way fires.
    SwitchedOff(Attachment),
    /// Nothing was seen of what is attached in this way, and whether the kernel has switched it off can't be read.
    NothingSeen(Attachment),
    /// Resources were released, and neither function that does so was seen to be entered.
    ReleaseOutsideCall,
    /// Something was seen that only this function does, and not its call.
    EffectWithoutCall(Hook),
    /// A call stack goes through this function, and it was not seen to be entered.
    OnStack(Hook),
    /// `outer` always calls `inner`, and went on or returned without.
    Skipped {
        /// Not seen.
        inner: Hook,
        /// Seen.
        outer: Hook,
    },
    /// This function was entered, and neither of those that call it.
    WithoutCaller(Hook),
    /// This function was not seen to return, and its caller was.
    NotReturned(Hook),
    /// A device has got a driver, and neither a probe of it nor its success was seen.
    DriverWithoutProbe,
}

impl Sign {
    /// The hooks of which at least one is silent; none where it is all that are attached in one way.
    #[must_use]
    pub fn hooks(self) -> Vec<Hook> {
        match self {
            Self::SwitchedOff(_) | Self::NothingSeen(_) => Vec::new(),
            Self::ReleaseOutsideCall => vec![Hook::ReleaseAll, Hook::ReleaseGroup],
            Self::WithoutCaller(_) => vec![Hook::Unbind, Hook::Probe],
            Self::DriverWithoutProbe => vec![Hook::Probe, Hook::Bound],
            Self::EffectWithoutCall(hook) | Self::OnStack(hook) | Self::NotReturned(hook) => {
                vec![hook]
            }
            Self::Skipped { inner, .. } => vec![inner],
        }
    }

    /// Whether all hooks that are attached in one way are silent.
    const fn is_about_all(self) -> bool {
        matches!(self, Self::SwitchedOff(_) | Self::NothingSeen(_))
    }

    /// Whether what follows may be taken for something that it is not, so that it counts as after a loss: an
    /// addition in a probe that was not seen looks like one to a device without a driver. What is skipped inside
    /// of something that was seen, or only counts what is seen already, misleads nobody: less is found.
    pub(super) const fn misleads(self) -> bool {
        !matches!(
            self,
            Self::Skipped { .. } | Self::NotReturned(_) | Self::EffectWithoutCall(Hook::DevresAdd)
        )
    }

    /// In one word, for machines: stable.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SwitchedOff(_) => "switched-off",
            Self::NothingSeen(_) => "nothing-seen",
            Self::ReleaseOutsideCall => "release-outside-call",
            Self::EffectWithoutCall(_) => "effect-without-call",
            Self::OnStack(_) => "on-stack",
            Self::Skipped { .. } => "skipped",
            Self::WithoutCaller(_) => "without-caller",
            Self::NotReturned(_) => "not-returned",
            Self::DriverWithoutProbe => "driver-without-probe",
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff(Attachment::Kprobe) => formatter.write_str(
                "kprobes are switched off (switch them on: echo 1 >/sys/kernel/debug/kprobes/enabled)",
            ),
            Self::SwitchedOff(_) => formatter.write_str(
                "ftrace is switched off (switch it on: sysctl kernel.ftrace_enabled=1)",
            ),
            Self::NothingSeen(Attachment::Kprobe) => formatter.write_str(
                "no function was seen to be entered, and whether kprobes are switched off can't be read \
                 (/sys/kernel/debug/kprobes/enabled: mount debugfs)",
            ),
            Self::NothingSeen(_) => formatter.write_str(
                "no function was seen to be entered, and whether ftrace is switched off can't be read \
                 (/proc/sys/kernel/ftrace_enabled)",
            ),
            Self::ReleaseOutsideCall => {
                formatter.write_str("resources were released outside of both")
            }
            Self::EffectWithoutCall(hook) => formatter.write_str(match hook {
                Hook::OpenGroup => "a group was opened without it",
                Hook::CloseGroup => "a group was closed without it",
                Hook::DevresAdd => "a resource was added through it, and its entry was not seen",
                Hook::Krealloc => "a block was replaced without it",
                _ => "a PM domain was detached without it",
            }),
            Self::OnStack(_) => {
                formatter.write_str("a call stack goes through it, and its entry was not seen")
            }
            Self::Skipped { inner: _, outer } => {
                write!(formatter, "{} always calls it, and was seen without", outer.symbol())
            }
            Self::WithoutCaller(hook) => {
                write!(formatter, "{} was entered outside of both", hook.symbol())
            }
            Self::NotReturned(_) => {
                formatter.write_str("its caller was seen to return, and it was not")
            }
            Self::DriverWithoutProbe => {
                formatter.write_str("a device was bound without either")
            }
        }
    }
}

/// A hook that is attached and silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentHook {
    /// What shows it.
    pub sign: Sign,
    /// The hooks of which at least one is silent.
    pub hooks: Vec<Hook>,
    /// When it showed first.
    pub first: Time,
    /// On which device.
    pub device: Option<InstanceKey>,
    /// That device's name.
    pub name: Option<Text>,
    /// How many times it showed.
    pub count: u64,
}

impl SilentHook {
    /// The hooks in words.
    #[must_use]
    pub fn symbols(&self) -> String {
        let symbols: Vec<_> = self.hooks.iter().map(|hook| hook.symbol()).collect();
        match (self.sign.is_about_all(), symbols.as_slice()) {
            (true, [one, _, ..]) => format!("{one} and {} others", symbols.len() - 1),
            _ => symbols.join(" or "),
        }
    }
}

impl fmt::Display for SilentHook {
    /// In one line, which can hold a device's name as the kernel has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.sign.is_about_all() && self.hooks.len() > 1;
        let verb = if all { "are" } else { "is" };
        let hooks = self.symbols();
        write!(
            formatter,
            "{hooks} {verb} attached and silent: {}",
            self.sign
        )?;
        match (&self.name, self.count) {
            (Some(name), 1) => write!(formatter, " (on {name} at {})", self.first),
            (Some(name), count) => write!(
                formatter,
                " ({count} times, first on {name} at {})",
                self.first
            ),
            (None, _) => Ok(()),
        }
    }
}

/// The same in JSON.
#[derive(Serialize, JsonSchema)]
struct HookRecord<'hook> {
    hooks: Vec<&'static str>,
    sign: &'static str,
    why: String,
    first: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'hook str>,
    count: u64,
}

impl JsonSchema for SilentHook {
    fn schema_name() -> Cow<'static, str> {
        "SilentHook".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        HookRecord::json_schema(generator)
    }
}

impl Serialize for SilentHook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = HookRecord {
            hooks: self.hooks.iter().map(|hook| hook.symbol()).collect(),
            sign: self.sign.word(),
            why: self.sign.to_string(),
            first: self.first,
            device: self.name.as_deref(),
            count: self.count,
        };
        record.serialize(serializer)
    }
}
