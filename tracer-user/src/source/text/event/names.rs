//! Names and tasks, each kept once and called by a number.

use std::{num::NonZeroU32, sync::Arc};

use hashbrown::HashMap;

use crate::event::{Task, Text};

/// A name's number. `Option<NameId>` takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::source::text) struct NameId(NonZeroU32);

impl Default for NameId {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl NameId {
    pub(in crate::source::text) fn number(self) -> u32 {
        self.0.get()
    }

    pub(in crate::source::text) fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }
}

/// All names in an input.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Names {
    known: HashMap<Box<[u8]>, NameId>,
    /// `None` stands for a device without a name.
    texts: Vec<Option<Text>>,
}

impl Names {
    /// The number of a name. Beyond four thousand million names the first is taken.
    pub(in crate::source::text) fn intern(&mut self, name: &[u8]) -> NameId {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let text: Text = Arc::from(String::from_utf8_lossy(name));
        let id = self.push(Some(text));
        self.known.insert(name.into(), id);
        id
    }

    /// A number for a device that has no name.
    pub(in crate::source::text) fn unnamed(&mut self) -> NameId {
        self.push(None)
    }

    fn push(&mut self, text: Option<Text>) -> NameId {
        self.texts.push(text);
        let number = u32::try_from(self.texts.len())
            .ok()
            .and_then(NonZeroU32::new);
        NameId(number.unwrap_or(NonZeroU32::MIN))
    }

    /// The name.
    pub(in crate::source::text) fn text(&self, id: NameId) -> Option<Text> {
        self.texts.get(id.number() as usize - 1)?.clone()
    }
}

/// All tasks in an input.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Tasks {
    known: HashMap<Task, u32>,
    by_number: Vec<Task>,
    last: Option<(Task, u32)>,
}

impl Tasks {
    pub(in crate::source::text) fn intern(&mut self, task: Task) -> u32 {
        if let Some((last, number)) = self.last
            && last == task
        {
            return number;
        }
        let next = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        let number = *self.known.entry(task).or_insert(next);
        if number == next {
            self.by_number.push(task);
        }
        self.last = Some((task, number));
        number
    }

    pub(in crate::source::text) fn get(&self, number: u32) -> Task {
        self.by_number
            .get(number as usize)
            .copied()
            .unwrap_or_default()
    }
}
