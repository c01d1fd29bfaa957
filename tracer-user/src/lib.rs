//! Reconstructs each device's stack of managed resources (devres) and reports out-of-order release.
//!
//! One way leads through the program: source → [`event`] → model → finding → sink. A program of your own takes what it
//! needs of it:
//!
//! | what | where |
//! |---|---|
//! | the running kernel, traced by eBPF | [`source::live`] |
//! | a trace file, JSON lines or a log, whichever a file is | [`source::recording`] |
//! | what each device holds, event by event | [`model`] |
//! | events judged by rules | [`engine`], [`rules`] |
//! | what was found, as data and as text | [`finding`] |
//! | reports in the forms that CI reads | [`check`], [`sink::reports`] |
//!
//! # What a recording shows
//!
//! ```
//! use std::{ops::ControlFlow, path::Path};
//!
//! use devres_tracer::finding::{Severity, text::Text};
//! use devres_tracer::{engine::{Engine, Verdict}, rules::RuleSet, source::recording::Recording};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut recording = Recording::open(Path::new("demo/pvpanic-6.1.dvrt"))?;
//! let coverage = recording.information().coverage.clone();
//! let mut engine = Engine::new(coverage.into(), RuleSet::all());
//! recording.for_each(|event| {
//!     engine.apply(event);
//!     ControlFlow::Continue(())
//! })?;
//! let outcome = engine.finish();
//! for finding in &outcome.findings {
//!     println!("{}", Text(finding));
//! }
//! assert_eq!(outcome.findings[0].rule, "DR001");
//! assert_eq!(outcome.verdict(Severity::Warn), Verdict::Findings);
//! # Ok(())
//! # }
//! ```
//!
//! A verdict is [`Inconclusive`](engine::Verdict::Inconclusive) where something was lost or could not be seen that a finding
//! would have needed: an empty list of findings alone says nothing.
//!
//! # What a device holds
//!
//! ```
//! use std::{ops::ControlFlow, path::Path};
//!
//! use devres_tracer::{engine::Engine, rules::RuleSet, source::recording::Recording};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut recording = Recording::open(Path::new("demo/pvpanic-6.1.dvrt"))?;
//! let mut engine = Engine::new(recording.information().coverage.clone().into(), RuleSet::all());
//! let mut most = 0;
//! recording.for_each(|event| {
//!     engine.apply(event);
//!     if let Some(device) = engine.model().device(event.device) {
//!         most = most.max(device.nodes().count());
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(most, 3);
//! # Ok(())
//! # }
//! ```
//!
//! # The running kernel
//!
//! It takes the privileges of tracing (`CAP_BPF` and `CAP_PERFMON`, or root) and a tokio runtime:
//!
//! ```no_run
//! use devres_tracer::{engine::Engine, rules::RuleSet, source::live::{Live, Options}};
//!
//! # async fn trace() -> Result<(), Box<dyn std::error::Error>> {
//! let mut live = Live::start(&Options::default())?;
//! let mut engine = Engine::new(live.coverage().clone().into(), RuleSet::all());
//! loop {
//!     live.filling_up().await?;
//!     live.drain(usize::MAX, &mut |event| {
//!         for finding in engine.apply(&event) {
//!             println!("{} {}", finding.rule, finding.summary);
//!         }
//!     });
//! }
//! # }
//! ```
//!
//! # What stays as it is
//!
//! Before 1.0 a minor version may change this interface, and a patch version doesn't. What programs read keeps longer: rule
//! identifiers, fingerprints and exit codes don't change their meaning, trace files of older versions stay readable, and
//! the JSON lines have a version and a schema of their own (`devres-tracer schema`).

pub mod boot;
pub mod check;
pub mod command;
pub mod crash;
#[cfg(feature = "source-lines")]
pub mod debug_info;
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
pub mod number;
pub mod output_file;
pub mod rules;
pub mod run;
pub mod sink;
pub mod source;
pub mod trace_file;
pub mod tui;
