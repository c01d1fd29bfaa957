//! `devres-tracer policy`.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Exit, pager::unless_unread, say::shown, usage::UsageError};
use crate::check::{Policy, TEMPLATE};

/// Writes and validates policies for `check`
#[derive(Debug, Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Writes a policy with comments, to a new file or to standard output
    Init {
        /// The file, which must not be there yet; - or none is standard output
        file: Option<PathBuf>,
    },
    /// Validates a policy
    Check {
        /// The policy's file
        file: PathBuf,
    },
}

impl PolicyCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.what {
            What::Init { file } => {
                let file = file.filter(|file| file.as_os_str() != "-");
                init(file.as_deref())?;
            }
            What::Check { file } => {
                let policy = read(&file)?;
                let line = format!("{}: {}\n", shown(&file), policy.describe());
                unless_unread(io::stdout().write_all(line.as_bytes()))?;
            }
        }
        Ok(Exit::Clean)
    }
}

fn init(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else {
        return unless_unread(io::stdout().write_all(TEMPLATE.as_bytes()));
    };
    let name = shown(file);
    let new = OpenOptions::new().write(true).create_new(true).open(file);
    let mut new = match new {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(UsageError::new(format!("{name} is there already")).into());
        }
        new => new.with_context(|| format!("{name} can't be made"))?,
    };
    new.write_all(TEMPLATE.as_bytes())
        .with_context(|| format!("{name} can't be written"))
}

/// Reads a policy.
pub(super) fn read(file: &Path) -> Result<Policy, UsageError> {
    let text = text(file)?;
    Policy::read(&file.display().to_string(), &text).map_err(UsageError::new)
}

/// Adds a file of expectations to a policy.
pub(super) fn add_expectations(policy: &mut Policy, file: &Path) -> Result<(), UsageError> {
    let text = text(file)?;
    policy
        .add_expectations(&file.display().to_string(), &text)
        .map_err(UsageError::new)
}

fn text(file: &Path) -> Result<String, UsageError> {
    fs::read_to_string(file)
        .map_err(|error| UsageError::new(format!("{} can't be read: {error}", shown(file))))
}
