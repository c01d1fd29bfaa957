//! What a function event means.

use super::call::{Call, Number};
use crate::event::{
    Call as Entry, CallDetail, EventKind, GroupId, Hook, NodeAddress, NodeReference, PmDomain,
    Return,
};

/// What a function event means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FunctionEvent {
    /// Nothing: another event tells the same, or too little is told.
    Nothing,
    /// This.
    Is(EventKind),
    /// A node is added.
    Adds,
}

/// What a function event means. With `concluded`, additions and removals are told by functions; their
/// payloads lie `offset` bytes behind the nodes, if that is known.
pub(super) fn function_event(call: &Call, concluded: bool, offset: Option<u64>) -> FunctionEvent {
    let kind = if call.returns {
        left(call, concluded, offset)
    } else if call.hook == Hook::AddDr {
        return if concluded {
            FunctionEvent::Adds
        } else {
            // The tracepoint's line follows.
            FunctionEvent::Nothing
        };
    } else {
        entered(call, concluded, offset)
    };
    kind.map_or(FunctionEvent::Nothing, FunctionEvent::Is)
}

fn entered(call: &Call, concluded: bool, offset: Option<u64>) -> Option<EventKind> {
    let hook = call.hook;
    let payload = call.pointer.map(Number::get);
    let detail = match hook {
        Hook::ReleaseGroup | Hook::OpenGroup | Hook::CloseGroup | Hook::RemoveGroup => {
            call.group.map(|id| CallDetail::Group(GroupId(id.get())))
        }
        Hook::PmAttach => {
            // Without a word on it there is none yet: with one, the function returns at once.
            Some(CallDetail::Pm(pm(call).unwrap_or_default()))
        }
        Hook::PmDetach | Hook::Probe => pm(call).map(CallDetail::Pm),
        // Removed when it returns.
        Hook::DevresRemove => return None,
        Hook::Kfree if concluded && payload.is_some() && offset.is_some() => {
            return payload.zip(offset).map(removed);
        }
        Hook::ReleaseAction | Hook::RemoveAction if concluded && call.function.is_some() => {
            return Some(EventKind::RemoveAction {
                function: call.function?.get(),
                data: call.data.map_or(0, Number::get),
            });
        }
        Hook::Krealloc | Hook::DevresAdd | Hook::Kfree | Hook::FreePages | Hook::FreePercpu => {
            payload.map(CallDetail::Pointer)
        }
        Hook::Destroy | Hook::Release | Hook::ReleaseAction => {
            call.function.map(|function| CallDetail::Match {
                function: function.get(),
                data: call.data.map_or(0, Number::get),
            })
        }
        _ => None,
    };
    let detail = detail.unwrap_or(CallDetail::None);
    Some(EventKind::Enter(Entry { hook, detail }))
}

fn left(call: &Call, concluded: bool, offset: Option<u64>) -> Option<EventKind> {
    let hook = call.hook;
    let returned = call.value.map(Number::get);
    if hook == Hook::DevresRemove && concluded {
        // NULL: nothing was found.
        let payload = returned.filter(|payload| *payload != 0);
        return payload.zip(offset).map(removed);
    }
    if !hook.is_frame() {
        return None;
    }
    let value = match hook {
        // An `int` fills half of the register; the other half is not defined.
        Hook::Probe
        | Hook::ReleaseAll
        | Hook::ReleaseGroup
        | Hook::PmAttach
        | Hook::Destroy
        | Hook::Release
        | Hook::ComponentBringUp =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "the kernel's int")]
            returned.map(|value| i64::from(value.cast_signed() as i32))
        }
        Hook::Krealloc => returned.map(u64::cast_signed),
        _ => None,
    };
    let node = returned
        .filter(|payload| hook == Hook::Krealloc && concluded && *payload != 0)
        .zip(offset)
        .map(|(payload, offset)| NodeAddress(payload.wrapping_sub(offset)));
    Some(EventKind::Leave(Return {
        hook,
        value,
        pm: pm(call),
        node,
    }))
}

fn removed((payload, offset): (u64, u64)) -> EventKind {
    EventKind::Remove(NodeReference {
        node: NodeAddress(payload.wrapping_sub(offset)),
        name: None,
        size: None,
    })
}

/// The PM domain, if enough is told of it.
fn pm(call: &Call) -> Option<PmDomain> {
    let domain = call.domain?.get();
    let detach = call
        .detach
        .map(Number::get)
        .or((domain == 0).then_some(0))?;
    Some(PmDomain { domain, detach })
}
