//! What is recorded of each kernel function: the one table here. Its order is that of need: what doesn't fit on a
//! command line is left out from its end.

use crate::event::Hook;

/// A kernel function to be probed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    /// Its hook.
    pub(super) hook: Hook,
    /// What it is called, by kernel; the first that the kernel has counts.
    pub(super) functions: &'static [&'static str],
    /// What is recorded at its entry.
    pub(super) arguments: &'static [Argument],
    /// Whether its return is recorded as well, and what of it.
    pub(super) returns: Option<&'static [Argument]>,
    /// Which kernels it is recorded on.
    pub(super) on: Kernels,
}

/// On which kernels a function is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    /// All.
    All,
    /// Those without the tracepoint `devres_log`, where functions tell what is added and removed.
    WithoutTracepoint,
}

/// Something that a probe event records, by the name that the import knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// The function's argument, counted from 0.
    Plain(u8),
    /// What lies behind it: members that are followed one after the other.
    Behind(u8, &'static [Member], Form),
    /// A word of an action that a node behind this argument may be: its argument, or its function.
    Action(u8, ActionPart, Form),
    /// A word of the payload of the node behind this argument, counted from 0.
    Payload(u8, u8),
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

const NAME: Member = ("device", &["kobj", "name"]);
const DOMAIN: Member = ("device", &["pm_domain"]);

const fn plain(name: &'static str, argument: u8) -> Argument {
    Argument {
        name,
        value: Value::Plain(argument),
    }
}

const fn behind(
    name: &'static str,
    argument: u8,
    members: &'static [Member],
    form: Form,
) -> Argument {
    Argument {
        name,
        value: Value::Behind(argument, members, form),
    }
}

const DEVICE: Argument = plain("dev", 0);
const DEVICE_NAME: Argument = behind("name", 0, &[NAME], Form::Text);
/// The task's name: what outlives a reset has no other record of it.
const TASK: Argument = Argument {
    name: "comm",
    value: Value::Task,
};
const GROUP: Argument = plain("id", 1);
/// What an added node is; its payload is filled before.
const ADDED: &[Argument] = &[
    DEVICE,
    plain("node", 1),
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
const RETURNED: Argument = Argument {
    name: "ret",
    value: Value::Returned,
};

const fn watched(
    hook: Hook,
    functions: &'static [&'static str],
    arguments: &'static [Argument],
    returns: Option<&'static [Argument]>,
) -> Watched {
    Watched {
        hook,
        functions,
        arguments,
        returns,
        on: Kernels::All,
    }
}

const fn without_tracepoint(watched: Watched) -> Watched {
    Watched {
        on: Kernels::WithoutTracepoint,
        ..watched
    }
}

/// Every function, what the rules need most first.
#[rustfmt::skip]
pub(super) const WATCHED: &[Watched] = &[
    // Without the tracepoint there is nothing but this.
    without_tracepoint(watched(Hook::AddDr, &["add_dr"], ADDED, None)),
    without_tracepoint(watched(Hook::DevresAdd, &["devres_add"], &[DEVICE, plain("res", 1)], None)),
    without_tracepoint(watched(Hook::DevresRemove, &["devres_remove"], &[DEVICE], Some(&[RETURNED]))),
    watched(Hook::Probe, &["really_probe"], &[DEVICE, DEVICE_NAME, behind("drv", 1, &[("device_driver", &["name"])], Form::Text), behind("bus", 0, &[("device", &["bus"]), ("bus_type", &["name"])], Form::Text), TASK], Some(&[RETURNED])),
    watched(Hook::PmDetach, &["dev_pm_domain_detach"], &[DEVICE, behind("pmd", 0, &[DOMAIN], Form::Number), behind("detach", 0, &[DOMAIN, ("dev_pm_domain", &["detach"])], Form::Number)], Some(&[])),
    watched(Hook::ReleaseAll, &["devres_release_all"], &[DEVICE], Some(&[RETURNED])),
    watched(Hook::Unbind, &["__device_release_driver", "device_release_driver_internal"], &[DEVICE, DEVICE_NAME, TASK], Some(&[])),
    // Tells which node is which, and on 6.1 what it releases.
    watched(Hook::AddDr, &["add_dr"], ADDED, None),
    watched(Hook::Remove, &["device_remove"], &[DEVICE], Some(&[])),
    watched(Hook::Cleanup, &["device_unbind_cleanup"], &[DEVICE], Some(&[])),
    watched(Hook::Bound, &["driver_bound"], &[DEVICE], None),
    watched(Hook::Delete, &["device_del"], &[DEVICE, DEVICE_NAME], Some(&[])),
    watched(Hook::FinalPut, &["device_release"], &[DEVICE], Some(&[])),
    watched(Hook::ReleaseGroup, &["devres_release_group"], &[DEVICE, GROUP], Some(&[RETURNED])),
    watched(Hook::OpenGroup, &["devres_open_group"], &[DEVICE, GROUP], Some(&[RETURNED])),
    watched(Hook::CloseGroup, &["devres_close_group"], &[DEVICE, GROUP], None),
    watched(Hook::RemoveGroup, &["devres_remove_group"], &[DEVICE, GROUP], None),
    watched(Hook::PmAttach, &["dev_pm_domain_attach"], &[DEVICE], Some(&[RETURNED])),
    watched(Hook::Initialise, &["device_initialize"], &[DEVICE], None),
    without_tracepoint(watched(Hook::Kfree, &["devm_kfree"], &[DEVICE, plain("p", 1)], None)),
    without_tracepoint(watched(Hook::RemoveAction, &["devm_remove_action"], &[DEVICE, plain("action", 1), plain("data", 2)], None)),
    watched(Hook::Krealloc, &["devm_krealloc"], &[DEVICE, plain("ptr", 1)], Some(&[RETURNED])),
    watched(Hook::ReleaseAction, &["devm_release_action"], &[DEVICE, plain("action", 1), plain("data", 2)], Some(&[])),
    watched(Hook::Destroy, &["devres_destroy"], &[DEVICE, plain("fn", 1), plain("data", 3)], Some(&[RETURNED])),
    watched(Hook::Release, &["devres_release"], &[DEVICE, plain("fn", 1), plain("data", 3)], Some(&[RETURNED])),
    without_tracepoint(watched(Hook::FreePages, &["devm_free_pages"], &[DEVICE, plain("p", 1)], None)),
    without_tracepoint(watched(Hook::FreePercpu, &["devm_free_percpu"], &[DEVICE, plain("p", 1)], None)),
    without_tracepoint(watched(Hook::Defer, &["driver_deferred_probe_add"], &[DEVICE], None)),
    watched(Hook::ComponentBringUp, &["try_to_bring_up_aggregate_device", "try_to_bring_up_master"], &[], Some(&[RETURNED])),
    watched(Hook::DevresAdd, &["devres_add"], &[DEVICE, plain("res", 1)], None),
];
