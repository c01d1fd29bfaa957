//! Reconstructs each device's stack of managed resources (devres) and reports out-of-order release.
//!
//! One way leads through the program: source → [`event`] → model → finding → sink.

pub mod boot;
pub mod check;
pub mod command;
pub mod crash;
pub mod diff;
pub mod duration;
pub mod engine;
pub mod errno;
pub mod escape;
pub mod event;
pub mod evidence;
pub mod filter;
pub mod finding;
pub mod glob;
pub mod history;
pub mod kernel;
pub mod model;
pub mod rules;
pub mod run;
pub mod sink;
pub mod source;
pub mod trace_file;
pub mod tui;
