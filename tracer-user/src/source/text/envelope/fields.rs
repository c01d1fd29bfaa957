//! What the prefix of a message says: when it was written, and by whom.

/// What a line begins with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) struct Prefix {
    /// When.
    pub(in crate::source::text) time: Option<Stamp>,
    /// The thread that wrote the message (`CONFIG_PRINTK_CALLER`).
    pub(in crate::source::text) thread: Option<u32>,
    /// The CPU that wrote it outside of any thread.
    pub(in crate::source::text) cpu: Option<u16>,
    /// Something other than quotation marks was there: the line is the beginning of a message.
    pub(in crate::source::text) begins: bool,
    /// Of that, something that only logs have: brackets alone are in prose, too.
    pub(in crate::source::text) logged: bool,
}

/// A time as a prefix has it, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::text) enum Stamp {
    /// Since the kernel began, or since 1970 where only a date is given.
    At(u64),
    /// Since the line before (`dmesg -d`).
    After(u64),
}
