//! Which devices' events the probes let through.

use zerocopy::{FromZeros, Immutable, IntoBytes};

/// How a [`Pattern`] is compared with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, IntoBytes, Immutable)]
#[repr(u32)]
pub enum PatternKind {
    /// The slot is not used.
    Unused = 0,
    /// The whole name.
    Exact = 1,
    /// The beginning of the name.
    Prefix = 2,
}

/// One name, or the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Pattern {
    /// How it is compared.
    pub kind: PatternKind,
    /// How many bytes of `text` count.
    pub length: u32,
    /// The text.
    pub text: [u8; Self::CAPACITY],
}

impl Pattern {
    /// The longest text a pattern can hold, in bytes.
    pub const CAPACITY: usize = 32;
}

/// The patterns of one filter: a name passes if one of them fits, or if there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
pub struct Filter {
    /// How many of the slots are used.
    pub count: u32,
    /// The patterns.
    pub patterns: [Pattern; Self::CAPACITY],
}

impl Filter {
    /// How many patterns a filter can hold.
    pub const CAPACITY: usize = 4;
}
