//! `devres-tracer trace`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    capture::{Capture, CaptureOptions, Receiver},
    reading, record,
    rules::RuleOptions,
    run::Run,
    source_options::{FilterOptions, ProbeOptions},
    usage::UsageError,
};
use crate::{
    event::Event,
    finding::Severity,
    sink::{Sink, json::JsonSink, text::TextSink},
    trace_file::{self, Header, Recorder, RecorderOptions},
};

/// Traces this kernel until a command ends, the time is over or Ctrl-C is pressed, and judges what happened
///
/// Everything is attached before the command starts, and everything that it caused is read before the
/// verdict. The command's own output stays its own; use --output to keep the two apart.
#[derive(Debug, Args)]
pub(super) struct Trace {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    capture: CaptureOptions,
    /// Record to this trace file as well
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    record: Option<PathBuf>,
    /// Replay this recording instead of tracing the kernel; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["duration", "user", "command"])]
    from: Option<PathBuf>,
}

/// What is written, and where.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Write JSON lines
    #[arg(long)]
    json: bool,
    /// Write no events, only findings and the summary
    #[arg(long, short)]
    quiet: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The lowest severity of findings that count: info, warn or error
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    pub(super) fail_on: Severity,
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| "the severities are info, warn and error".to_owned())
}

impl OutputOptions {
    /// Whether lines for people are written to standard output.
    pub(super) fn is_text(&self) -> bool {
        !self.json && self.output.is_none()
    }

    /// Whether a line for each event goes to standard output.
    pub(super) fn writes_events_to_standard_output(&self) -> bool {
        !self.quiet && self.output.is_none()
    }

    /// The file to write, if its name is that of a trace file.
    pub(super) fn trace_file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| path.extension().is_some_and(|it| it == trace_file::SUFFIX))
    }

    /// The sink.
    pub(super) fn sink(&self) -> anyhow::Result<Box<dyn Sink>> {
        let writer: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(
                File::create(path)
                    .with_context(|| format!("{} can't be written", path.display()))?,
            ),
            None => Box::new(io::stdout()),
        };
        let writer = BufWriter::with_capacity(1 << 16, writer);
        Ok(if self.json {
            Box::new(JsonSink::new(writer, !self.quiet))
        } else {
            Box::new(TextSink::new(writer, !self.quiet))
        })
    }
}

impl Trace {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        if let Some(path) = self.output.trace_file() {
            let problem = format!(
                "--output writes the report, and {} is the name of a trace file: use --record for it",
                path.display()
            );
            return Err(UsageError::new(problem).into());
        }
        if let Some(path) = &self.from {
            let mut recording =
                reading::open_for(path, self.output.writes_events_to_standard_output())?;
            let information = recording.information().clone();
            let mut sink = self.output.sink()?;
            return Run::begin(
                &information,
                filter,
                rules,
                self.output.fail_on,
                sink.as_mut(),
            )
            .replay(&mut recording);
        }
        let mut options = self.probes.options(&filter);
        options.optional.extend(self.rules.optional_hooks(&rules));
        let mut capture = Capture::start(&options)?;
        let mut sink = self.output.sink()?;
        let information = capture.information();
        let recorder = match &self.record {
            Some(path) => Some(Recorder::start(
                path,
                Header::of_this_machine(information.clone()),
                RecorderOptions::default(),
            )?),
            None => None,
        };
        let mut run = Run::begin(
            &information,
            filter,
            rules,
            self.output.fail_on,
            sink.as_mut(),
        );
        run.flush();
        let mut judged = Judged { run, recorder };
        capture.run(&self.capture, &mut judged).await?;
        let lost_by = capture.finish(&mut judged);
        let file = judged
            .recorder
            .map(|recorder| recorder.finish(record::lost_at(&lost_by)));
        let exit = judged.run.end(lost_by)?;
        if let (Some(file), Some(path)) = (file, &self.record) {
            record::tell(&file?, &path.display().to_string());
        }
        Ok(exit)
    }
}

/// What is judged, and recorded if that is wanted.
struct Judged<'sink> {
    run: Run<'sink>,
    recorder: Option<Recorder>,
}

impl Receiver for Judged<'_> {
    fn event(&mut self, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event);
        }
        Receiver::event(&mut self.run, event);
    }

    /// That recording has failed is told at the end: it doesn't keep from judging.
    fn pause(&mut self) -> ControlFlow<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.pause();
        }
        self.run.pause()
    }
}
