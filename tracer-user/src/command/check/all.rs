//! `check --exercise-all`: every bound device that can be unbound safely, one after the other.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Check, Failure, today, tracing::CheckRun};
use crate::{
    check::{
        CycleClock, Place, Policy, RunEnd, Status, Test,
        exercise::{Candidate, Exercise, Exercised, Journal, Roots, Target},
    },
    command::{
        capture::Capture,
        exercise::run_cycles,
        manner,
        say::{remark, shown},
    },
    escape::Escaped,
    kernel::{Kernel, now},
};

impl Check {
    /// What was exercised already, where that is kept.
    pub(super) fn journal(&self) -> Result<Option<Journal>, Failure> {
        let kernel = Kernel::running().release;
        let open = |path| Journal::open(path, &kernel).with_context(|| shown(path));
        let journal = self.resume.as_deref().map(open).transpose();
        journal.map_err(Failure::Input)
    }

    /// Exercises each device, and keeps for the end what came of it: one test each.
    pub(super) async fn exercise_each(
        &self,
        policy: &Policy,
        capture: &mut Capture,
        run: &mut CheckRun,
        mut journal: Option<&mut Journal>,
        ending: &mut RunEnd,
    ) -> Result<(), Failure> {
        let roots = Roots::default();
        let mut candidates = Candidate::every(&roots)?;
        candidates.retain(|candidate| policy.wants(&candidate.place));
        // What an earlier run has left unbound, or hanging, must not be forgotten.
        let mut gone = journal
            .as_ref()
            .map_or_else(Vec::new, |known| known.places());
        gone.retain(|place| {
            policy.wants(place) && !candidates.iter().any(|candidate| candidate.place == *place)
        });
        if candidates.is_empty() && gone.is_empty() {
            return Err(Failure::Run(anyhow!(
                "no device that is judged has a driver"
            )));
        }
        let progress = Progress::of(candidates.len());
        let mut stopped = None;
        for candidate in candidates {
            let place = candidate.place.clone();
            progress.next(&place);
            let test = if let Some(test) = journal.as_ref().and_then(|known| known.earlier(&place))
            {
                ending.judged_before += 1;
                test
            } else if let Some(why) = &stopped {
                let why = format!("not exercised: {why}");
                Test::new(place.name(), Status::Inconclusive, why)
            } else {
                match candidate.target(&roots) {
                    Err(error) => Test::new(place.name(), Status::Skipped, error.reason()),
                    Ok(target) => {
                        let kept = &mut journal;
                        keep(kept, |journal| journal.begin(&place))?;
                        let (test, exercised) = self.exercise_one(target, capture, run).await?;
                        keep(kept, |journal| journal.end(&place, &test))?;
                        stopped = exercised.stopped;
                        test
                    }
                }
            };
            ending.exercised_each.push((place, test));
        }
        for place in gone {
            let earlier = journal.as_ref().and_then(|known| known.earlier(&place));
            ending.judged_before += usize::from(earlier.is_some());
            let test = earlier.unwrap_or_else(|| {
                let why = "an earlier run left it open, and it has no driver now";
                Test::new(place.name(), Status::Inconclusive, why)
            });
            ending.exercised_each.push((place, test));
        }
        Ok(())
    }

    async fn exercise_one(
        &self,
        target: Target,
        capture: &mut Capture,
        run: &mut CheckRun,
    ) -> Result<(Test, Exercised), Failure> {
        let place = target.place.clone();
        let exercise = Exercise::of_targets(Roots::default(), vec![target]).within(self.timeout);
        let clock = CycleClock::default();
        run.examination
            .watch_cycles(exercise.wanted(), clock.clone());
        let since = now();
        let exercised = run_cycles(capture, run, exercise, self.cycles, clock)
            .await
            .map_err(Failure::Run)?;
        capture.catch_up(run).await;
        let test = run
            .examination
            .end_exercise(&place, since, &exercised, today());
        Ok((test, exercised))
    }
}

/// Keeps something in the journal, if there is one.
fn keep(
    journal: &mut Option<&mut Journal>,
    write: impl FnOnce(&mut Journal) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(journal) = journal else {
        return Ok(());
    };
    write(journal)
        .context("what was exercised can't be kept")
        .map_err(Failure::Run)
}

/// How far it has come, for those who look on: a bar on a terminal, a line for each device elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    of: usize,
    done: std::cell::Cell<usize>,
}

impl Progress {
    fn of(devices: usize) -> Self {
        let shows_bar = io::stderr().is_terminal() && !manner::is_quiet();
        let bar = shows_bar.then(|| {
            let bar = ProgressBar::new(devices as u64);
            let template = "exercising {wide_bar} {pos} of {len}: {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            of: devices,
            done: std::cell::Cell::new(0),
        }
    }

    fn next(&self, place: &Place) {
        let number = self.done.get() + 1;
        self.done.set(number);
        let (name, driver) = (place.name(), &place.driver);
        let words = format!("{} ({})", Escaped(&name), Escaped(driver));
        match &self.bar {
            Some(bar) => {
                bar.set_position(number as u64);
                bar.set_message(words);
            }
            None => remark(format_args!("[{number}/{}] {words}", self.of)),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
