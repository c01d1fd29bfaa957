//! What is wrong with the command line, or with an input that it names.

use super::{Exit, say::say};

/// A mistake in what was typed, with the exit code 2. Commands return it
/// like any other error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(String);

impl UsageError {
    /// From what is to be said: an error, or a sentence.
    pub(super) fn new(message: impl std::fmt::Display) -> Self {
        Self(message.to_string())
    }
}

/// The exit code of a command; what went wrong is reported.
pub(super) fn tell(result: anyhow::Result<Exit>) -> Exit {
    result.unwrap_or_else(|error| {
        say(format_args!("{error:#}"));
        exit_of(&error)
    })
}

/// The exit code of an error.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<UsageError>() {
        Exit::Usage
    } else {
        Exit::CouldNotRun
    }
}
