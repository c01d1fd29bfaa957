//! What makes a kernel record devres events by itself, from its first driver on: the tracepoint `dev:devres_log` and
//! probe events on the functions around it, written down as kernel parameters, as a bootconfig, or as a script.
//!
//! A tracer that is started comes too late for most probes, and a panic takes its last milliseconds with it. The
//! kernel's own tracing has neither fault, and [`source::text`](crate::source::text) reads what it prints. So the probe
//! events are named, and their arguments called, as that module understands them.
//!
//! - [`Target`] is the kernel that is to record: the running one, or one described by a BTF file.
//! - [`Setup`] is what it shall record, in the order of what the rules need.
//! - The formats write that down: [`parameters`], [`bootconfig`], [`script`], [`install`].

pub mod bootconfig;
mod hooks;
pub mod install;
mod machine;
pub mod parameters;
mod probe;
pub mod script;
mod setup;
mod target;

pub use machine::Machine;
pub use probe::Probe;
pub use setup::{Setup, SetupOptions, Shortfall};
pub use target::{Target, TargetError};

/// The events of the tracepoint, as parameters name it.
pub const TRACEPOINT: &str = "dev:devres_log";

/// The instance whose buffer outlives a reset, and the memory that is reserved for it.
pub const PERSISTENT_INSTANCE: &str = "devres";

/// Where a script keeps what the kernel before this one has left, until somebody reads it.
pub const LAST_BOOT_DIRECTORY: &str = "/run/devres-tracer";
