//! Exercise: a driver is unbound and bound again through sysfs, or a module unloaded and loaded, in cycles.

mod affected;
mod each_acquisition;
mod every;
mod fail_module;
mod fail_nth;
mod fail_probe;
mod failslab;
mod fault_log;
mod hold;
mod injector;
mod journal;
mod machine;
mod modules;
mod orders;
mod protect;
mod rebind;
mod sysfs;
mod target;
mod wanted;

use std::path::PathBuf;

pub use every::Candidate;
pub use fail_probe::{Attempt, FailWay, FailedProbes, Outcome};
pub use hold::Held;
pub use journal::{Journal, JournalError};
pub use orders::carried_out as orders_carried_out;
pub use rebind::Exercise;
pub use sysfs::Roots;
pub use target::Target;
pub use wanted::{CycleClock, Wanted};

/// What an exercise came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exercised {
    /// Cycles that were asked for.
    pub wanted: u64,
    /// Cycles that were done to their end.
    pub done: u64,
    /// What went wrong, with the cycle's number.
    pub problem: Option<String>,
    /// Why it stopped early, if it was asked to.
    pub stopped: Option<String>,
    /// What could not be brought back to what it was.
    pub not_restored: Option<String>,
    /// What came of the files that were held open across each unbind, with the cycle's number.
    pub held: Vec<(u64, Held)>,
    /// What came of the probes that were made to fail, if any were to be.
    pub failed_probes: Option<FailedProbes>,
}

impl Exercised {
    /// Whether it was done to its end, and left everything as it was.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.gap().is_none()
    }

    /// Why it was not done to its end, or what it left behind.
    #[must_use]
    pub fn gap(&self) -> Option<&str> {
        let reasons = [&self.problem, &self.stopped, &self.not_restored];
        reasons.into_iter().find_map(Option::as_deref)
    }
}

/// Why there is no exercise.
#[derive(Debug, thiserror::Error)]
pub enum ExerciseError {
    /// Nothing is called so.
    #[error("{0}")]
    NoTarget(String),
    /// More than one thing is called so.
    #[error("{name:?} is ambiguous: it may be {}", .candidates.join(" or "))]
    Ambiguous {
        /// What was named.
        name: String,
        /// What it may be.
        candidates: Vec<String>,
    },
    /// It can't be unbound, or there is nothing to unbind.
    #[error("{0}")]
    Impossible(String),
    /// That would cut the machine off.
    #[error("{target} is needed by {reason}; use --force to exercise it anyway")]
    Refused {
        /// What was to be unbound.
        target: String,
        /// What needs it.
        reason: String,
    },
    /// Something in sysfs can't be read.
    #[error("{} can't be read", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ExerciseError {
    /// Why, where nobody asked for this device by name.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => format!("it is needed by {reason}"),
            other => other.to_string(),
        }
    }
}
