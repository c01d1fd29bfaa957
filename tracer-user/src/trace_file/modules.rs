//! The modules of the stacks in a recording: which builds of them were loaded, and where.

use hashbrown::HashSet;

use crate::{
    event::{Event, EventKind, Text},
    kernel::LoadedModule,
};

/// What was asked of the running kernel, and what it said.
#[derive(Debug, Default)]
pub(super) struct Modules {
    asked: HashSet<Text>,
    known: Vec<LoadedModule>,
}

impl Modules {
    /// Whether an event may say something of modules.
    pub(super) const fn concern(event: &Event) -> bool {
        matches!(
            event.kind,
            EventKind::Stack(_) | EventKind::ModuleFree { .. }
        )
    }

    /// Asks the running kernel for the modules that this event's stack is the first to show. Yields what it says.
    pub(super) fn learn(&mut self, event: &Event) -> Vec<LoadedModule> {
        match &event.kind {
            EventKind::Stack(definition) => {
                let functions = definition.frames.iter();
                let functions = functions.filter_map(|frame| frame.function.as_deref());
                let mut learnt = Vec::new();
                for name in functions.filter_map(|function| function.module.as_ref()) {
                    if !self.asked.contains(name) {
                        self.asked.insert(name.clone());
                        learnt.extend(LoadedModule::running(name));
                    }
                }
                self.known.extend(learnt.iter().cloned());
                learnt
            }
            // If it comes back, it may be another build, and lies elsewhere.
            EventKind::ModuleFree { module, .. } => {
                self.asked.remove(module);
                self.known.retain(|known| known.name != *module);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// All that is known.
    pub(super) fn known(&self) -> &[LoadedModule] {
        &self.known
    }
}
