//! What must hold of everything that is written or shown: names from the kernel or a file are inert in it, and it is
//! the same in every run. A sink is tested by having a row in `forms::FORMS`, and one without a row fails.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

#[path = "../support/mod.rs"]
mod support;

mod data;
mod forms;
mod inert;
mod lab;
mod perfetto;
mod redacted;
mod same;
mod writers;
