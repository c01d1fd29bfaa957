//! Exit codes, the same for every command that judges.

use std::process::{ExitCode, Termination};

use crate::judge::Verdict;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was seen, and nothing found that counts; or a command that doesn't judge has succeeded.
    Clean = 0,
    /// Something was found that counts.
    Findings = 1,
    /// The command line or an input is wrong.
    Usage = 2,
    /// Nothing was found that counts, but not everything could be seen.
    Inconclusive = 3,
    /// It could not run here.
    CouldNotRun = 4,
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

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
