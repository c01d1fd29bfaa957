//! The tests of a check, as a list.

use std::io::{self, Write};

use super::html;
use crate::check::{Group, Results, Status, Test};

/// Writes the tests: those that held folded away.
pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    writeln!(
        writer,
        "<section aria-labelledby=\"tests-title\">\n<h2 id=\"tests-title\">Tests</h2>\n<p>{}</p>",
        html(&results.line())
    )?;
    let held = |test: &Test| matches!(test.status, Status::Passed | Status::Skipped);
    let mut others = results.tests().filter(|(_, test)| !held(test)).peekable();
    if others.peek().is_some() {
        write_list(others, writer)?;
    }
    let mut held = results.tests().filter(|(_, test)| held(test)).peekable();
    if held.peek().is_some() {
        writeln!(writer, "<details><summary>Passed and skipped</summary>")?;
        write_list(held, writer)?;
        writeln!(writer, "</details>")?;
    }
    writeln!(writer, "</section>")
}

fn write_list<'a>(
    tests: impl Iterator<Item = (&'a Group, &'a Test)>,
    writer: &mut dyn Write,
) -> io::Result<()> {
    writeln!(writer, "<ul>")?;
    for (group, test) in tests {
        let class = match test.status {
            Status::Failed => "bad",
            Status::Inconclusive | Status::Noted => "doubtful",
            Status::Passed => "good",
            Status::Skipped | Status::Excused => "plain",
        };
        let message = if test.message.is_empty() {
            String::new()
        } else {
            format!(": {}", html(&test.message))
        };
        writeln!(
            writer,
            "<li class=\"{class}\"><strong>{}</strong> {}: {}{message}</li>",
            test.status.name(),
            html(&group.name),
            html(&test.name),
        )?;
    }
    writeln!(writer, "</ul>")
}
