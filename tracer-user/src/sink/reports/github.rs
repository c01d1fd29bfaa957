//! Workflow commands of GitHub Actions: an annotation for each thing that is not as it should be.

use std::io::{self, Write};

use crate::{
    check::{Group, Results, Status, Test},
    escape::escape,
    evidence::CommandEnd,
};

pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    for (group, test) in results.tests() {
        let (command, message) = match test.status {
            Status::Failed => ("error", test.message.clone()),
            Status::Inconclusive => ("warning", format!("inconclusive: {}", test.message)),
            Status::Noted => ("warning", test.message.clone()),
            Status::Excused => ("notice", test.message.clone()),
            Status::Passed | Status::Skipped => continue,
        };
        if test.findings.is_empty() {
            annotation(writer, command, group, test, &message)?;
            continue;
        }
        for judged in &test.findings {
            let command = match judged.status {
                Status::Failed => "error",
                Status::Noted => "warning",
                _ => "notice",
            };
            let note = match judged.note.as_str() {
                "" => String::new(),
                note => format!(" ({note})"),
            };
            let times = match judged.finding.count {
                0..=1 => String::new(),
                count => format!(" (found {count} times)"),
            };
            let message = format!("{}{times}{note}", judged.finding.summary);
            annotation(writer, command, group, test, &message)?;
        }
    }
    if let Some(failure) = results.command.as_ref().and_then(CommandEnd::failure) {
        writeln!(writer, "::warning title=devres-tracer::{}", data(&failure))?;
    }
    writeln!(
        writer,
        "::notice title=devres-tracer::{}",
        data(&results.line())
    )
}

fn annotation(
    writer: &mut dyn Write,
    command: &str,
    group: &Group,
    test: &Test,
    message: &str,
) -> io::Result<()> {
    let title = format!("{} on {}", test.name, group.name);
    write!(writer, "::{command} title={}", property(&title))?;
    if let Some(source) = &group.source {
        write!(writer, ",file={},line=1", property(source))?;
    }
    writeln!(writer, "::{}", data(message))
}

/// The text of a command.
fn data(text: &str) -> String {
    escape(text).replace('%', "%25")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
