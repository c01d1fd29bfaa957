//! `devres-tracer crash`.

use std::{fs, io, path::PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{
    Exit,
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

/// Says what was under way when the machine died, and judges what led to it
///
/// Without FILE it reads what the kernel before this one has left: a persistent buffer, what a script of
/// `devres-tracer boot` has kept of one, or a dump in pstore. FILE is a log of the serial console with the dump that
/// ftrace_dump_on_oops makes, or any recording. Of a log with several boots the last one that died is read.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct CrashCommand {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    output: OutputOptions,
    /// A log of the kernel that tells how the machine died, where FILE or the buffer doesn't
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The log or recording, or - for standard input [default: what was left on this machine]
    file: Option<PathBuf>,
}

/// What is known of a crash, before it is judged.
struct Evidence {
    name: String,
    text: Vec<u8>,
    death: Option<Death>,
    /// The machine was reset, and the log doesn't say why.
    reset_without_a_word: bool,
}

impl CrashCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        if let Some(path) = self.output.trace_file() {
            let problem = format!(
                "--output writes the report, and {} is the name of a trace file: make one with import",
                shown(path)
            );
            return Err(UsageError::new(problem).into());
        }
        let mut evidence = match &self.file {
            Some(path) => of_file(path)?,
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
        if evidence.reset_without_a_word {
            run.problem(
                "it does not say why the machine was reset: a watchdog, a hang that nobody saw, or the power".to_owned(),
            );
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
        reset_without_a_word: segment.reset_without_a_word,
    })
}

/// What the kernel before this one has left: events from the first place that has some, and how it died from the first
/// that tells.
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
                reset_without_a_word: false,
            });
            continue;
        };
        if evidence.death.is_none() && death.is_some() {
            say(format_args!(
                "how the machine died is told by {}: remove that once it is read, or it is taken for the next crash's",
                left.name()
            ));
            evidence.death = death;
        }
    }
    evidence.ok_or_else(|| {
        anyhow!(
            "nothing was left by a crash: no persistent instance holds anything, and pstore has no dump. \
             `devres-tracer boot --persistent 4M` prints what makes the next one leave something; a log of the serial \
             console can be given as FILE"
        )
    })
}

/// A log that tells of a death and has no events.
fn without_events(death: Option<Death>) -> anyhow::Result<Exit> {
    let crash = Crash {
        death,
        under_way: Vec::new(),
        more: 0,
        missing: vec![
            "no devres event was recorded before that: `devres-tracer boot` prints what makes the kernel record them"
                .to_owned(),
        ],
    };
    crash::write(100, &mut io::stdout().lock(), &crash)?;
    Ok(Exit::Inconclusive)
}
