//! Reports of a check's results, in the forms that continuous integration reads.

mod github;
mod junit;
mod ktap;
mod lava;
mod sarif;

use std::io::{self, Write};

use super::{json::First, json_text};
use crate::check::Results;

/// A form of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// KTAP version 1, as the kernel's own tests write it.
    Ktap,
    /// JUnit's XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// One JSON object.
    Json,
    /// Workflow commands of GitHub Actions.
    Github,
    /// Signals of LAVA.
    Lava,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ktap,
        Self::Junit,
        Self::Sarif,
        Self::Json,
        Self::Github,
        Self::Lava,
    ];

    /// In one word: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ktap => "ktap",
            Self::Junit => "junit",
            Self::Sarif => "sarif",
            Self::Json => "json",
            Self::Github => "github",
            Self::Lava => "lava",
        }
    }

    /// Whether it is read line by line out of a log, so that others may stand beside it.
    #[must_use]
    pub const fn is_lines(self) -> bool {
        matches!(self, Self::Ktap | Self::Github | Self::Lava)
    }

    /// Like [`write`](Self::write), but leaves out what people need not see. Only KTAP is for people; the others are
    /// whole.
    pub fn write_brief(self, results: &Results, writer: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Ktap => ktap::write_brief(results, writer),
            _ => self.write(results, writer),
        }
    }

    /// Writes a report.
    pub fn write(self, results: &Results, writer: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Ktap => ktap::write(results, writer),
            Self::Junit => junit::write(results, writer),
            Self::Sarif => sarif::write(results, writer),
            Self::Json => {
                json_text::write(&mut *writer, &First::of(results))?;
                writeln!(writer)
            }
            Self::Github => github::write(results, writer),
            Self::Lava => lava::write(results, writer),
        }
    }
}
