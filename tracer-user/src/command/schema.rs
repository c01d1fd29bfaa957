//! `devres-tracer schema`.

use std::io::{self, Write as _};

use clap::Args;

use super::{Exit, doctor::Diagnosis, known, pager::unless_unread, rules::RuleLine};
use crate::sink::{json::First, json_text, schema::Schemas};

/// Writes the JSON Schema of every line that --json writes, for those who read it
///
/// A program that validates a line against it knows that it has all members that it needs, whatever command wrote it.
#[derive(Debug, Args)]
pub(super) struct SchemaCommand {}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut schemas = Schemas::of_sinks();
        schemas.add::<First<Diagnosis>>("doctor");
        schemas.add::<First<RuleLine>>("rule");
        schemas.add::<First<known::Line>>("known");
        let mut writer = io::stdout().lock();
        unless_unread(
            json_text::write_pretty(&mut writer, &schemas.finish()).and_then(|()| writeln!(writer)),
        )?;
        Ok(Exit::Clean)
    }
}
