//! What is recorded of each kernel function. What a hook is, the table [`hooks!`](tracer_ebpf::hooks) says: here stands
//! only in which order the hooks are needed, and what is read besides their arguments.

use crate::event::{Hook, Role};
use tracer_ebpf::{Returns, Trait};

/// What a kernel with the tracepoint `devres_log` records, what the rules need most first: what doesn't fit on a command
/// line is left out from the end.
const BY_NEED: [Hook; 27] = [
    Hook::Probe,
    Hook::PmDetach,
    Hook::ReleaseAll,
    Hook::Unbind,
    Hook::AddDr,
    Hook::Remove,
    Hook::Cleanup,
    Hook::Bound,
    Hook::Delete,
    Hook::FinalPut,
    Hook::ReleaseGroup,
    Hook::OpenGroup,
    Hook::CloseGroup,
    Hook::RemoveGroup,
    Hook::PmAttach,
    Hook::Initialise,
    Hook::Kfree,
    Hook::RemoveAction,
    Hook::Krealloc,
    Hook::ReleaseAction,
    Hook::Destroy,
    Hook::Release,
    Hook::FreePages,
    Hook::FreePercpu,
    Hook::Defer,
    Hook::ComponentBringUp,
    Hook::DevresAdd,
];

/// What reports additions and removals where there is no tracepoint: these come first.
const INSTEAD_OF_THE_TRACEPOINT: [Hook; 3] = [Hook::AddDr, Hook::DevresAdd, Hook::DevresRemove];

/// Something that a probe event records, by a name that the import knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// The function's argument, counted from 0.
    Plain(usize),
    /// What lies behind it: members that are followed one after the other.
    Behind(usize, &'static [Member], Form),
    /// A word of an action that a node behind this argument may be: its argument, or its function.
    Action(usize, ActionPart, Form),
    /// A word of the payload of the node behind this argument, counted from 0.
    Payload(usize, usize),
    /// The name of the task that calls it.
    Task,
    /// What the function returns.
    Returned,
}

/// A part of `struct action_devres`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionPart {
    /// What the action is called with.
    Data,
    /// The action.
    Function,
}

/// A structure, and the way to a member in it.
pub(super) type Member = (&'static str, &'static [&'static str]);

/// How it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a number.
    Number,
    /// As the string that it points to.
    Text,
    /// As the name of the function that it points to.
    Symbol,
}

/// The hooks that are recorded, what the rules need most first; with `optional` what is recorded on request only.
pub(super) fn wanted(tracepoint: bool, optional: Option<Hook>) -> impl Iterator<Item = Hook> {
    let first: &[Hook] = if tracepoint {
        &[]
    } else {
        &INSTEAD_OF_THE_TRACEPOINT
    };
    let then = BY_NEED.iter().filter(move |hook| {
        // `add_dr` says which node is which, and on 6.1 what it releases.
        let told = tracepoint && hook.description().has(Trait::WithoutLog);
        !first.contains(hook) && (!told || **hook == Hook::AddDr)
    });
    first.iter().chain(then).copied().chain(optional)
}

/// What is recorded when a function is entered.
pub(super) fn at_entry(hook: Hook) -> impl Iterator<Item = Argument> {
    let passed = hook.description().arguments.iter().enumerate();
    let passed = passed
        .filter(|(_, role)| is_understood(**role))
        .map(|(place, role)| Argument {
            name: role.name(),
            value: Value::Plain(place),
        });
    passed.chain(read(hook).iter().copied())
}

/// What is recorded when a function returns; `None` if that is not.
pub(super) fn at_return(hook: Hook) -> Option<impl Iterator<Item = Argument>> {
    let description = hook.description();
    let returns = description.returns != Returns::Nothing;
    let returned = returns.then_some(Argument {
        name: Role::Returned.name(),
        value: Value::Returned,
    });
    (returns || description.leave.is_some()).then(|| returned.into_iter())
}

/// Whether the import makes something of an argument. The others would only take room.
fn is_understood(role: Role) -> bool {
    matches!(
        role,
        Role::Device
            | Role::Kobject
            | Role::Node
            | Role::Payload
            | Role::Pages
            | Role::Percpu
            | Role::Group
            | Role::Release
            | Role::Action
            | Role::Data
            | Role::Irq
            | Role::DevId
    )
}

const fn behind(
    name: &'static str,
    argument: usize,
    members: &'static [Member],
    form: Form,
) -> Argument {
    Argument {
        name,
        value: Value::Behind(argument, members, form),
    }
}

const NAME: Argument = behind("name", 0, &[("device", &["kobj", "name"])], Form::Text);
const DRIVER: Argument = behind("drv", 1, &[("device_driver", &["name"])], Form::Text);
const BUS: Argument = behind(
    "bus",
    0,
    &[("device", &["bus"]), ("bus_type", &["name"])],
    Form::Text,
);
const DOMAIN: Member = ("device", &["pm_domain"]);
/// The task's name: what outlives a reset has no other record of it.
const TASK: Argument = Argument {
    name: "comm",
    value: Value::Task,
};

const PM_DOMAIN: &[Argument] = &[
    behind("pmd", 0, &[DOMAIN], Form::Number),
    behind(
        "detach",
        0,
        &[DOMAIN, ("dev_pm_domain", &["detach"])],
        Form::Number,
    ),
];
/// What an added node is; its payload is filled before.
const ADDED: &[Argument] = &[
    behind("rel", 1, &[("devres_node", &["release"])], Form::Symbol),
    Argument {
        name: "act",
        value: Value::Action(1, ActionPart::Function, Form::Symbol),
    },
    Argument {
        name: "data",
        value: Value::Action(1, ActionPart::Data, Form::Number),
    },
    Argument {
        name: "w0",
        value: Value::Payload(1, 0),
    },
    Argument {
        name: "w1",
        value: Value::Payload(1, 1),
    },
];

/// What is read besides the arguments: names, and what lies behind addresses.
fn read(hook: Hook) -> &'static [Argument] {
    match hook {
        Hook::Probe => &[NAME, DRIVER, BUS, TASK],
        Hook::Unbind => &[NAME, TASK],
        Hook::Delete => &[NAME],
        Hook::PmDetach => PM_DOMAIN,
        Hook::AddDr => ADDED,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Point;

    use super::*;

    #[test]
    fn every_hook_on_a_function_is_recorded() {
        for hook in Hook::ALL {
            let description = hook.description();
            let recorded = wanted(false, None).filter(|wanted| *wanted == hook).count();
            let expected = description.point == Point::Function && !hook.is_optional();
            assert_eq!(recorded, usize::from(expected), "{hook:?}");
        }
    }
}
