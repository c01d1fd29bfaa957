//! What is wrong with the command line, or with an input that it names.

use super::Exit;

/// An error for which the one who typed the command is to be told, with the exit code 2. Commands return it
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

/// Tells of a usage error, and makes it an exit code.
pub(super) fn tell(result: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    match result {
        Err(error) if error.is::<UsageError>() => {
            eprintln!("devres-tracer: {error}");
            Ok(Exit::Usage)
        }
        other => other,
    }
}
