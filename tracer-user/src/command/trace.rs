//! `devres-tracer trace`.

use std::{
    io::BufWriter,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Exit,
    after_boot::AfterBoot,
    capture::{Capture, CaptureOptions, Receiver},
    debug_options::{DebugOptions, tell_remarks},
    exercise::{RebindOptions, refusal, run_cycles},
    files::{self, OverwriteOption},
    manner,
    pager::{colours, width},
    reading, record,
    rules::RuleOptions,
    say::{plainly, say, shown},
    source_options::{FilterOptions, PROBE_OPTIONS, ProbeOptions},
    usage::UsageError,
};
use crate::{
    check::{CycleClock, exercise::Exercise},
    crash::Messages,
    event::{Event, Time},
    evidence::{CommandEnd, SourceEnd},
    filter::DeviceFilter,
    finding::Severity,
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::{Sink, json::JsonSink, text::TextSink},
    trace_file::{self, Header, Recorder, RecorderOptions},
};

/// Traces this kernel until the command ends, --for is over or Ctrl-C is pressed, and judges what happened
///
/// All probes are attached before the command starts, and all events it caused are read before the
/// verdict. The command's output is passed through; --output writes the report elsewhere. The command's exit status
/// does not affect the verdict.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
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
    overwrite: OverwriteOption,
    #[command(flatten)]
    capture: CaptureOptions,
    /// Also record to this trace file
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    record: Option<PathBuf>,
    #[command(flatten)]
    rebind: RebindOptions,
    /// Unbind also what the machine needs: the disks in use, the only network, the console
    #[arg(long, requires = "rebind", help_heading = "Exercise")]
    force: bool,
    /// Start with what the kernel has recorded since boot (set up by `devres-tracer boot`)
    #[arg(long, conflicts_with_all = ["from", "via"])]
    after_boot: bool,
    /// Keep the last events of each device under way in pstore, where `crash` finds them after the machine has died; needs
    /// /dev/pmsg0
    #[arg(long, conflicts_with = "from")]
    pstore: bool,
    #[command(flatten)]
    debug: DebugOptions,
    /// Replay this recording instead of tracing the kernel; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["duration", "user", "command", "rebind", "force"], conflicts_with_all = PROBE_OPTIONS)]
    from: Option<PathBuf>,
}

/// Shown under the help of every command that judges.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  clean: everything was seen, and no finding counts
  1  findings at or above --fail-on
  2  usage error, or a text without events
  3  inconclusive: no finding counts, but not everything was seen, or no device matches the filter
  4  could not run, or the input can't be read";

/// What is written, and where.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Write JSON lines
    #[arg(long)]
    json: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The lowest severity of findings that count: info, warn or error [default: error]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| "the severities are info, warn and error".to_owned())
}

impl OutputOptions {
    /// Whether everything that happens is told to people on standard output.
    pub(super) fn tells_all(&self) -> bool {
        !self.json && !manner::is_quiet() && self.output.is_none()
    }

    /// The lowest severity of findings that count.
    pub(super) fn fail_on(&self) -> Severity {
        self.fail_on.unwrap_or(Severity::Error)
    }

    /// The file to write, if any.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// What was asked for that says how findings are reported, if anything was.
    pub(super) fn manner(&self) -> Option<&'static str> {
        [(self.json, "--json"), (self.fail_on.is_some(), "--fail-on")]
            .into_iter()
            .find_map(|(given, option)| given.then_some(option))
    }

    /// Whether a line for each event goes to standard output.
    pub(super) fn writes_events_to_standard_output(&self) -> bool {
        !manner::is_quiet() && self.output.is_none()
    }

    /// The file to write, if its name is that of a trace file.
    pub(super) fn trace_file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| path.extension().is_some_and(|it| it == trace_file::SUFFIX))
    }

    /// Fails if the file to write is named like a trace file, for which there is something `better`.
    pub(super) fn refuse_trace_file(&self, better: &str) -> anyhow::Result<()> {
        let Some(path) = self.trace_file() else {
            return Ok(());
        };
        let path = shown(path);
        let problem =
            format!("--output is for the report, and {path} is named like a trace file: {better}");
        Err(UsageError::new(problem).into())
    }

    /// The sink.
    pub(super) fn sink(&self) -> anyhow::Result<Box<dyn Sink>> {
        let writer = files::create(self.output.as_deref())?;
        let writer = BufWriter::with_capacity(1 << 16, writer);
        Ok(if self.json {
            Box::new(JsonSink::new(writer, !manner::is_quiet()))
        } else {
            let sink = TextSink::new(writer, !manner::is_quiet());
            match &self.output {
                Some(_) => Box::new(sink),
                None => Box::new(sink.for_terminal(width(), colours())),
            }
        })
    }
}

impl Trace {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let rules = self.rules.rules()?;
        self.output.refuse_trace_file("use --record")?;
        let outputs = [self.output.file(), self.record.as_deref()];
        files::refuse_same(self.from.as_deref(), outputs.into_iter().flatten())?;
        self.overwrite.refuse_existing(self.record.as_deref())?;
        self.debug.refuse_without(self.from.is_some())?;
        if let Some(path) = &self.from {
            self.debug.keep_for_reading(self.output.file());
            let mut recording =
                reading::open_for(path, self.output.writes_events_to_standard_output())?;
            self.debug.attach(&mut recording)?;
            let information = recording.information().clone();
            let wanted = Wanted::of_recording(filter, &recording);
            let mut sink = self.output.sink()?;
            let purpose = Purpose::Judge(self.output.fail_on());
            let run = Run::begin(&information, wanted, (rules, ()), purpose, sink.as_mut());
            let concluded = run.replay(&mut recording);
            tell_remarks(&recording);
            return Exit::of_run(concluded);
        }
        self.live(filter, rules).await
    }

    async fn live(self, filter: DeviceFilter, rules: RuleSet) -> anyhow::Result<Exit> {
        self.capture.verify()?;
        let exercise = self.rebind.exercise(self.force).map_err(refusal)?;
        let mut options = self.probes.options(&filter);
        options.optional.extend(self.rules.optional_hooks(&rules));
        let after_boot = self.after_boot.then(AfterBoot::begin).transpose()?;
        let messages = self.pstore.then(Messages::open).transpose()?;
        let mut capture = Capture::start(&options)?;
        let wanted = Wanted::new(filter);
        let mut sink = self.output.sink()?;
        let information = capture.information();
        let recorder = match &self.record {
            Some(path) => Some(Recorder::start(
                path,
                Header::of_this_machine(wanted.of_source(&information)),
                RecorderOptions {
                    overwrite: self.overwrite.overwrite,
                    ..RecorderOptions::default()
                },
            )?),
            None => None,
        };
        let purpose = Purpose::Judge(self.output.fail_on());
        let mut run = Run::begin(&information, wanted, (rules, ()), purpose, sink.as_mut());
        run.flush();
        let mut judged = Judged {
            run,
            recorder,
            messages,
        };
        if let Some(after_boot) = after_boot {
            let handed_on = after_boot.hand_on(&mut |event| judged.event(event))?;
            plainly(handed_on);
        }
        let mut goes_on = true;
        if let Some(exercise) = exercise {
            goes_on = rebind(exercise, &self.capture, &mut capture, &mut judged).await?;
        }
        let captured = if goes_on {
            Some(capture.run_last(&self.capture, &mut judged).await?)
        } else {
            None
        };
        let lost_by = capture.finish(&mut judged);
        let file = judged
            .recorder
            .map(|recorder| recorder.finish(record::lost_at(&lost_by)));
        // A command that was ended with the tracing has not failed by itself.
        if let Some(status) = captured.and_then(|captured| captured.status_of_its_own()) {
            let end = CommandEnd::of(&self.capture.command, status);
            judged.run.command_ended(end);
        }
        if let Some(Err(error)) = judged.messages.map(Messages::finish) {
            say(format_args!("not everything was kept in pstore: {error}"));
        }
        let exit = Exit::of_run(judged.run.end(SourceEnd::of_kernel(lost_by)))?;
        if let (Some(file), Some(path)) = (file, &self.record) {
            record::tell(&file?, path, None);
        }
        Ok(exit)
    }
}

/// Binds again what is to be judged; whether the run goes on after it.
async fn rebind(
    exercise: Exercise,
    options: &CaptureOptions,
    capture: &mut Capture,
    judged: &mut Judged<'_>,
) -> anyhow::Result<bool> {
    let cycles = RebindOptions::cycles(options);
    let exercised = run_cycles(capture, judged, exercise, cycles, CycleClock::default()).await?;
    if let Some(gap) = exercised.gap() {
        judged.run.doubt(format!("--rebind: {gap}"));
    }
    Ok(!options.is_endless() && exercised.is_whole())
}

/// What is judged, and recorded if that is wanted.
struct Judged<'sink> {
    run: Run<'sink>,
    recorder: Option<Recorder>,
    /// Keeps what is under way where it outlives a crash.
    messages: Option<Messages>,
}

impl Receiver for Judged<'_> {
    fn event(&mut self, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event);
        }
        Receiver::event(&mut self.run, event);
        if let Some(messages) = &mut self.messages {
            messages.event(event, self.run.model());
        }
    }

    fn snapshot_taken(&mut self) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.snapshot_taken()?;
        }
        Receiver::snapshot_taken(&mut self.run)
    }

    /// That recording has failed is reported at the end: it doesn't keep from judging.
    fn pause(&mut self, until: Time) -> ControlFlow<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.pause();
        }
        self.run.pause(until)
    }
}
