//! Arguments that were not understood.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Hook;

/// Names of arguments that are kept for each function.
const MOST_STRANGE: usize = 8;
/// The longest name that a kprobe event's argument can have.
const LONGEST_NAME: usize = 32;

/// The names of arguments that were not understood, of each function.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Strange(BTreeMap<Hook, BTreeSet<String>>);

impl Strange {
    /// An argument was not understood.
    pub(in crate::source::text) fn add(&mut self, hook: Hook, name: &[u8]) {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.iter().all(is_name) {
            return;
        }
        let names = self.0.entry(hook).or_default();
        if names.len() < MOST_STRANGE {
            names.insert(String::from_utf8_lossy(name).into_owned());
        }
    }

    /// Those of a function, if there are any.
    pub(in crate::source::text) fn of(&self, hook: Hook) -> Option<&BTreeSet<String>> {
        self.0.get(&hook)
    }

    #[cfg(test)]
    pub(in crate::source::text) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
