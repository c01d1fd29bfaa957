//! A check of the running kernel: what a command does to it, or an exercise.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Check, Failure, today};
use crate::{
    check::{
        CommandEnd, CycleClock, Ending, Examination, Policy, Results,
        exercise::{Course, Exercised, Roots},
    },
    command::{
        capture::{Asked, Capture, CaptureOptions, Captured, Receiver, now},
        record::lost_at,
        say::say,
        wanted::Wanted,
    },
    event::Event,
    filter::DeviceFilter,
    sink::SourceInformation,
    trace_file::{Header, Recorder, RecorderOptions},
};

impl Check {
    /// Judges what happens in the running kernel.
    pub(super) async fn trace(
        &self,
        policy: &Policy,
        filter: &DeviceFilter,
    ) -> Result<Results, Failure> {
        // What names nothing is said before anything is attached.
        self.capture.verify()?;
        let course = match (&self.exercise, &self.exercise_module) {
            (Some(name), _) => Some(Course::of_devices(Roots::default(), name, self.force)?),
            (None, Some(name)) => {
                Course::verify_module(&Roots::default(), name)?;
                None
            }
            (None, None) => None,
        };
        let mut options = self.probes.options(filter);
        options.optional.extend(policy.optional_hooks());
        let mut capture = Capture::start(&options).map_err(Failure::Here)?;
        let wanted = Wanted::new(filter.clone());
        let information = wanted.of_source(&capture.information());
        let mut run =
            CheckRun::begin(information, policy, self.record.as_deref()).map_err(Failure::Run)?;
        let course = match &self.exercise_module {
            Some(name) => Some(Course::of_module(Roots::default(), name, self.force)?),
            None => course,
        };
        let mut ending = Ending::on(today());
        if let Some(course) = course {
            let clock = CycleClock::default();
            run.examination.watch_cycles(course.wanted(), clock.clone());
            let exercised = exercise(&mut capture, &mut run, course, self.cycles, clock).await?;
            ending.exercised = Some(exercised);
        } else {
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

/// Why the run is not whole: somebody has asked this process to end before the run was over. Where there is nothing else
/// that could end it, Ctrl-C is no more than that.
fn cut_short(options: &CaptureOptions, captured: Captured) -> Option<&'static str> {
    let open_ended = options.command.is_empty() && options.duration.is_none();
    match captured.asked? {
        Asked::Interrupt if open_ended => None,
        Asked::Interrupt => Some("the run was interrupted"),
        Asked::Terminate => Some("the run was terminated"),
        Asked::HangUp => Some("the run's terminal went away"),
    }
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
    exercised
        .map_err(Failure::Run)?
        .map_err(|error| Failure::Run(anyhow::Error::new(error).context("the exercise failed")))
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

    fn end(self, mut ending: Ending) -> Results {
        if let Some(recorder) = self.recorder {
            match recorder.finish(lost_at(&ending.lost_by)) {
                Ok(recorded) if recorded.unwritten > 0 => {
                    let events = if recorded.unwritten == 1 {
                        "event"
                    } else {
                        "events"
                    };
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
        self.examination.finish(ending)
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
        if let Some(now) = now() {
            self.examination.pass(now);
        }
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
                ending: capture::Ending::CommandEnded,
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
