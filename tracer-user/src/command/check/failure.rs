//! Why a check has no results, and what is reported instead.

use crate::{
    check::{Date, Results, Status, Test, exercise::ExerciseError},
    command::{Exit, usage::UsageError},
    kernel::Kernel,
};

/// Why there are no results.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked for is wrong.
    Usage(String),
    /// The input can't be read.
    Input(anyhow::Error),
    /// It can't be done on this machine: there is nothing to be said against what was to be tested.
    Here(anyhow::Error),
    /// It was begun, and could not be done to its end.
    Run(anyhow::Error),
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ExerciseError> for Failure {
    fn from(error: ExerciseError) -> Self {
        match error {
            ExerciseError::NoTarget(_) | ExerciseError::Ambiguous { .. } => {
                Self::Usage(error.to_string())
            }
            ExerciseError::Refused { .. } => Self::Here(error.into()),
            // Whoever asks for it expects that it can be done: a driver that is bound to nothing must not look like a
            // test that doesn't concern this machine.
            ExerciseError::Impossible(_) | ExerciseError::Unreadable { .. } => {
                Self::Run(error.into())
            }
        }
    }
}

impl Failure {
    /// From what opening the input came to.
    pub(super) fn of_input(error: anyhow::Error) -> Self {
        match error.downcast::<UsageError>() {
            Ok(usage) => usage.into(),
            Err(error) => Self::Input(error),
        }
    }

    /// From what opening a report came to.
    pub(super) fn of_output(error: anyhow::Error) -> Self {
        match error.downcast::<UsageError>() {
            Ok(usage) => usage.into(),
            Err(error) => Self::Run(error),
        }
    }

    /// What is said of it.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Usage(message) => message.clone(),
            Self::Input(error) => format!("{error:#}"),
            Self::Here(error) => format!("cannot run here: {error:#}"),
            Self::Run(error) => format!("the run failed: {error:#}"),
        }
    }

    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Input(_) | Self::Here(_) => Exit::CouldNotRun,
            Self::Run(_) => Exit::Findings,
        }
    }

    /// Whether those who read standard output are to see it as well: a mistake on the command line is one of whoever
    /// typed it.
    pub(super) const fn concerns_everyone(&self) -> bool {
        matches!(self, Self::Here(_) | Self::Run(_))
    }

    /// What the reports say: nothing that anyone could take for a pass, unless this machine is no place to run it.
    pub(super) fn results(&self, on_this_kernel: bool, date: Date) -> Results {
        let test = match self {
            Self::Usage(message) => {
                Test::new("command line is right", Status::Inconclusive, message)
            }
            Self::Input(error) => Test::new(
                "input can be read",
                Status::Inconclusive,
                format!("{error:#}"),
            ),
            Self::Here(error) => Test::new("can run here", Status::Skipped, format!("{error:#}")),
            Self::Run(error) => Test::new("run", Status::Failed, format!("{error:#}")),
        };
        let kernel = on_this_kernel.then(Kernel::running);
        Results::without_run(kernel.as_ref(), date, test)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::engine::Verdict;

    #[test]
    fn only_what_can_not_be_done_here_is_skipped() {
        let refused = ExerciseError::Refused {
            target: "pci/0000:00:01.0".to_owned(),
            reason: "a console".to_owned(),
        };
        let idle = ExerciseError::Impossible("the driver is bound to no device".to_owned());
        for (failure, exit, status) in [
            (Failure::from(refused), Exit::CouldNotRun, Status::Skipped),
            (Failure::from(idle), Exit::Findings, Status::Failed),
            (
                Failure::from(ExerciseError::NoTarget("no such driver".to_owned())),
                Exit::Usage,
                Status::Inconclusive,
            ),
            (
                Failure::Input(anyhow!("it is damaged")),
                Exit::CouldNotRun,
                Status::Inconclusive,
            ),
        ] {
            assert_eq!(failure.exit(), exit, "{failure:?}");
            let today = Date::constant(2026, 3, 1);
            let results = failure.results(false, today);
            assert_eq!(results.count(status), 1, "{results:?}");
            assert_ne!(results.verdict, Verdict::Clean);
        }
    }
}
