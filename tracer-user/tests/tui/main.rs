//! The live view as its users see it: recordings go in, keys are pressed, screens are compared with
//! `tests/tui/screens`. `SNAPSHOTS=overwrite cargo test -p devres-tracer --test tui` writes them anew.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod inputs;
mod occurrences;
mod one_address;
mod screen;
mod screens;
mod time;
