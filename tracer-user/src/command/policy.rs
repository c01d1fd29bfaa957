//! `devres-tracer policy`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{
    Exit,
    files::{self, OverwriteOption},
    pager::unless_unread,
    say::shown,
    usage::UsageError,
};
use crate::check::{Policy, TEMPLATE};

/// Writes and validates policies for `check`
#[derive(Debug, Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes a commented policy to a file or standard output
    Init {
        /// The file to write [default: standard output]
        file: Option<PathBuf>,
        #[command(flatten)]
        overwrite: OverwriteOption,
    },
    /// Validates a policy
    Check {
        /// The policy file
        file: PathBuf,
    },
}

impl PolicyCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            Action::Init { file, overwrite } => {
                let file = file.filter(|file| file.as_os_str() != "-");
                init(file.as_deref(), overwrite)?;
            }
            Action::Check { file } => {
                let policy = read(&file)?;
                let line = format!("{}: {}\n", shown(&file), policy.describe());
                unless_unread(io::stdout().write_all(line.as_bytes()))?;
            }
        }
        Ok(Exit::Clean)
    }
}

fn init(file: Option<&Path>, overwrite: OverwriteOption) -> anyhow::Result<()> {
    let Some(file) = file else {
        return unless_unread(io::stdout().write_all(TEMPLATE.as_bytes()));
    };
    let name = shown(file);
    overwrite.refuse_existing(Some(file))?;
    let mut new = files::create_public(file)?;
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
