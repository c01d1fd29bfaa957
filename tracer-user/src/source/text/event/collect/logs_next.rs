//! What a task can only log next, by the functions that it has entered: that proves what stands at an address where the
//! tracepoint's words are missing.

use super::super::call::Call;
use crate::{event::Hook, source::text::record::resource::Operation};

/// What a task has entered.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::source::text) struct LogsNext {
    /// The function that was entered last, with its node, if nothing else happened since.
    entered: Option<(Hook, u64)>,
    /// Functions that release what is on a device's list, and have not returned.
    releasing: u32,
}

impl LogsNext {
    /// A function is entered or returns.
    pub(in crate::source::text) fn call(&mut self, call: &Call) {
        let releases = matches!(call.hook(), Hook::ReleaseAll | Hook::ReleaseGroup);
        if call.returns() {
            self.entered = None;
            self.releasing = self.releasing.saturating_sub(u32::from(releases));
        } else {
            self.entered = Some((call.hook(), call.node));
            self.releasing += u32::from(releases);
        }
    }

    /// Something was logged.
    pub(in crate::source::text) fn logged(&mut self) {
        self.entered = None;
    }

    /// What is logged now of the node at this address, if that is proved.
    pub(in crate::source::text) fn proves(self, node: u64) -> Option<Operation> {
        let (hook, entered) = self.entered?;
        match hook {
            // It logs before it does anything else.
            Hook::AddDr => (entered == node).then_some(Operation::Add),
            // Of what runs there only a release logs anything.
            Hook::ReleaseAll | Hook::ReleaseGroup => Some(Operation::Release),
            // Nothing is released elsewhere, and what was entered last is no addition.
            Hook::DevresRemove
            | Hook::Destroy
            | Hook::Release
            | Hook::Kfree
            | Hook::RemoveGroup
            | Hook::RemoveAction
            | Hook::ReleaseAction
            | Hook::FreePages
            | Hook::FreePercpu
                if self.releasing == 0 =>
            {
                Some(Operation::Remove)
            }
            _ => None,
        }
    }
}
