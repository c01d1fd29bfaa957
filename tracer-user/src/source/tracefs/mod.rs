//! The kernel's own tracing as a source of events: where there is no BPF, no BTF, or a CPU of 32 bits.
//!
//! [`Trace`] makes an ftrace instance of its own, with the tracepoint and the probe events of
//! [`boot`](crate::boot), and reads its `trace_pipe`, which [`text`](crate::source::text) understands. It is removed on
//! every way out; what a killed tracer left is removed by the next one.

mod instance;
mod recorded;
mod trace;

pub use instance::{Instance, TracefsError, remove_abandoned};
pub use recorded::Recorded;
pub use trace::Trace;

/// Where tracefs is.
pub const TRACING: &str = "/sys/kernel/tracing";
