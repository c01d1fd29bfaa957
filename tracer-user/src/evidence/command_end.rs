//! How a command ended that was run while tracing.

use std::{ffi::OsString, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::escape::Escaped;

/// How the command ended that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommandEnd {
    /// The command, for people.
    pub command: String,
    /// Its exit code, or 128 and the signal's number, as a shell has it.
    pub code: u8,
    /// The signal that ended it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl CommandEnd {
    /// How this command ended.
    #[must_use]
    pub fn of(command: &[OsString], status: ExitStatus) -> Self {
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128_i32.saturating_add(signal),
            (None, None) => i32::MAX,
        };
        Self {
            command: words.join(" "),
            code: u8::try_from(code).unwrap_or(u8::MAX),
            signal: status.signal(),
        }
    }

    /// In words, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let command = Escaped(&self.command);
        match self.signal {
            Some(signal) => {
                let name = Signal::try_from(signal)
                    .map_or_else(|_| String::new(), |name| format!(" ({name})"));
                Some(format!(
                    "the command {command} was ended by signal {signal}{name}"
                ))
            }
            None if self.code != 0 => Some(format!(
                "the command {command} ended with exit code {}",
                self.code
            )),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(raw: i32) -> CommandEnd {
        CommandEnd::of(&["sh".into(), "-c".into()], ExitStatus::from_raw(raw))
    }

    #[test]
    fn an_exit_code_and_a_signal_are_told_apart() {
        assert_eq!(end(0).failure(), None);
        let failed = end(137 << 8);
        assert_eq!(failed.code, 137);
        assert_eq!(
            failed.failure().as_deref(),
            Some("the command sh -c ended with exit code 137")
        );
        let killed = end(9);
        assert_eq!(killed.code, 137);
        assert_eq!(
            killed.failure().as_deref(),
            Some("the command sh -c was ended by signal 9 (SIGKILL)")
        );
    }
}
