//! The fourth stage: what a line says, if it says anything: one line is one thing. A report of the kernel is the one
//! thing that many lines are.

pub(super) mod backtrace;
pub(super) mod buses;
pub(super) mod by_fields;
pub(super) mod call_chain;
pub(super) mod death;
pub(super) mod failed_probe;
pub(super) mod function_line;
pub(super) mod function_tracer;
pub(super) mod kernel_log;
pub(super) mod line;
pub(super) mod loss;
pub(super) mod machine;
pub(super) mod message;
pub(super) mod operation_word;
pub(super) mod refusal;
pub(super) mod resource;
pub(super) mod splat;
pub(super) mod trace_line;
