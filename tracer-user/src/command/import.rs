//! `devres-tracer import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit, rules::RuleOptions, run::Run, source_options::FilterOptions, trace::OutputOptions,
};
use crate::{
    sink::{LineCounts, SourceInformation},
    source::text::{self, Import as Text, ImportError},
};

/// Reads what people paste: a kernel log with DEVRES lines, or a trace of the tracepoint devres_log
///
/// Reads dmesg and syslog with DEVRES lines, and the text of ftrace, trace-cmd and perf script with
/// devres_log and function events. Lines that are no events are counted and passed over. What text can't tell
/// is said, and the rules that would need it stay silent.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct Import {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    output: OutputOptions,
    /// The file to read, or - for standard input
    file: PathBuf,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
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
        let text = match text::read(self.open()?) {
            Ok(text) => text,
            Err(ImportError::Read(error)) => {
                return Err(anyhow::Error::new(error)
                    .context(format!("{} can't be read", self.file.display())));
            }
            Err(error) => {
                eprintln!("devres-tracer: {}: {error}", self.file.display());
                return Ok(Exit::Usage);
            }
        };
        let mut sink = self.output.sink()?;
        let information = SourceInformation {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: None,
            machine: None,
            coverage: text.coverage().clone(),
        };
        let mut run = Run::begin(
            &information,
            filter,
            rules,
            self.output.fail_on,
            sink.as_mut(),
        );
        for event in text.events() {
            run.event(&event);
            if run.is_unread() {
                break;
            }
        }
        run.count_lines(line_counts(&text));
        run.end(Vec::new())
    }

    fn open(&self) -> anyhow::Result<Box<dyn BufRead>> {
        if self.file.as_os_str() == "-" {
            return Ok(Box::new(io::stdin().lock()));
        }
        let file = File::open(&self.file)
            .with_context(|| format!("{} can't be opened", self.file.display()))?;
        Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
    }
}

fn line_counts(text: &Text) -> LineCounts {
    let statistics = text.statistics();
    LineCounts {
        lines: statistics.lines,
        event_lines: statistics.event_lines,
    }
}
