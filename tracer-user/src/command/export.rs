//! `devres-tracer export`.

use std::{io::BufWriter, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    Exit, files, reading,
    say::{say, shown},
    source_options::FilterOptions,
};
use crate::{
    command::pager::unless_unread,
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::{Sink, chrome::ChromeSink, json::JsonSink},
};

/// Converts a recording for other programs
///
/// json is what `trace --json` writes. chrome is the trace event format for ui.perfetto.dev and
/// chrome://tracing: functions are spans on their tasks, additions and releases are instants. If only some devices are
/// exported, the output says so. Nothing is judged: exit code 0 if everything was read, 3 if something is missing
/// from the output.
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
        files::refuse_same(Some(&self.file), self.output.as_deref())?;
        let mut recording = reading::open_for(&self.file, self.output.is_none())?;
        let wanted = Wanted::of_recording(filter, &recording);
        let writer = files::create(self.output.as_deref())?;
        let writer = BufWriter::with_capacity(1 << 16, writer);
        let mut sink: Box<dyn Sink> = match self.format {
            Format::Json => Box::new(JsonSink::new(writer, true)),
            Format::Chrome => Box::new(ChromeSink::new(writer)),
        };
        let information = recording.information().clone();
        let run = Run::begin(
            &information,
            wanted,
            (RuleSet::checked(), ()),
            Purpose::Transcribe,
            sink.as_mut(),
        );
        let concluded = run.replay(&mut recording);
        unless_unread(concluded.written)?;
        let summary = concluded.summary;
        let gaps: Vec<_> = summary.problems.iter().chain(&summary.reasons).collect();
        for gap in &gaps {
            say(format_args!("{}: {gap}", shown(&self.file)));
        }
        Ok(if gaps.is_empty() {
            Exit::Clean
        } else {
            Exit::Inconclusive
        })
    }
}
