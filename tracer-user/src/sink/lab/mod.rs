//! Recordings of a lab as tables of Parquet files, for DuckDB, Spark and the like: recordings, bindings, resources, findings
//! and events, partitioned by kernel and machine. `docs/lab.md` describes them.
//!
//! Rows are written while a recording is read: of each table no more than one group of rows is kept, and of resources and
//! bindings those that are not over, which the model keeps as well.

mod bindings;
mod directory;
mod events;
mod lives;
mod recordings;
mod resources;
mod schema;
mod table;
mod words;

use std::io;

use self::{bindings::Bindings, directory::Pending, resources::Resources, table::Table};
use super::Sink;
use crate::{
    engine::Summary,
    event::{Event, Time},
    evidence::SourceInformation,
    filter::DeviceFilter,
    finding::Finding,
    model::Model,
    trace_file::Header,
};

pub use self::{
    directory::Directory,
    lives::Lives,
    schema::{CellKind, Column, Schema, VERSION, document, tables},
};

/// What is known of a recording before it is read.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'r> {
    /// What distinguishes it from all others, and is a file's name.
    pub id: &'r str,
    /// What it is called.
    pub name: &'r str,
    /// What its beginning says of its source.
    pub information: &'r SourceInformation,
    /// What it says of itself, if it is a trace file.
    pub header: Option<&'r Header>,
    /// What the lab calls the machine.
    pub machine: Option<&'r str>,
    /// When it was recorded, in microseconds since 1970 in UTC, for one that doesn't say.
    pub recorded_at: Option<i64>,
    /// Whether tokens stand for addresses and serials.
    pub redacted: bool,
}

/// A recording's files while they are being written.
pub struct Files {
    place: directory::Place,
    pending: Vec<Pending>,
    recordings: Table,
    findings: Table,
}

/// Writes the table of events.
pub struct EventSink {
    recording: String,
    table: Table,
    number: u64,
    extent: Option<(Time, Time)>,
}

/// What a run has come to.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'o> {
    /// The model at the end.
    pub model: &'o Model,
    /// What was found.
    pub findings: &'o [Finding],
    /// What is said of the whole.
    pub summary: &'o Summary,
}

impl Recorded<'_> {
    /// What the machine is called.
    fn machine_name(&self) -> Option<&str> {
        let system = self.header.and_then(|header| header.system.as_ref());
        let board = system.and_then(|system| system.board.as_deref());
        self.machine.or(board)
    }

    /// When it was recorded, in microseconds since 1970.
    fn microseconds(&self) -> Option<i64> {
        let clock = self.header.and_then(|header| header.clock);
        let told = clock.and_then(|clock| i64::try_from(clock.real / 1_000).ok());
        told.or(self.recorded_at)
    }
}

impl Directory {
    /// Begins a recording's files. What the engine reads is given to the sink and the observer; of devices only those that
    /// the filter wants.
    pub fn record(
        &self,
        recorded: &Recorded<'_>,
        filter: DeviceFilter,
    ) -> io::Result<(EventSink, Lives, Files)> {
        let kernel = recorded.information.kernel.as_deref();
        let place = directory::Place::of(recorded.id, kernel, recorded.machine_name());
        let mut pending = Vec::new();
        let mut begin = |schema| {
            let (table, file) = self.begin(schema, &place)?;
            pending.push(file);
            io::Result::Ok(table)
        };
        let events = EventSink {
            recording: recorded.id.to_owned(),
            table: begin(&schema::EVENTS)?,
            number: 0,
            extent: None,
        };
        let resources = Resources::begin(recorded.id, begin(&schema::RESOURCES)?);
        let bindings = Bindings::begin(recorded.id, begin(&schema::BINDINGS)?);
        let findings = begin(&schema::FINDINGS)?;
        let recordings = begin(&schema::RECORDINGS)?;
        let lives = Lives::begin(resources, bindings, filter);
        let files = Files {
            place,
            pending,
            recordings,
            findings,
        };
        Ok((events, lives, files))
    }

    /// Ends a recording's files, and puts them into their places.
    pub fn finish(
        &mut self,
        recorded: &Recorded<'_>,
        (events, lives, files): (EventSink, Lives, Files),
        outcome: &Outcome<'_>,
    ) -> io::Result<()> {
        let Files {
            place,
            pending,
            mut recordings,
            mut findings,
        } = files;
        let extent = events.extent;
        events.table.finish()?;
        lives.finish(outcome.model)?;
        for finding in outcome.findings {
            findings.row(recordings::finding(recorded.id, finding))?;
        }
        findings.finish()?;
        recordings.row(recordings::recording(recorded, outcome.summary, extent))?;
        recordings.finish()?;
        self.keep(&place, pending)
    }
}

impl Sink for EventSink {
    fn begin(&mut self, _source: &SourceInformation) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()> {
        let (first, last) = self.extent.unwrap_or((event.time, event.time));
        self.extent = Some((first.min(event.time), last.max(event.time)));
        self.number += 1;
        self.table
            .row(events::row(&self.recording, self.number, event, model))
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
