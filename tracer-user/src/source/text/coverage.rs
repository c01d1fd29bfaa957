//! What an input could tell, judged by what it contains.

use super::records::{RecordKind, Records};
use crate::{
    coverage::{Addresses, Attachment, Before, Coverage, HookCoverage, HookState, NodeEvents},
    event::Hook,
};

/// Whether the functions occur, not the tracepoint: node events are concluded from them.
pub(super) fn concluded(records: &Records) -> bool {
    !records.pointers.any() && sees(records, Hook::AddDr)
}

/// Whether the function of `hook`, or the tracepoint, occurs.
pub(super) fn sees(records: &Records, hook: Hook) -> bool {
    match hook {
        Hook::DevresLog => records.pointers.any(),
        _ => records.hooks & (1 << hook as u64) != 0,
    }
}

/// What the node addresses of the events are worth.
pub(super) fn node_addresses(records: &Records) -> Addresses {
    if records.pointers.any() {
        records.pointers.worth()
    } else {
        Addresses::Real
    }
}

/// The coverage of what was read.
pub(super) fn coverage(records: &Records) -> Coverage {
    let missing = if records.hooks == 0 {
        "the text has no function events"
    } else {
        "the text has no events of it"
    };
    let hooks = Hook::ALL
        .into_iter()
        .map(|hook| HookCoverage {
            hook,
            state: if sees(records, hook) {
                HookState::Attached(Attachment::Recorded)
            } else {
                HookState::Missing(missing.to_owned())
            },
        })
        .collect();
    Coverage {
        hooks,
        nodes: if concluded(records) {
            NodeEvents::Concluded
        } else {
            NodeEvents::Logged
        },
        node_addresses: node_addresses(records),
        device_addresses: device_addresses(records),
        times: records.timed,
        stacks: !records.stacks.is_empty(),
        before: Before::Unknown(
            "a text does not tell what existed before its first line".to_owned(),
        ),
    }
}

/// Real only if the address of every device is told.
fn device_addresses(records: &Records) -> Addresses {
    let nameless = records.all.iter().any(|record| match &record.kind {
        RecordKind::Node(node) => {
            records.facts(node.facts).device == 0 && !records.devices.knows(node.device)
        }
        RecordKind::Call(_) | RecordKind::Message(_) | RecordKind::Lost(_) => false,
    });
    if nameless {
        Addresses::Absent
    } else {
        Addresses::Real
    }
}
