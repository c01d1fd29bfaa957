//! `devres-tracer import`.

use std::{
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    debug_options::{DebugOptions, tell_remarks},
    files::{self, OverwriteOption},
    reading, record,
    rules::RuleOptions,
    say::{say, shown},
    source_options::FilterOptions,
    trace::{EXIT_CODES, OutputOptions},
    usage::UsageError,
};
use crate::{
    run::{CrashWatch, Purpose, Run, Wanted},
    source::recording::Recording,
    trace_file::{End, EndedBy, Header, TraceFileWriter},
};

/// Judges text: a kernel log with DEVRES lines or splats, or a trace of devres_log
///
/// Reads dmesg and syslog with DEVRES lines or kernel reports (KASAN, oopses, warnings), and the output of ftrace,
/// trace-cmd and perf with devres_log and function events. A trace.dat, a perf.data, a journal file and a compressed
/// text are read through the tool that they are of, if it is installed. Unrecognized lines are counted and skipped. Rules
/// that need what text doesn't contain stay silent, and the summary says so. --output X.dvrt converts the text to a
/// trace file and judges nothing.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct Import {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    debug: DebugOptions,
    /// The text to read, or - for standard input
    file: PathBuf,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        files::refuse_same(Some(&self.file), self.output.file())?;
        let trace_file = self.output.trace_file();
        if let (Some(path), Some(option)) = (trace_file, self.meaningless()) {
            return Err(UsageError::new(format!(
                "{option} has no effect when converting to a trace file ({})",
                shown(path)
            ))
            .into());
        }
        self.debug.keep_for_reading(self.output.file());
        let mut recording =
            reading::open_for(&self.file, self.output.writes_events_to_standard_output())?;
        if let Some(path) = trace_file {
            return convert(&mut recording, path, self.overwrite);
        }
        self.debug.attach(&mut recording)?;
        let wanted = Wanted::of_recording(filter, &recording);
        let mut sink = self.output.sink()?;
        let information = recording.information().clone();
        // What only oopsed went on: the end of the log is another.
        let death = recording.death().filter(|death| death.fatal);
        let watch = death.map(|death| CrashWatch::new(Some(death.clone())));
        let purpose = Purpose::Judge(self.output.fail_on());
        let run = Run::begin(&information, wanted, (rules, watch), purpose, sink.as_mut());
        let concluded = run.replay(&mut recording);
        tell_remarks(&recording);
        Exit::of_run(concluded)
    }

    /// What was asked for that says how to judge, which a trace file is not.
    fn meaningless(&self) -> Option<&'static str> {
        if self.filter.is_given() {
            Some("--device, --driver or --bus")
        } else if self.rules.is_given() {
            Some("choosing rules")
        } else if self.debug.is_given() {
            Some("--debug-dir, --vmlinux or --debuginfod")
        } else {
            self.output.manner()
        }
    }
}

/// Writes the events to a trace file and judges nothing.
fn convert(
    recording: &mut Recording,
    path: &Path,
    overwrite: OverwriteOption,
) -> anyhow::Result<Exit> {
    let file = Box::new(overwrite.create(path)?);
    for problem in write_trace_file(recording, file, &shown(path))? {
        say(format_args!("the input: {problem}"));
    }
    Ok(Exit::Clean)
}

/// Writes the events as a trace file, which errors call by this name. Yields what keeps them from being all there were.
pub(super) fn write_trace_file(
    recording: &mut Recording,
    writer: Box<dyn Write>,
    name: &str,
) -> anyhow::Result<Vec<String>> {
    let unwritable = || format!("{name} can't be written");
    let writer = BufWriter::with_capacity(1 << 16, writer);
    let header = recording.header().cloned().unwrap_or_else(|| Header {
        lines: recording.line_counts(),
        ..Header::of_recording(recording.information().clone())
    });
    let mut writer = TraceFileWriter::begin(writer, &header).with_context(unwritable)?;
    let mut written = Ok(());
    let source = recording.replay_with_modules(|event, modules| {
        let before = if modules.is_empty() {
            Ok(())
        } else {
            writer.modules(modules)
        };
        written = before.and_then(|()| writer.event(event));
        if written.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    written.with_context(unwritable)?;
    let problems: Vec<String> = source.gaps().cloned().collect();
    let end = End {
        lost_by: record::lost_at(&source.lost_by),
        ended: Some(EndedBy::Run),
        problems: problems.clone(),
        until: source.until.map(|until| until.0),
        ..End::default()
    };
    writer.finish(end).with_context(unwritable)?;
    Ok(problems)
}
