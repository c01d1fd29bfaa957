//! What an input could say, judged by what it contains.

use tracer_ebpf::Returns;

use super::records::Records;
use crate::{
    event::{Hook, Role},
    evidence::{
        Addresses, Attachment, Before, Coverage, HookCoverage, HookState, NodeEvents, Untold,
    },
};

/// Whether the functions occur, not the tracepoint: node events are concluded from them.
pub(in crate::source::text) fn concluded(records: &Records) -> bool {
    !records.pointers.any() && sees(records, Hook::AddDr)
}

/// Whether the function of `hook`, or the tracepoint, occurs.
pub(in crate::source::text) fn sees(records: &Records, hook: Hook) -> bool {
    match hook {
        Hook::DevresLog => records.pointers.any(),
        _ => hook.is_in(records.entered),
    }
}

/// What the node addresses of the events are worth.
pub(in crate::source::text) fn node_addresses(records: &Records) -> Addresses {
    if records.pointers.any() {
        records.pointers.worth()
    } else {
        Addresses::Real
    }
}

/// The coverage of what was read.
pub(in crate::source::text) fn coverage(records: &Records) -> Coverage {
    let state = |hook| {
        if sees(records, hook) {
            return HookState::Attached(Attachment::Recorded);
        }
        if hook.is_in(records.returned) {
            return HookState::Missing("the text has only returns of it".to_owned());
        }
        HookState::Missing(match records.unusable.get(&hook) {
            Some(unusable) => unusable.to_string(),
            None if records.hooks == 0 && records.unusable.is_empty() => {
                "the text has no function events".to_owned()
            }
            None => "the text has no events of it".to_owned(),
        })
    };
    let hooks = Hook::ALL
        .into_iter()
        .map(|hook| HookCoverage {
            hook,
            state: state(hook),
        })
        .collect();
    let addressless = addressless(records);
    Coverage {
        hooks,
        untold: untold(records, addressless && records.nameless.any()),
        unread_switches: Vec::new(),
        nodes: if concluded(records) {
            NodeEvents::Concluded
        } else {
            NodeEvents::Logged
        },
        node_addresses: node_addresses(records),
        device_addresses: if addressless {
            Addresses::Absent
        } else {
            Addresses::Real
        },
        times: records.timed,
        stacks: records.stacks_printed,
        before: Before::Unknown(
            "text does not show the resources from before its first line".to_owned(),
        ),
    }
}

/// What the calls don't tell. With `apart`, it is not told which addresses and names are the same device's.
fn untold(records: &Records, apart: bool) -> Vec<Untold> {
    let mut untold = Vec::new();
    for hook in Hook::ALL.into_iter().filter(|hook| sees(records, *hook)) {
        let mut missing = records.untold.get(hook as usize).copied().unwrap_or(0);
        let row = hook.description();
        if row.returns != Returns::Nothing && !hook.is_in(records.returned) {
            missing |= Role::Returned.bit();
        }
        // A device may get its name after it has begun.
        if apart && hook.has_device() && !matches!(hook, Hook::DevresLog | Hook::Initialise) {
            missing |= Role::Name.bit();
        }
        // What lies in a resource is reported with `add_dr` alone, for the tracepoint as well.
        if hook == Hook::DevresLog {
            let added = records.untold.get(Hook::AddDr as usize).copied();
            let untold = added.filter(|_| sees(records, Hook::AddDr));
            missing |= untold.unwrap_or(u32::MAX) & Role::Contents.bit();
        }
        for role in Role::ALL
            .iter()
            .copied()
            .filter(|role| matters(hook, *role))
        {
            if missing & role.bit() != 0 {
                untold.push(Untold {
                    hook,
                    role,
                    reason: reason(records, hook, role),
                });
            }
        }
    }
    untold
}

/// Whether anybody asks for this argument.
fn matters(hook: Hook, role: Role) -> bool {
    hook.description().essentials().any(|known| known == role)
        || match role {
            Role::Contents => true,
            Role::PmDomain | Role::Returned => hook == Hook::Probe,
            Role::Payload => hook == Hook::Kfree,
            Role::Action => matches!(hook, Hook::ReleaseAction | Hook::RemoveAction),
            _ => false,
        }
}

fn reason(records: &Records, hook: Hook, role: Role) -> String {
    match role {
        Role::Contents => return "text does not show the contents of a resource".to_owned(),
        Role::Name => {
            return "the text does not show which device has which address: record the name with the call, or add_dr"
                .to_owned();
        }
        _ => {}
    }
    let strange = records.strange.of(hook).map(|names| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!(" (not understood: {})", names.join(", "))
    });
    let strange = strange.unwrap_or_default();
    format!("some of its lines in the text lack it{strange}")
}

/// Whether the tracepoint reported a device whose address is not known.
fn addressless(records: &Records) -> bool {
    records
        .by_name
        .iter()
        .any(|name| !records.devices.knows(name))
}
