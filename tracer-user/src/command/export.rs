//! `devres-tracer export`.

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

#[cfg(feature = "lab")]
use super::lab::LabExport;
use super::{
    Exit,
    debug_options::{DebugOptions, tell_remarks},
    files::{self, OverwriteOption},
    import,
    judged::keep_wanted,
    lab::LabOptions,
    reading,
    say::{say, shown},
    source_options::FilterOptions,
    usage::UsageError,
};
use crate::{
    command::pager::unless_unread,
    engine::{Observer, Summary},
    filter::DeviceFilter,
    history::{Histories, HistoryObserver, Limits, Window},
    rules::RuleSet,
    run::{Concluded, Purpose, Run, Wanted},
    sink::{
        Nowhere, Sink, chrome::ChromeSink, json::JsonSink, perfetto::write_perfetto,
        report::Report, tracks::not_kept,
    },
    source::recording::Recording,
};

/// Converts a recording for other programs
///
/// json is what `trace --json` writes. perfetto is for ui.perfetto.dev and its trace processor: each device is a track with
/// its phases, resources, findings and counters of what it holds. chrome is the trace event format for chrome://tracing and
/// others: the same spans, and functions, additions and releases on their tasks. If only some devices are exported, the
/// output says so. dvrt is a trace file, for --redact. parquet takes any number of recordings and adds them to a directory of
/// tables for DuckDB, Spark and the like; a recording that is exported again replaces itself. The exit code is no verdict: 0 if
/// everything was read, 3 if something is missing from the output.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct Export {
    #[command(flatten)]
    filter: FilterOptions,
    /// The format
    #[arg(long, value_enum)]
    format: Format,
    /// Write tokens instead of addresses, serials, host name, boot and command line: the same token wherever the value
    /// occurs, so that every rule decides as before
    #[arg(long)]
    redact: bool,
    /// Write to this file instead of standard output; with parquet, the directory of the tables
    #[arg(long, short, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    lab: LabOptions,
    #[command(flatten)]
    debug: DebugOptions,
    /// The recording, or - for standard input; with parquet several, which must be files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// JSON lines
    Json,
    /// Perfetto's own format
    Perfetto,
    /// Chrome's trace event format
    Chrome,
    /// A trace file
    Dvrt,
    /// Tables of Parquet files
    Parquet,
}

impl Export {
    #[cfg(feature = "lab")]
    fn write_tables(&self, filter: &DeviceFilter) -> anyhow::Result<Exit> {
        let lab = LabExport {
            filter,
            redact: self.redact,
            options: &self.lab,
            debug: &self.debug,
            directory: self.output.as_deref(),
            files: &self.files,
        };
        lab.run()
    }

    #[cfg(not(feature = "lab"))]
    #[expect(clippy::unused_self, reason = "it is a method where there are tables")]
    fn write_tables(&self, _filter: &DeviceFilter) -> anyhow::Result<Exit> {
        let problem = "this program was built without Parquet, to be small: build it with `cargo install --path tracer-user` on the machine that collects recordings";
        Err(UsageError::new(problem).into())
    }

    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        self.debug.keep_for_reading(self.output.as_deref());
        if matches!(self.format, Format::Parquet) {
            return self.write_tables(&filter);
        }
        if self.lab.is_given() {
            let problem = "--machine and --recorded are for the tables of --format parquet";
            return Err(UsageError::new(problem).into());
        }
        let [file] = self.files.as_slice() else {
            let problem =
                "several recordings can only be exported with --format parquet: give one FILE";
            return Err(UsageError::new(problem).into());
        };
        files::refuse_same(Some(file), self.output.as_deref())?;
        let mut recording = reading::open_for(file, self.output.is_none())?;
        self.debug.attach(&mut recording)?;
        let name = if self.redact {
            recording.redact()
        } else {
            file.display().to_string()
        };
        if matches!(self.format, Format::Dvrt) {
            return self.write_trace_file(file, &mut recording);
        }
        let (summary, histories) = self.transcribe(&mut recording, &name, &filter)?;
        tell_remarks(&recording);
        let gaps = summary.problems.into_iter().chain(summary.reasons);
        let gaps: Vec<String> = gaps.chain(histories.as_ref().and_then(not_kept)).collect();
        for gap in &gaps {
            say(format_args!("{}: {gap}", shown(file)));
        }
        Ok(if gaps.is_empty() {
            Exit::Clean
        } else {
            Exit::Inconclusive
        })
    }

    /// Writes JSON or a picture. Returns what is said of the whole, and what a picture shows.
    fn transcribe(
        &self,
        recording: &mut Recording,
        name: &str,
        filter: &DeviceFilter,
    ) -> anyhow::Result<(Summary, Option<Histories>)> {
        let wanted = Wanted::of_recording(filter.clone(), recording);
        let writer = files::create(self.output.as_deref())?;
        let mut writer = BufWriter::with_capacity(1 << 16, writer);
        let information = wanted.of_source(recording.information());
        let observer = HistoryObserver::new(Limits::for_a_picture(), Window::default(), false);
        let finish = |concluded: Concluded<HistoryObserver>| {
            let mut histories = concluded.observer.finish(concluded.engine.model());
            keep_wanted(&mut histories, filter);
            histories
        };
        if matches!(self.format, Format::Json) {
            let mut sink = JsonSink::new(writer, true);
            let concluded = replay(recording, wanted, (), &mut sink);
            unless_unread(concluded.written)?;
            return Ok((concluded.summary, None));
        }
        if matches!(self.format, Format::Chrome) {
            let mut sink = ChromeSink::new(writer);
            let mut concluded = replay(recording, wanted, observer, &mut sink);
            let written = std::mem::replace(&mut concluded.written, Ok(()));
            let summary = concluded.summary.clone();
            let histories = finish(concluded);
            unless_unread(written.and_then(|()| sink.close(&histories)))?;
            return Ok((summary, Some(histories)));
        }
        let mut concluded = replay(recording, wanted, observer, &mut Nowhere);
        let findings = std::mem::take(&mut concluded.findings);
        let summary = concluded.summary.clone();
        let histories = finish(concluded);
        let report = Report {
            name,
            source: &information,
            histories: &histories,
            findings: &findings,
            summary: &summary,
            damage: None,
        };
        let written = write_perfetto(&report, &mut writer);
        unless_unread(written.and_then(|()| writer.flush()))?;
        Ok((summary, Some(histories)))
    }
}

impl Export {
    fn write_trace_file(&self, file: &Path, recording: &mut Recording) -> anyhow::Result<Exit> {
        if self.filter.is_given() {
            let problem =
                "--device, --driver and --bus have no effect on a trace file (--format dvrt)";
            return Err(UsageError::new(problem).into());
        }
        if self.debug.is_given() {
            let problem = "a trace file (--format dvrt) holds no source lines: give --debug-dir, --vmlinux or --debuginfod when you read it";
            return Err(UsageError::new(problem).into());
        }
        let writer: Box<dyn io::Write> = match self.output.as_deref() {
            Some(path) => Box::new(self.overwrite.create(path)?),
            None => Box::new(io::stdout()),
        };
        let name = self
            .output
            .as_deref()
            .map_or_else(|| "standard output".to_owned(), shown);
        let problems = import::write_trace_file(recording, writer, &name)?;
        for problem in &problems {
            say(format_args!("{}: {problem}", shown(file)));
        }
        Ok(if problems.is_empty() {
            Exit::Clean
        } else {
            Exit::Inconclusive
        })
    }
}

fn replay<O: Observer>(
    recording: &mut Recording,
    wanted: Wanted,
    observer: O,
    sink: &mut dyn Sink,
) -> Concluded<O> {
    let information = recording.information().clone();
    let observers = (RuleSet::checked(), observer);
    Run::begin(&information, wanted, observers, Purpose::Transcribe, sink).replay(recording)
}
