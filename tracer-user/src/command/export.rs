//! `devres-tracer export`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{Exit, reading, run::Run, source_options::FilterOptions};
use crate::{
    finding::Severity,
    rules::RuleSet,
    sink::{Sink, chrome::ChromeSink, json::JsonSink},
};

/// Writes a recording in a format that other programs read
///
/// json is what `trace --json` writes. chrome is the trace event format, which ui.perfetto.dev and
/// chrome://tracing show: functions as spans on their tasks, additions and releases as points.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct Export {
    #[command(flatten)]
    filter: FilterOptions,
    /// The format
    #[arg(long, value_enum)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The recording, or - for standard input
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// JSON lines
    Json,
    /// Chrome's trace event format
    #[value(alias = "perfetto")]
    Chrome,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let mut recording = reading::open_for(&self.file, self.output.is_none())?;
        let writer: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(
                File::create(path)
                    .with_context(|| format!("{} can't be written", path.display()))?,
            ),
            None => Box::new(io::stdout()),
        };
        let writer = BufWriter::with_capacity(1 << 16, writer);
        let mut sink: Box<dyn Sink> = match self.format {
            Format::Json => Box::new(JsonSink::new(writer, true)),
            Format::Chrome => Box::new(ChromeSink::new(writer)),
        };
        let information = recording.information().clone();
        let run = Run::begin(
            &information,
            filter,
            RuleSet::checked(),
            Severity::Error,
            sink.as_mut(),
        );
        run.replay(&mut recording)?;
        let problems = recording.problems();
        for problem in &problems {
            eprintln!("devres-tracer: {}: {problem}", self.file.display());
        }
        Ok(if problems.is_empty() {
            Exit::Clean
        } else {
            Exit::Inconclusive
        })
    }
}
