//! Where events, findings and summaries go. A sink doesn't know which source they came from.

pub mod chrome;
pub mod diff;
pub mod html;
pub mod json;
pub(crate) mod json_text;
#[cfg(feature = "lab")]
pub mod lab;
pub mod mail;
pub mod page;
pub mod perfetto;
pub mod report;
mod reported;
pub mod reports;
pub(crate) mod schema;
pub mod stacks;
pub mod stacks_data;
pub(crate) mod streams;
pub mod text;
pub mod tracks;

use std::io;

use crate::{
    engine::Summary, event::Event, evidence::SourceInformation, finding::Finding, model::Model,
};

/// Takes what a run yields, in order.
pub trait Sink {
    /// The stream begins.
    fn begin(&mut self, source: &SourceInformation) -> io::Result<()>;
    /// Something happened; the model already knows.
    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()>;
    /// A rule found something, or found it again.
    fn finding(&mut self, finding: &Finding) -> io::Result<()>;
    /// The stream ends.
    fn end(&mut self, findings: &[Finding], summary: &Summary) -> io::Result<()>;
    /// Everything so far is to be seen now.
    fn flush(&mut self) -> io::Result<()>;
}

/// Takes everything and writes nothing: for those that only look at what a run comes to.
pub struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _source: &SourceInformation) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, _event: &Event, _model: &Model) -> io::Result<()> {
        Ok(())
    }

    fn finding(&mut self, _finding: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _findings: &[Finding], _summary: &Summary) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
