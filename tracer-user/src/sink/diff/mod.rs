//! How two recordings compare: as text and as JSON.

mod json;
mod sentences;
mod text;

pub(super) use json::add_schemas;
pub use json::write_json;
pub use text::write_text;

use crate::{diff::Comparison, evidence::SourceInformation, history::Histories};

/// What is said about a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Differences<'a> {
    /// The first recording: its name, what its beginning says, what was seen.
    pub good: (&'a str, &'a SourceInformation, &'a Histories),
    /// The second.
    pub bad: (&'a str, &'a SourceInformation, &'a Histories),
    /// How they compare.
    pub comparison: &'a Comparison<'a>,
    /// Whether minor differences count.
    pub strict: bool,
}
