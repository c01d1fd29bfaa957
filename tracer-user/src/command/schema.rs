//! `devres-tracer schema`.

use std::io::{self, Write as _};

use clap::Args;

use super::{Exit, doctor::Diagnosis, known, pager::unless_unread, rules::RuleLine};
use crate::sink::{json::First, json_text, streams};

/// Writes the JSON Schema of every line that --json writes, for those who read it
///
/// A program that validates a line against it knows that it has all members that it needs, whatever command wrote it.
#[derive(Debug, Args)]
pub(super) struct SchemaCommand {}

impl SchemaCommand {
    #[expect(clippy::unused_self, reason = "as every command is run")]
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut schemas = streams::schemas();
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
