//! Strings from the kernel, each kept once.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::Text;

/// Strings seen before, so that each is kept once.
#[derive(Default)]
pub(super) struct Texts {
    known: HashMap<Box<[u8]>, Text>,
}

impl Texts {
    /// From this many strings on, those that nothing else uses any more are dropped.
    const MANY: usize = 16 * 1024;

    /// A shared copy of the string up to its terminating zero; `None` if it is empty.
    pub(super) fn get(&mut self, bytes: &[u8]) -> Option<Text> {
        let length = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        let bytes = bytes.get(..length).filter(|bytes| !bytes.is_empty())?;
        if let Some(known) = self.known.get(bytes) {
            return Some(Arc::clone(known));
        }
        if self.known.len() >= Self::MANY {
            self.known.retain(|_, text| Arc::strong_count(text) > 1);
        }
        let text: Text = String::from_utf8_lossy(bytes).into();
        self.known.insert(bytes.into(), Arc::clone(&text));
        Some(text)
    }

    /// A shared copy of the string.
    pub(super) fn of(&mut self, text: &str) -> Text {
        self.get(text.as_bytes()).unwrap_or_else(|| text.into())
    }
}
