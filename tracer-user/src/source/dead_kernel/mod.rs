//! What a kernel that died has left behind: where it lies, and which part of a log is about it.

pub mod messages;
pub mod places;
pub mod segment;
