//! The task in whose context an event happened.

use std::{borrow::Cow, fmt};

/// A task, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Task {
    /// Thread id, in the initial pid namespace.
    pub tid: u32,
    /// Thread group id: the process.
    pub tgid: u32,
    /// `current->comm`.
    pub comm: Comm,
}

/// A task's name: at most fifteen bytes and a terminating zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The first fifteen bytes of `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; 16];
        for (slot, byte) in bytes.iter_mut().take(15).zip(name.bytes()) {
            *slot = byte;
        }
        Self(bytes)
    }

    /// The name, up to the first zero byte.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.name())
    }
}
