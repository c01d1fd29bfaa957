//! `devres-tracer policy`.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::Exit;
use crate::{
    check::{Policy, TEMPLATE},
    escape::Escaped,
};

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
        /// The file; it must not be there yet
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
            What::Init { file: None } => match io::stdout().write_all(TEMPLATE.as_bytes()) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(Exit::Clean),
            },
            What::Init { file: Some(file) } => {
                let mut new = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&file)
                    .with_context(|| format!("{} can't be made", file.display()))?;
                new.write_all(TEMPLATE.as_bytes())
                    .with_context(|| format!("{} can't be written", file.display()))?;
                Ok(Exit::Clean)
            }
            What::Check { file } => {
                let Some(policy) = read(&file) else {
                    return Ok(Exit::Usage);
                };
                let name = file.display().to_string();
                println!("{}: {}", Escaped(&name), policy.describe());
                Ok(Exit::Clean)
            }
        }
    }
}

/// Reads a policy; what is wrong with it is told, and nothing more can be done then.
pub(super) fn read(file: &Path) -> Option<Policy> {
    let (name, text) = text(file)?;
    tell(Policy::read(&name, &text))
}

/// Adds a file of expectations to a policy; `None` as in [`read`].
pub(super) fn add_expectations(policy: &mut Policy, file: &Path) -> Option<()> {
    let (name, text) = text(file)?;
    tell(policy.add_expectations(&name, &text))
}

fn text(file: &Path) -> Option<(String, String)> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file);
    tell(text.map_err(|error| format!("{} can't be read: {error}", Escaped(&name))))
        .map(|text| (name, text))
}

fn tell<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    result
        .map_err(|error| eprintln!("devres-tracer: {error}"))
        .ok()
}
