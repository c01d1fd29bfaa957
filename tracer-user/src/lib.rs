//! Reconstructs each device's stack of managed resources (devres) and reports out-of-order release.
//!
//! One way leads through the program: source → [`event`] → model → finding → sink.

pub mod coverage;
pub mod event;
pub mod source;
