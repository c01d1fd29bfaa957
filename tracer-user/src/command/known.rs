//! `devres-tracer known`.

use std::io::{self, Write};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::Exit;
use crate::{
    finding,
    rules::known::{self, Row},
    sink::{json::First, json_text},
};

/// Lists the faults of the kernel that are known: how a finding is recognized as one, and what fixed it
///
/// A finding that fits mentions it. It fits by what was observed, such as the bus's function that detached a PM domain,
/// never by the kernel's version, and it counts like any other: a kernel without the fix has the fault.
#[derive(Debug, Args)]
pub(super) struct Known {
    /// Write JSON lines: one object a fault
    #[arg(long)]
    json: bool,
}

/// A fault, as JSON shows it.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "known")]
pub(super) struct Line {
    rule: &'static str,
    observed: String,
    #[serde(flatten)]
    known: finding::Known,
}

impl Known {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut writer = io::stdout().lock();
        let written = known::all().iter().try_for_each(|row| {
            if self.json {
                json_text::write(&mut writer, &First::of(Line::of(row)))?;
                writeln!(writer)
            } else {
                write(&mut writer, row)
            }
        });
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Clean),
        }
    }
}

impl Line {
    fn of(row: &Row) -> Self {
        Self {
            rule: row.rule,
            observed: row.condition.text(),
            known: row.known,
        }
    }
}

fn write(writer: &mut impl Write, row: &Row) -> io::Result<()> {
    let Row {
        rule,
        condition,
        known,
    } = row;
    writeln!(writer, "{rule}  {}", condition.text())?;
    writeln!(writer, "       {}", known.fault)?;
    writeln!(writer, "       {}", known.text())
}
