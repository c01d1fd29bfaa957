//! The lives of devices and what was found, once everything is known: as text and as JSON.

mod binding;
mod device;
mod json;
mod resource;
mod stack;
mod text;
pub mod words;

pub(super) use json::add_schemas;
pub use json::{HoldingsLine, StepLine, write_json};
pub use resource::{Search, write_resources};
pub use text::write_text;

use crate::{engine::Summary, evidence::SourceInformation, finding::Finding, history::Histories};

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was read.
    pub name: &'a str,
    /// What its beginning says.
    pub source: &'a SourceInformation,
    /// The lives that are wanted.
    pub histories: &'a Histories,
    /// The findings that are wanted.
    pub findings: &'a [Finding],
    /// The verdict.
    pub summary: &'a Summary,
    /// Why it could not be read to its end, if it couldn't.
    pub damage: Option<&'a str>,
}
