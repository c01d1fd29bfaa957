//! The wire format between the probes and userspace: what a record in the ring buffer looks like, which
//! kernel functions are observed, and what userspace passes to the probes about the running kernel. Both
//! sides compile this one definition.
#![no_std]

mod failing;
mod filter;
mod hook;
mod kernel_function;
mod layout;
mod role;
pub mod wire;

/// Slots in which lost records are counted by hook number; zero is no hook's.
pub const LOST_SLOTS: usize = 64;

pub use failing::FailingAllocation;
pub use filter::{Filter, Pattern};
pub use hook::{Description, Hook, Point, Programs, Returns, Trait};
pub use kernel_function::KernelFunction;
pub use layout::{Layout, NAMES_ARE_KEPT};
pub use role::Role;
