//! What continuous integration asks of a run: a policy, expectations, assertions on lifecycles, and exercise.
//!
//! [`Examination`] is to a check what the engine is to a trace: a pure state machine, which takes a source's
//! events in and ends with [`Results`]. Reports are made of those, and of nothing else.

mod assertion;
mod attempts;
mod binding;
mod concluding;
mod cycles;
mod evidence;
mod examination;
pub mod exercise;
mod expectation;
mod level;
mod limits;
mod policy;
mod results;
mod run_end;
mod selection;
mod stack;
mod template;
mod write_expectations;

pub use crate::evidence::CommandEnd;
pub use examination::{Examination, Lives};
pub use exercise::{CycleClock, Wanted};
pub use jiff::civil::Date;
pub use policy::{Policy, PolicyError};
pub use results::{Group, GroupKind, Judged, Results, Status, Test};
pub use run_end::RunEnd;
pub use selection::Place;
pub use template::TEMPLATE;
pub use write_expectations::write_expectations;
