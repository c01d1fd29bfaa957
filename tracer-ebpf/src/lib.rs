//! The wire format between the probes and userspace: what a record in the ring buffer looks like, and
//! which kernel functions are observed. Both sides compile this one definition.
#![no_std]

mod hook;
pub mod wire;

pub use hook::Hook;
