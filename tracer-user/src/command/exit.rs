//! Exit codes, the same for every command that judges.

use std::process::{ExitCode, Termination};

use super::pager::unless_unread;
use crate::{engine::Verdict, run::Concluded};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was seen, and nothing found that counts; or a command that doesn't judge has succeeded.
    Clean,
    /// Something was found that counts.
    Findings,
    /// The command line is wrong, or a text has no events.
    Usage,
    /// Nothing was found that counts, but not everything could be seen.
    Inconclusive,
    /// It could not run here, or the input can't be read.
    CouldNotRun,
    /// As the command ended that was run: `check --propagate`.
    OfCommand(u8),
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Findings => Self::Findings,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

impl Exit {
    /// As the verdict of a run has it. A reader that has gone away is no error.
    pub(super) fn of_run<O>(run: Concluded<O>) -> anyhow::Result<Self> {
        unless_unread(run.written)?;
        Ok(run.summary.verdict.into())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::CouldNotRun => 4,
            Self::OfCommand(code) => code,
        })
    }
}
