//! `devres-tracer check`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use anyhow::Context as _;
use clap::Args;

use super::{
    Exit,
    capture::{Capture, CaptureOptions, Ending as CaptureEnding, Receiver},
    policy,
    record::lost_at,
    source_options::{FilterOptions, ProbeOptions},
    usage::UsageError,
};
use crate::{
    check::{
        CommandEnd, CycleClock, Ending, Examination, Policy, Results,
        date::Date,
        exercise::{Course, ExerciseError, Exercised, Roots},
        write_expectations,
    },
    escape::escape,
    event::Event,
    filter::DeviceFilter,
    finding::Severity,
    sink::{SourceInformation, reports::Format},
    source::{live::Kernel, recording::Recording},
    trace_file::{Header, Recorder, RecorderOptions},
};

/// Judges a run for continuous integration, by a policy, and reports it in the forms that CI reads
///
/// Judges what a command does to this kernel, a recording or a pasted log (FILE), or what happens when a
/// driver is unbound and bound again (--exercise). Exit codes: 0 pass, 1 something failed, 2 the command line or
/// policy is wrong, 3 inconclusive, 4 it can't run here.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// A recording, or a kernel log or trace as `import` reads it; - for standard input
    #[arg(conflicts_with_all = ["command", "propagate", "exercise", "exercise_module", "duration", "record"])]
    file: Option<PathBuf>,
    /// The policy; `devres-tracer policy init` writes one
    #[arg(long, short, value_name = "FILE", help_heading = "Policy")]
    policy: Option<PathBuf>,
    /// Known findings, beside those in the policy; can be repeated
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    expectations: Vec<PathBuf>,
    /// Write a file with expectations under which a run like this one passes
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    write_expectations: Option<PathBuf>,
    /// The lowest severity of findings that fail the run: info, warn or error; the policy's if not given
    #[arg(long, value_name = "SEVERITY", value_parser = super::trace::severity, help_heading = "Policy")]
    fail_on: Option<Severity>,
    /// Write a report: ktap, junit, sarif, json, github or lava, to a file or (-) standard output; can be
    /// repeated [default: ktap=-]
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = Report::parse, help_heading = "Reports")]
    report: Vec<Report>,
    /// Record the run to a trace file, to be looked at or judged again later
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    record: Option<PathBuf>,
    /// End with the command's exit code if the command fails
    #[arg(long, requires = "command")]
    propagate: bool,
    /// Unbind and bind again a driver's devices (DRIVER or BUS/DRIVER), or one device (its name, with or
    /// without BUS/, or its path in sysfs)
    #[arg(
        long,
        value_name = "DRIVER|DEVICE",
        conflicts_with = "command",
        help_heading = "Exercise"
    )]
    exercise: Option<String>,
    /// Unload and load again a module, by name or by the path of its file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["command", "duration", "exercise"], help_heading = "Exercise")]
    exercise_module: Option<String>,
    /// How many times
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Exercise")]
    cycles: u64,
    /// Exercise also what the machine needs: the disks in use, the only network, the console
    #[arg(long, help_heading = "Exercise")]
    force: bool,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    capture: CaptureOptions,
}

/// A report that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    format: Format,
    /// `None` for standard output.
    file: Option<PathBuf>,
}

impl Report {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').unwrap_or((text, "-"));
        let format = Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                let names = Format::ALL.map(Format::name);
                format!("the forms are {}", names.join(", "))
            })?;
        match file {
            "" => Err(format!("{name}= needs a file, or - for standard output")),
            "-" => Ok(Self { format, file: None }),
            file => Ok(Self {
                format,
                file: Some(file.into()),
            }),
        }
    }

    /// Why these can't be written all at once.
    fn conflict(reports: &[Self]) -> Option<String> {
        let shown: Vec<Format> = reports
            .iter()
            .filter(|report| report.file.is_none())
            .map(|report| report.format)
            .collect();
        if let Some(document) = shown.iter().find(|format| !format.is_lines())
            && shown.len() > 1
        {
            return Some(format!(
                "standard output can't take {} beside another report: give one of them a file",
                document.name()
            ));
        }
        let files: Vec<_> = reports
            .iter()
            .filter_map(|report| report.file.as_ref())
            .collect();
        let different: BTreeSet<_> = files.iter().collect();
        (different.len() < files.len()).then(|| "two reports have the same file".to_owned())
    }
}

/// A report with what it is written to.
struct OpenReport {
    format: Format,
    name: String,
    writer: Box<dyn Write>,
}

impl OpenReport {
    fn open(report: &Report) -> anyhow::Result<Self> {
        let (name, writer): (_, Box<dyn Write>) = match &report.file {
            None => ("standard output".to_owned(), Box::new(io::stdout())),
            Some(path) => {
                let name = path.display().to_string();
                let file =
                    File::create(path).with_context(|| format!("{name} can't be written"))?;
                (name, Box::new(file))
            }
        };
        Ok(Self {
            format: report.format,
            name,
            writer: Box::new(BufWriter::new(writer)),
        })
    }

    fn write(mut self, results: &Results) -> anyhow::Result<()> {
        let written = self
            .format
            .write(results, &mut self.writer)
            .and_then(|()| self.writer.flush());
        match written {
            // Nobody reads it any more; the verdict stands.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.with_context(|| format!("{} can't be written", self.name)),
        }
    }
}

/// Why there are no results.
enum Failure {
    /// What was asked for is wrong.
    Usage(String),
    /// It can't be done here.
    Here(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Here(error)
    }
}

impl From<ExerciseError> for Failure {
    fn from(error: ExerciseError) -> Self {
        match error {
            ExerciseError::NoTarget(_) | ExerciseError::Ambiguous { .. } => {
                Self::Usage(error.to_string())
            }
            other => Self::Here(other.into()),
        }
    }
}

impl Check {
    pub(super) async fn run(mut self) -> anyhow::Result<Exit> {
        let filter = self.filter.filter()?;
        let Some(policy) = self.policy() else {
            return Ok(Exit::Usage);
        };
        if self.report.is_empty() {
            self.report.push(Report {
                format: Format::Ktap,
                file: None,
            });
        }
        if let Some(conflict) = Report::conflict(&self.report) {
            return Err(UsageError::new(conflict).into());
        }
        let reports: Vec<OpenReport> = self
            .report
            .iter()
            .map(OpenReport::open)
            .collect::<anyhow::Result<_>>()?;
        let policy = policy.narrowed(filter.clone());
        let (results, exit) = match self.results(&policy, &filter).await {
            Ok(results) => {
                let exit = self.exit(&results);
                (results, exit)
            }
            Err(Failure::Usage(message)) => {
                eprintln!("devres-tracer: {message}");
                return Ok(Exit::Usage);
            }
            Err(Failure::Here(error)) => {
                let kernel = Kernel::running();
                let why = format!("{error:#}");
                eprintln!("devres-tracer: it can't run here: {}", escape(&why));
                let results = Results::not_run(&kernel, Date::of(SystemTime::now()), &why);
                (results, Exit::CouldNotRun)
            }
        };
        for report in reports {
            report.write(&results)?;
        }
        if exit == Exit::CouldNotRun {
            return Ok(exit);
        }
        if let Some(path) = &self.write_expectations {
            fs::write(path, write_expectations(&results, &policy))
                .with_context(|| format!("{} can't be written", path.display()))?;
        }
        if let Some(failure) = results.command.as_ref().and_then(CommandEnd::failure) {
            eprintln!("devres-tracer: {failure}");
        }
        eprintln!("devres-tracer: {}", results.line());
        Ok(exit)
    }

    fn policy(&self) -> Option<Policy> {
        let mut policy = match &self.policy {
            Some(file) => policy::read(file)?,
            None => Policy::default(),
        };
        for file in &self.expectations {
            policy::add_expectations(&mut policy, file)?;
        }
        if let Some(fail_on) = self.fail_on {
            policy.fail_on = fail_on;
        }
        Some(policy)
    }

    async fn results(&self, policy: &Policy, filter: &DeviceFilter) -> Result<Results, Failure> {
        match &self.file {
            Some(file) => from_recording(file, policy.clone()),
            None => self.trace(policy, filter).await,
        }
    }

    async fn trace(&self, policy: &Policy, filter: &DeviceFilter) -> Result<Results, Failure> {
        // What names nothing is said before anything is attached.
        let course = match &self.exercise {
            Some(name) => Some(Course::of_devices(Roots::default(), name, self.force)?),
            None => None,
        };
        let mut options = self.probes.options(filter);
        options.optional.extend(policy.optional_hooks());
        let mut capture = Capture::start(&options)?;
        let information = capture.information();
        let mut run = CheckRun::begin(information, policy, self.record.as_deref())?;
        let course = match &self.exercise_module {
            Some(name) => Some(Course::of_module(Roots::default(), name, self.force)?),
            None => course,
        };
        let mut ending = Ending::on(Date::of(SystemTime::now()));
        if let Some(course) = course {
            let clock = CycleClock::default();
            run.examination.watch_cycles(course.wanted(), clock.clone());
            let exercised = exercise(&mut capture, &mut run, course, self.cycles, clock).await?;
            ending.exercised = Some(exercised);
        } else {
            let captured = capture.run(&self.capture, &mut run).await?;
            if !self.capture.command.is_empty() {
                ending.command = captured.status.map(|status| self.command_end(status));
                if captured.ending == CaptureEnding::Interrupted {
                    ending.cut_short = Some("the run was interrupted".to_owned());
                }
            }
        }
        ending.lost_by = capture.finish(&mut run);
        run.end(ending).map_err(Failure::Here)
    }

    fn command_end(&self, status: ExitStatus) -> CommandEnd {
        let words: Vec<_> = self
            .capture
            .command
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
            // As a shell has it.
            (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            (None, None) => u8::MAX,
        };
        CommandEnd {
            command: words.join(" "),
            code,
        }
    }

    fn exit(&self, results: &Results) -> Exit {
        match &results.command {
            Some(end) if self.propagate && end.code != 0 => Exit::OfCommand(end.code),
            _ => results.verdict.into(),
        }
    }
}

/// Judges what was recorded.
fn from_recording(file: &Path, policy: Policy) -> Result<Results, Failure> {
    // Not that it can't run here: a mistyped name must not look like a test that was skipped.
    let mut recording =
        Recording::open(file).map_err(|error| Failure::Usage(escape(&chain(&error))))?;
    let mut ending = Ending::on(Date::of(SystemTime::now()));
    let mut examination = Examination::new(recording.information().clone(), policy);
    let read = recording.for_each(|event| {
        examination.event(event);
        ControlFlow::Continue(())
    });
    if let Err(error) = read {
        // What comes behind the damage is missing, and what was read still counts.
        ending.cut_short = Some(chain(&error));
    }
    let problems = recording.problems();
    if ending.cut_short.is_none() && !problems.is_empty() {
        ending.cut_short = Some(problems.join("; "));
    }
    ending.lost_by = recording.lost_by();
    Ok(examination.finish(ending))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Does the exercise on a thread of its own while what happens is taken in. Whoever asks this process to
/// end has it end after the cycle that is running.
async fn exercise(
    capture: &mut Capture,
    run: &mut CheckRun,
    course: Course,
    cycles: u64,
    clock: CycleClock,
) -> Result<Exercised, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let work = tokio::task::spawn_blocking(move || course.run(cycles, &stop, &clock));
    let exercised = capture
        .during(work, || asked.store(true, Ordering::Relaxed), run)
        .await;
    // If the capture has failed, the exercise still runs, and this process waits for its end.
    asked.store(true, Ordering::Relaxed);
    exercised?
        .map_err(|error| Failure::Here(anyhow::Error::new(error).context("the exercise failed")))
}

/// Takes in what a capture yields.
struct CheckRun {
    examination: Examination,
    recorder: Option<Recorder>,
}

impl CheckRun {
    fn begin(
        information: SourceInformation,
        policy: &Policy,
        record: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let recorder = match record {
            None => None,
            Some(path) => {
                let header = Header::of_this_machine(information.clone());
                Some(Recorder::start(path, header, RecorderOptions::default())?)
            }
        };
        Ok(Self {
            examination: Examination::new(information, policy.clone()),
            recorder,
        })
    }

    fn end(self, ending: Ending) -> anyhow::Result<Results> {
        if let Some(recorder) = self.recorder {
            let recorded = recorder.finish(lost_at(&ending.lost_by))?;
            if recorded.unwritten > 0 {
                eprintln!(
                    "devres-tracer: {} events could not be recorded in time",
                    recorded.unwritten
                );
            }
        }
        Ok(self.examination.finish(ending))
    }
}

impl Receiver for CheckRun {
    fn event(&mut self, event: &Event) {
        self.examination.event(event);
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event);
        }
    }

    fn pause(&mut self) -> ControlFlow<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.pause();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        Report::parse(text).unwrap()
    }

    #[test]
    fn reports_have_a_form_and_a_file() {
        assert_eq!(report("ktap"), report("ktap=-"));
        assert_eq!(report("junit=a=b.xml").file, Some("a=b.xml".into()));
        assert!(Report::parse("xml=out").unwrap_err().contains("junit"));
        assert!(Report::parse("junit=").is_err());
    }

    #[test]
    fn what_would_be_mixed_up_is_refused() {
        assert_eq!(Report::conflict(&[report("ktap"), report("github")]), None);
        assert_eq!(Report::conflict(&[report("ktap"), report("junit=x")]), None);
        assert!(Report::conflict(&[report("ktap"), report("junit")]).is_some());
        assert!(Report::conflict(&[report("ktap=x"), report("junit=x")]).is_some());
    }
}
