//! `devres-tracer trace`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    capture::{Capture, CaptureOptions},
    rules::RuleOptions,
    run::Run,
    source_options::{FilterOptions, ProbeOptions},
};
use crate::{
    finding::Severity,
    sink::{Sink, json::JsonSink, text::TextSink},
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
        let filter = match self.filter.filter() {
            Ok(filter) => filter,
            Err(error) => {
                eprintln!("devres-tracer: {error}");
                return Ok(Exit::Usage);
            }
        };
        let rules = match self.rules.rules() {
            Ok(rules) => rules,
            Err(error) => {
                eprintln!("devres-tracer: {error}");
                return Ok(Exit::Usage);
            }
        };
        let mut options = self.probes.options(&filter);
        options.optional.extend(self.rules.optional_hooks(&rules));
        let mut capture = Capture::start(&options)?;
        let mut sink = self.output.sink()?;
        let information = capture.information();
        let mut run = Run::begin(
            &information,
            filter,
            rules,
            self.output.fail_on,
            sink.as_mut(),
        );
        run.flush();
        capture.run(&self.capture, &mut run).await?;
        let lost_by = capture.finish(&mut run);
        run.end(lost_by)
    }
}
