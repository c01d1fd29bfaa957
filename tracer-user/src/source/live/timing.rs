//! Where the time goes from the start until everything is attached and the snapshot taken.

use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

/// A part of the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading the kernel's types, and finding in them what the probes need.
    Types,
    /// Waiting for the loader, which reads the types for itself.
    Loader,
    /// Fitting the eBPF object to the kernel and creating its maps.
    Maps,
    /// The kernel's verifier and compiler, for every program.
    Verifier,
    /// Attaching the programs.
    Attach,
    /// Reading every device and what it holds from the kernel's memory.
    Snapshot,
    /// Finding the names of the functions that the snapshot came across.
    Names,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Types => "kernel's types",
            Self::Loader => "loader",
            Self::Maps => "maps",
            Self::Verifier => "verifier",
            Self::Attach => "attaching",
            Self::Snapshot => "snapshot",
            Self::Names => "symbols",
        })
    }
}

/// How long each step of a start took, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    steps: Vec<(Step, Duration)>,
    last: Instant,
}

impl Serialize for Timing {
    /// Microseconds by step.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.steps()
                .map(|(step, time)| (step, u64::try_from(time.as_micros()).unwrap_or(u64::MAX))),
        )
    }
}

impl Timing {
    /// Begins to measure.
    pub(super) fn begin() -> Self {
        Self {
            steps: Vec::new(),
            last: Instant::now(),
        }
    }

    /// What has passed since the last call was this step.
    pub(super) fn done(&mut self, step: Step) {
        let now = Instant::now();
        self.steps.push((step, now - self.last));
        self.last = now;
    }

    /// What has passed since the last call was this step, apart from what `other` took of it.
    pub(super) fn done_apart_from(&mut self, step: Step, other: (Step, Duration)) {
        self.steps.push(other);
        self.done(step);
        if let Some((_, time)) = self.steps.last_mut() {
            *time = time.saturating_sub(other.1);
        }
    }

    /// How long each step took.
    pub fn steps(&self) -> impl Iterator<Item = (Step, Duration)> {
        self.steps.iter().copied()
    }

    /// How long the tool itself took, without the kernel's verifier.
    #[must_use]
    pub fn own(&self) -> Duration {
        self.steps()
            .filter(|(step, _)| *step != Step::Verifier)
            .map(|(_, time)| time)
            .sum()
    }
}

/// Adds up the time that a kind of work takes that is done here and there.
#[derive(Debug, Default)]
pub(super) struct StopWatch(Cell<Duration>);

impl StopWatch {
    pub(super) fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let began = Instant::now();
        let result = work();
        self.0.set(self.0.get() + began.elapsed());
        result
    }

    pub(super) fn total(&self) -> Duration {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_part_is_not_the_tools_own() {
        let millisecond = Duration::from_millis(1);
        let timing = Timing {
            steps: vec![
                (Step::Types, millisecond),
                (Step::Verifier, 20 * millisecond),
                (Step::Attach, 2 * millisecond),
            ],
            last: Instant::now(),
        };
        assert_eq!(timing.own(), 3 * millisecond);
    }
}
