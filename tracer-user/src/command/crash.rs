//! `devres-tracer crash`.

use std::{fs, io, path::PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{
    Exit, privileges,
    rules::RuleOptions,
    say::{say, shown},
    source_options::FilterOptions,
    trace::{EXIT_CODES, OutputOptions},
    usage::UsageError,
};
use crate::{
    crash::{self, Crash},
    event::Death,
    run::{CrashWatch, Purpose, Run, Wanted},
    source::{
        dead_kernel::{places::Places, segment},
        recording::{Recording, RecordingError},
        text::{self, ImportError},
    },
};

/// Shows what was under way when the machine died, and judges what led to it
///
/// Without FILE it reads what the previous kernel left: a persistent buffer, the copy that the script of
/// `devres-tracer boot` saved, or a dump in pstore. FILE is a serial console log with the ftrace dump, or any
/// recording. In a log with several boots, the last boot that crashed is read.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CrashCommand {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    output: OutputOptions,
    /// A kernel log that shows how the machine died, if FILE or the buffer doesn't
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The log or recording, or - for standard input [default: what the previous kernel left on this machine]
    file: Option<PathBuf>,
}

/// What is known of a crash, before it is judged.
struct Evidence {
    name: String,
    text: Vec<u8>,
    death: Option<Death>,
    /// What is known to be missing.
    problems: Vec<String>,
}

impl CrashCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        self.output.refuse_trace_file("use import to make one")?;
        let mut evidence = match &self.file {
            Some(path) => {
                privileges::keep_for_reading(self.output.file());
                of_file(path)?
            }
            None => of_this_machine()?,
        };
        if let Some(path) = &self.log {
            let log = fs::read(path).with_context(|| format!("{} can't be read", shown(path)))?;
            let segment = segment::died(&log);
            evidence.death = text::death(log.get(segment.bytes).unwrap_or_default());
        }
        let reader = Box::new(io::Cursor::new(evidence.text));
        let mut recording = match Recording::read(reader, evidence.name.clone()) {
            Ok(recording) => recording,
            Err(RecordingError::Text {
                source: ImportError::NoEvents { .. },
                ..
            }) if evidence.death.is_some() => return without_events(evidence.death),
            Err(error) => {
                return Err(UsageError::new(format!("{:#}", anyhow::Error::new(error))).into());
            }
        };
        let death = evidence.death.or_else(|| recording.death().cloned());
        let wanted = Wanted::of_recording(filter, &recording);
        let mut sink = self.output.sink()?;
        let information = recording.information().clone();
        let purpose = Purpose::Judge(self.output.fail_on());
        let observers = (rules, CrashWatch::new(death));
        let mut run = Run::begin(&information, wanted, observers, purpose, sink.as_mut());
        for problem in evidence.problems {
            run.problem(problem);
        }
        Exit::of_run(run.replay(&mut recording))
    }
}

/// A file, or standard input.
fn of_file(path: &std::path::Path) -> anyhow::Result<Evidence> {
    let mut text = Vec::new();
    if path.as_os_str() == "-" {
        io::Read::read_to_end(&mut io::stdin().lock(), &mut text)
            .context("standard input can't be read")?;
    } else {
        text = fs::read(path).with_context(|| format!("{} can't be opened", path.display()))?;
    }
    let segment = segment::died(&text);
    let text = text.get(segment.bytes).unwrap_or_default().to_vec();
    Ok(Evidence {
        name: path.display().to_string(),
        death: text::death(&text),
        text,
        problems: segment
            .reset_without_a_word
            .then(|| "the log does not show why the machine was reset: a watchdog, an undetected hang, or power loss".to_owned())
            .into_iter()
            .collect(),
    })
}

/// What the kernel before this one has left: events from the first place that has some, and how it died from the first
/// that says.
fn of_this_machine() -> anyhow::Result<Evidence> {
    let found = Places::default().find();
    let mut evidence: Option<Evidence> = None;
    for left in &found {
        let text = match left.read() {
            Ok(text) => text,
            Err(error) => {
                say(format_args!("{} can't be read: {error}", left.name()));
                continue;
            }
        };
        let death = text::death(&text);
        let Some(evidence) = &mut evidence else {
            say(format_args!("reading {}", left.name()));
            evidence = Some(Evidence {
                name: left.name(),
                text,
                death,
                problems: left.destroyed().into_iter().collect(),
            });
            continue;
        };
        if evidence.death.is_none() && death.is_some() {
            say(format_args!(
                "{} shows how the machine died: remove it once read, or it will be taken for the next crash",
                left.name()
            ));
            evidence.death = death;
        }
    }
    evidence.ok_or_else(|| {
        anyhow!(
            "no crash found: the persistent instances are empty, and pstore has no dump. `devres-tracer boot --persistent \
             4M` sets up recording for the next one; a serial console log can be given as FILE"
        )
    })
}

/// A log that reports a death and has no events.
fn without_events(death: Option<Death>) -> anyhow::Result<Exit> {
    let crash = Crash {
        death,
        under_way: Vec::new(),
        more: 0,
        missing: vec![
            "no devres event was recorded before that: `devres-tracer boot` sets up the kernel to record them"
                .to_owned(),
        ],
    };
    crash::write(100, &mut io::stdout().lock(), &crash)?;
    Ok(Exit::Inconclusive)
}
