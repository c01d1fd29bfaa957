//! A check of the running kernel: what a command does to it, or an exercise.

use std::{ops::ControlFlow, path::Path};

use super::{Check, Failure, today};
use crate::{
    check::{
        CycleClock, Examination, Lives, Policy, Results, RunEnd,
        exercise::{Exercise, Roots},
    },
    command::{
        capture::{Asked, Capture, CaptureOptions, Captured, Receiver, say_if_missing},
        exercise::{RebindOptions, run_cycles},
        record::lost_at,
        say::say,
    },
    event::{Event, Time},
    evidence::{CommandEnd, SourceInformation},
    filter::DeviceFilter,
    number::plural,
    run::{Sighting, Wanted},
    trace_file::{Header, Recorder, RecorderOptions},
};

impl Check {
    /// Judges what happens in the running kernel.
    pub(super) async fn trace(
        &self,
        policy: &Policy,
        filter: &DeviceFilter,
    ) -> Result<(Results, Option<Lives>), Failure> {
        // What names nothing is said before anything is attached.
        self.capture.verify()?;
        let exercise = match (&self.exercise, &self.exercise_module) {
            (Some(name), _) => {
                let exercise = Exercise::of_devices(Roots::default(), name, self.force)?;
                Some(self.besides.added_to(exercise))
            }
            (None, Some(name)) => {
                Exercise::verify_module(&Roots::default(), name)?;
                None
            }
            (None, None) => self.rebind.exercise(self.force)?,
        };
        let mut journal = self.journal()?;
        let mut options = self.probes.options(filter);
        options.optional.extend(policy.optional_hooks());
        let mut capture = Capture::start(&options).map_err(Failure::Here)?;
        let wanted = Wanted::new(filter.clone());
        let information = wanted.of_source(&capture.information());
        let mut run =
            CheckRun::begin(information, policy, filter, self.recording()).map_err(Failure::Run)?;
        self.keep_lives(&mut run.examination);
        let exercise = match &self.exercise_module {
            Some(name) => Some(Exercise::of_module(Roots::default(), name, self.force)?),
            None => exercise,
        };
        let mut ending = RunEnd::on(today());
        let mut goes_on = exercise.is_none() && !self.exercise_all;
        if self.exercise_all {
            let journal = journal.as_mut();
            self.exercise_each(policy, &mut capture, &mut run, journal, &mut ending)
                .await?;
        }
        if let Some(exercise) = exercise {
            let clock = CycleClock::default();
            run.examination
                .watch_cycles(exercise.wanted(), clock.clone());
            let cycles = match self.rebind.rebind {
                Some(_) => RebindOptions::cycles(&self.capture),
                None => self.besides.cycles().unwrap_or(self.cycles),
            };
            let exercise = exercise.within(self.timeout);
            let exercised = run_cycles(&mut capture, &mut run, exercise, cycles, clock)
                .await
                .map_err(Failure::Run)?;
            goes_on = !self.capture.is_endless() && exercised.is_whole();
            ending.exercised = Some(exercised);
        }
        if goes_on {
            let captured = capture
                .run(&self.capture, &mut run)
                .await
                .map_err(Failure::Run)?;
            ending.cut_short = cut_short(&self.capture, captured).map(str::to_owned);
            if let (Some(status), false) = (captured.status, self.capture.command.is_empty()) {
                ending.command = Some(CommandEnd::of(&self.capture.command, status));
            }
        }
        ending.lost_by = capture.finish(&mut run);
        Ok(run.end(ending))
    }
}

impl Check {
    /// Where the run is recorded, and how, if it is.
    fn recording(&self) -> Option<(&Path, RecorderOptions)> {
        let options = RecorderOptions {
            overwrite: self.overwrite.overwrite,
            ..RecorderOptions::default()
        };
        self.record.as_deref().map(|path| (path, options))
    }
}

/// Why the run is not whole: somebody has asked this process to end before the run was over. Where there is nothing else
/// that could end it, Ctrl-C is no more than that.
fn cut_short(options: &CaptureOptions, captured: Captured) -> Option<&'static str> {
    match captured.asked? {
        Asked::Interrupt if options.is_endless() => None,
        Asked::Interrupt => Some("the run was interrupted"),
        Asked::Terminate => Some("the run was terminated"),
        Asked::HangUp => Some("the terminal of the run was closed"),
    }
}

/// Takes in what a capture yields.
pub(super) struct CheckRun {
    pub(super) examination: Examination,
    sighting: Sighting,
    recorder: Option<Recorder>,
}

impl CheckRun {
    fn begin(
        information: SourceInformation,
        policy: &Policy,
        filter: &DeviceFilter,
        recording: Option<(&Path, RecorderOptions)>,
    ) -> anyhow::Result<Self> {
        let recorder = match recording {
            None => None,
            Some((path, options)) => {
                let header = Header::of_this_machine(information.clone());
                Some(Recorder::start(path, header, options)?)
            }
        };
        Ok(Self {
            examination: Examination::new(information, policy.clone()),
            sighting: Sighting::new(filter.clone()),
            recorder,
        })
    }

    fn end(self, mut ending: RunEnd) -> (Results, Option<Lives>) {
        if let Some(recorder) = self.recorder {
            match recorder.finish(lost_at(&ending.lost_by)) {
                Ok(recorded) if recorded.unwritten > 0 => {
                    let events = plural(recorded.unwritten, "event", "events");
                    say(format_args!(
                        "{} {events} could not be recorded in time",
                        recorded.unwritten
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    ending.unrecorded = Some(format!("{:#}", anyhow::Error::new(error)));
                }
            }
        }
        self.examination.finish_with_lives(ending)
    }
}

impl Receiver for CheckRun {
    fn event(&mut self, event: &Event) {
        self.sighting.event(event);
        self.examination.event(event);
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event);
        }
    }

    fn snapshot_taken(&mut self) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.snapshot_taken()?;
        }
        say_if_missing(self.sighting.missing());
        Ok(())
    }

    fn pause(&mut self, until: Time) -> ControlFlow<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.pause();
        }
        self.examination.pass(until);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::capture;

    #[test]
    fn whoever_ends_a_run_too_early_cuts_it_short() {
        let asked = |asked, command: &[&str], seconds: Option<u64>| {
            let options = CaptureOptions {
                duration: seconds.map(Duration::from_secs),
                user: None,
                command: command.iter().map(Into::into).collect(),
            };
            let captured = Captured {
                reason: capture::StopReason::CommandEnded,
                status: None,
                asked,
            };
            cut_short(&options, captured).is_some()
        };
        assert!(!asked(None, &["true"], None));
        assert!(asked(Some(Asked::Interrupt), &["true"], None));
        assert!(asked(Some(Asked::Interrupt), &[], Some(60)));
        assert!(!asked(Some(Asked::Interrupt), &[], None));
        assert!(asked(Some(Asked::Terminate), &[], None));
        assert!(asked(Some(Asked::HangUp), &[], None));
    }
}
