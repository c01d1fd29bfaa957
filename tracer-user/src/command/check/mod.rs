//! `devres-tracer check`.

mod all;
mod failure;
mod reports;
mod tracing;

use std::{
    io::{self, IsTerminal as _, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};

use failure::Failure;
use reports::{Form, Judgement, OpenReport, Report};

use super::{
    Exit,
    capture::CaptureOptions,
    debug_options::{DebugOptions, tell_remarks},
    exercise::{BesidesOptions, RebindOptions},
    files::{self, OverwriteOption},
    judged::keep_wanted,
    policy, reading,
    say::{say, shown},
    source_options::{FilterOptions, PROBE_OPTIONS, ProbeOptions},
    usage::UsageError,
};
use crate::{
    check::{Date, Examination, Lives, Policy, Results, RunEnd, write_expectations},
    duration,
    evidence::CommandEnd,
    filter::DeviceFilter,
    finding::Severity,
    history::Limits,
    run::Wanted,
    sink::reports::Format,
    source::recording::Recording,
};

/// Shown under the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  pass: everything that the policy asks for was seen and holds
  1  something failed, or the run itself did
  2  usage error, wrong policy, or a text without events
  3  inconclusive: nothing failed, but not everything was seen
  4  cannot run here, or the input can't be read";

/// Judges a run by a policy and writes reports for CI: KTAP, JUnit, SARIF and more
///
/// The run is a traced command, a recording or log (FILE), or a driver that is unbound and rebound (--exercise).
/// Every requested report file describes this run, even if it failed to start.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, group = clap::ArgGroup::new("unbound").args(["exercise", "exercise_module", "rebind"]))]
pub(super) struct Check {
    /// A recording, or a kernel log or text trace as `import` reads it; - for standard input
    #[arg(conflicts_with_all = ["command", "propagate", "exercise", "exercise_module", "rebind", "duration", "record", "user", "cycles", "force", "hold", "fail_probe", "resume"], conflicts_with_all = PROBE_OPTIONS)]
    file: Option<PathBuf>,
    /// The policy file; `devres-tracer policy init` writes one
    #[arg(long, short, value_name = "FILE", help_heading = "Policy")]
    policy: Option<PathBuf>,
    /// A file of known findings, in addition to those in the policy; can be repeated
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    expectations: Vec<PathBuf>,
    /// Write expectations to FILE that let a run like this one pass
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    write_expectations: Option<PathBuf>,
    /// The lowest severity that fails the run: info, warn or error [default: the policy's, else error]
    #[arg(long, value_name = "SEVERITY", value_parser = super::trace::severity, help_heading = "Policy")]
    fail_on: Option<Severity>,
    /// Write a report: ktap, junit, sarif, json, github or lava, to a file or standard output (-); can be
    /// repeated. With a command, only ktap, github and lava can go to standard output [default: ktap=-]
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = Report::parse, help_heading = "Reports")]
    report: Vec<Report>,
    /// Also write a page of HTML: the tests, a picture of all devices over time, and the findings
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    html: Option<PathBuf>,
    /// Also record the run to a trace file
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    record: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    /// If the command fails, exit with its exit code
    #[arg(long, requires = "command")]
    propagate: bool,
    /// Unbind and rebind all devices of a driver (DRIVER or BUS/DRIVER), or one device (its name, with or
    /// without BUS/, or its sysfs path)
    #[arg(
        long,
        value_name = "DRIVER|DEVICE",
        conflicts_with_all = ["command", "duration", "rebind", "exercise_all"],
        group = "exercised",
        help_heading = "Exercise"
    )]
    exercise: Option<String>,
    #[command(flatten)]
    besides: BesidesOptions,
    /// Unload and reload a module, given by name or file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["command", "duration", "exercise", "exercise_all", "rebind"], group = "exercised", help_heading = "Exercise")]
    exercise_module: Option<String>,
    /// Exercise every bound device that can be unbound safely, one after the other, and say why the others are left out;
    /// --device, --driver, --bus and the policy choose among them
    #[arg(long, conflicts_with_all = ["file", "command", "duration", "rebind"], group = "exercised", help_heading = "Exercise")]
    exercise_all: bool,
    /// Keep in this file what was exercised. Run again with the same file to go on where the last run ended, also if the
    /// machine did not survive that
    #[arg(
        long,
        value_name = "FILE",
        requires = "exercise_all",
        help_heading = "Exercise"
    )]
    resume: Option<PathBuf>,
    /// Number of cycles
    #[arg(long, value_name = "N", default_value_t = 10, requires = "exercised", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Exercise")]
    cycles: u64,
    /// How long the kernel may take to unbind or bind a device: what takes longer fails, with the functions where it waits,
    /// and its device is left as it is
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "exercised", value_parser = duration::parse_with_seconds, help_heading = "Exercise")]
    timeout: Duration,
    #[command(flatten)]
    rebind: RebindOptions,
    /// Exercise even what the machine needs: disks in use, the only network, the console
    #[arg(long, requires = "unbound", help_heading = "Exercise")]
    force: bool,
    #[command(flatten)]
    debug: DebugOptions,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    capture: CaptureOptions,
}

impl Check {
    pub(super) async fn run(mut self) -> anyhow::Result<Exit> {
        if self.report.is_empty() {
            self.report.push(Report {
                form: Form::Format(Format::Ktap),
                file: None,
            });
        }
        if let Some(page) = &self.html {
            self.report.push(Report {
                form: Form::Page,
                file: Some(page.clone()),
            });
        }
        // Until here nothing is written: a report that is told to replace what is read must not.
        self.refuse_conflicts()?;
        let mut reports = Vec::new();
        let opened = self
            .report
            .iter()
            .try_for_each(|report| OpenReport::open(report).map(|open| reports.push(open)));
        let judged = match opened {
            Ok(()) => self.judge().await,
            Err(error) => Err(Failure::of_output(error)),
        };
        match judged {
            Ok((policy, judgement)) => Ok(self.conclude(reports, &policy, &judgement)),
            Err(failure) => {
                say(failure.message());
                let results = failure.results(self.file.is_none(), today());
                reports.retain(|report| report.is_file() || failure.concerns_everyone());
                let judgement = Judgement::without_run(results);
                if let Err(error) = reports::write_all(reports, &judgement) {
                    say(format_args!("{error:#}"));
                }
                Ok(failure.exit())
            }
        }
    }

    /// What would never end, and what can't be written, or not all at once.
    fn refuse_conflicts(&self) -> Result<(), UsageError> {
        self.debug.refuse_without(self.file.is_some())?;
        if let Some(conflict) = Report::conflict(&self.report, !self.capture.command.is_empty()) {
            return Err(UsageError::new(conflict));
        }
        self.overwrite.refuse_existing(self.record.as_deref())?;
        files::refuse_same(self.file.as_deref(), self.outputs())?;
        files::refuse_same(self.policy.as_deref(), self.outputs())?;
        // Expectations may be made anew of what is found, but nothing else may take their place.
        for expectations in &self.expectations {
            files::refuse_same(Some(expectations), self.outputs_but_expectations())?;
        }
        let exercises = self.exercise.is_some()
            || self.exercise_module.is_some()
            || self.exercise_all
            || self.rebind.rebind.is_some();
        if self.file.is_none()
            && !exercises
            && self.capture.is_endless()
            && !io::stderr().is_terminal()
        {
            return Err(UsageError::new(
                "nothing to judge: give a FILE, a command after `--`, --exercise, --exercise-all, --exercise-module, --rebind or --for TIME",
            ));
        }
        Ok(())
    }

    /// The files that are written.
    fn outputs(&self) -> impl Iterator<Item = &Path> {
        self.outputs_but_expectations()
            .chain(self.write_expectations.as_deref())
    }

    fn outputs_but_expectations(&self) -> impl Iterator<Item = &Path> {
        let reports = self.report.iter().filter_map(|report| report.file.as_ref());
        reports
            .chain(&self.record)
            .chain(&self.resume)
            .map(PathBuf::as_path)
    }

    async fn judge(&self) -> Result<(Policy, Judgement), Failure> {
        let filter = self.filter.filter()?;
        let policy = self.policy()?.narrowed(filter.clone());
        let (results, lives) = match &self.file {
            Some(file) => self.judge_recording(file, &policy, &filter)?,
            None => self.trace(&policy, &filter).await?,
        };
        let lives = lives.map(|mut lives| {
            keep_wanted(&mut lives.histories, &filter);
            lives
                .findings
                .retain(|finding| filter.wants_finding(finding));
            lives
        });
        let name = match &self.file {
            Some(file) => file.display().to_string(),
            None => "the running kernel".to_owned(),
        };
        let judgement = Judgement {
            results,
            name,
            lives,
        };
        Ok((policy, judgement))
    }

    /// Keeps what a page shows, if one is wanted.
    fn keep_lives(&self, examination: &mut Examination) {
        if self.html.is_some() {
            examination.keep_lives(Limits::for_a_picture());
        }
    }

    /// Judges what was recorded.
    fn judge_recording(
        &self,
        file: &Path,
        policy: &Policy,
        filter: &DeviceFilter,
    ) -> Result<(Results, Option<Lives>), Failure> {
        self.debug.keep_for_reading(self.outputs());
        let mut recording = reading::told(Recording::open(file)).map_err(Failure::of_input)?;
        self.debug
            .attach(&mut recording)
            .map_err(Failure::of_input)?;
        let wanted = Wanted::of_recording(filter.clone(), &recording);
        let mut ending = RunEnd::on(today());
        let mut examination = Examination::new(recording.information().clone(), policy.clone());
        self.keep_lives(&mut examination);
        let end = recording.replay(|event| {
            examination.event(event);
            ControlFlow::Continue(())
        });
        tell_remarks(&recording);
        if let Some(until) = end.until {
            examination.pass(until);
        }
        // What comes behind the damage is missing, and what was read still counts.
        let mut gaps: Vec<String> = end.gaps().cloned().collect();
        gaps.extend(wanted.narrowed());
        ending.cut_short = (!gaps.is_empty()).then(|| gaps.join("; "));
        ending.lost_by = end.lost_by;
        Ok(examination.finish_with_lives(ending))
    }

    fn conclude(&self, reports: Vec<OpenReport>, policy: &Policy, judgement: &Judgement) -> Exit {
        let results = &judgement.results;
        let mut written = reports::write_all(reports, judgement);
        if let Some(path) = &self.write_expectations {
            let expected = files::create_public(path).and_then(|mut file| {
                file.write_all(write_expectations(results, policy).as_bytes())
                    .with_context(|| format!("{} can't be written", shown(path)))
            });
            written = written.and(expected);
        }
        if let Some(failure) = results.command.as_ref().and_then(CommandEnd::failure) {
            say(failure);
        }
        say(results.line());
        match &results.command {
            Some(end) if self.propagate && end.code != 0 => Exit::OfCommand(end.code),
            // Whoever waits for what was to be written must not take this for a run that has passed, or was skipped.
            _ => match written {
                Ok(()) => results.verdict.into(),
                Err(error) => {
                    say(format_args!("{error:#}"));
                    Exit::Findings
                }
            },
        }
    }

    fn policy(&self) -> Result<Policy, UsageError> {
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
        Ok(policy)
    }
}

/// The day, in UTC.
fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}
