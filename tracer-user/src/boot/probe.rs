//! A probe event, as tracefs takes it.

use super::{
    hooks::{ActionPart, Argument, Form, Value},
    machine::Machine,
    target::Target,
};
use crate::event::Hook;

/// One probe event, on a function's entry or return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it observes.
    pub hook: Hook,
    /// The function.
    pub function: &'static str,
    /// Where it is, where that is known: only of the running kernel.
    pub address: Option<u64>,
    /// Whether it is on the return.
    pub returns: bool,
    /// `name=value`, as tracefs takes them.
    pub arguments: Vec<String>,
}

/// Calls of one function whose returns can be awaited at once: a device's removal removes others.
const AWAITED: u32 = 32;

impl Probe {
    /// The event's name: what the kernel calls it where no name is given, so that none need be given on a command
    /// line; and where addresses have no names any more, the import takes the function from it.
    #[must_use]
    pub fn event(&self) -> String {
        let kind = if self.returns { 'r' } else { 'p' };
        format!("{kind}_{}_0", self.function)
    }

    /// The words of its definition without the event's name, as on a command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.words_at(self.function.to_owned())
    }

    fn words_at(&self, place: String) -> Vec<String> {
        let kind = if self.returns {
            format!("r{AWAITED}")
        } else {
            "p".to_owned()
        };
        [kind, place]
            .into_iter()
            .chain(self.arguments.iter().cloned())
            .collect()
    }

    /// The line that defines it in `kprobe_events`.
    #[must_use]
    pub fn line(&self) -> String {
        named(self.words(), &self.event())
    }

    /// The line that defines it in a group of events.
    #[must_use]
    pub fn line_in(&self, group: &str) -> String {
        named(self.words(), &format!("{group}/{}", self.event()))
    }

    /// The same by the function's address: for a kernel that takes no name which a module's function has as well.
    #[must_use]
    pub fn line_in_by_address(&self, group: &str) -> Option<String> {
        let words = self.words_at(format!("{:#x}", self.address?));
        Some(named(words, &format!("{group}/{}", self.event())))
    }
}

fn named(mut words: Vec<String>, name: &str) -> String {
    if let Some(kind) = words.first_mut() {
        *kind = format!("{kind}:{name}");
    }
    words.join(" ")
}

/// The argument as tracefs takes it; nothing where its offset is not known or the architecture isn't.
pub(super) fn argument(argument: &Argument, target: &Target) -> Option<String> {
    let value = match argument.value {
        Value::Returned => "$retval".to_owned(),
        Value::Task => "$comm".to_owned(),
        Value::Plain(number) => register(target.machine(), number),
        Value::Behind(number, members, form) => {
            let mut value = register(target.machine(), number);
            for (structure, path) in members {
                value = format!("+{}({value})", target.offset(structure, path)?);
            }
            in_form(&value, form)
        }
        Value::Action(number, part, form) => {
            let offset = action_offset(part, target)?;
            let value = format!("+{offset}({})", register(target.machine(), number));
            in_form(&value, form)
        }
        Value::Payload(number, word) => {
            let offset = target.offset("devres", &["data"])? + word * target.word_size()?;
            format!("+{offset}({})", register(target.machine(), number))
        }
    };
    Some(format!("{}={value}", argument.name))
}

fn in_form(value: &str, form: Form) -> String {
    match form {
        Form::Number => value.to_owned(),
        Form::Text => format!("+0({value}):string"),
        Form::Symbol => format!("{value}:symbol"),
    }
}

/// Where a node has a part of its action. Up to 7.0 that is its payload; later it has a structure of its own.
fn action_offset(part: ActionPart, target: &Target) -> Option<usize> {
    let member = match part {
        ActionPart::Data => "data",
        ActionPart::Function => "action",
    };
    target
        .offset("devres_action", &["action", member])
        .or_else(|| {
            Some(target.offset("devres", &["data"])? + target.offset("action_devres", &[member])?)
        })
}

/// What holds an argument; by number where the registers are not known.
fn register(machine: Option<Machine>, number: usize) -> String {
    machine.map_or_else(
        || format!("$arg{}", number + 1),
        |machine| machine.argument(number),
    )
}
