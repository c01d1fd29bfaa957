//! KTAP version 1 (`Documentation/dev-tools/ktap.rst`): each group is a test with subtests.
//!
//! What is excused is `ok … # XFAIL`, what was not run `ok … # SKIP`. What could not be decided is
//! `not ok … # ERROR inconclusive`: whoever reads only the first words must not take it for a pass.

use std::io::{self, Write};

use crate::{
    check::{CommandEnd, Group, Results, Status, Test},
    escape::escape,
};

pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    writeln!(writer, "KTAP version 1")?;
    writeln!(writer, "1..{}", results.groups.len())?;
    diagnostic(writer, "", &format!("devres-tracer {}", results.tool))?;
    if let Some(kernel) = &results.kernel {
        diagnostic(writer, "", &format!("kernel {kernel}"))?;
    }
    for (group, number) in results.groups.iter().zip(1..) {
        subtests(writer, group)?;
        let name = plain(&group.name);
        let (ok, directive) = match group.status() {
            Status::Skipped => ("ok", " # SKIP"),
            Status::Passed | Status::Excused | Status::Noted => ("ok", ""),
            Status::Inconclusive => ("not ok", " # ERROR inconclusive"),
            Status::Failed => ("not ok", ""),
        };
        writeln!(writer, "{ok} {number} {name}{directive}")?;
    }
    if let Some(failure) = results.command.as_ref().and_then(CommandEnd::failure) {
        diagnostic(writer, "", &failure)?;
    }
    diagnostic(writer, "", &results.line())
}

fn subtests(writer: &mut dyn Write, group: &Group) -> io::Result<()> {
    const INDENT: &str = "    ";
    writeln!(writer, "{INDENT}KTAP version 1")?;
    writeln!(writer, "{INDENT}# Subtest: {}", plain(&group.name))?;
    writeln!(writer, "{INDENT}1..{}", group.tests.len())?;
    for (test, number) in group.tests.iter().zip(1..) {
        for line in diagnostics(test) {
            diagnostic(writer, INDENT, &line)?;
        }
        let (ok, directive) = verdict(test);
        writeln!(
            writer,
            "{INDENT}{ok} {number} {}{directive}",
            plain(&test.name)
        )?;
    }
    Ok(())
}

fn verdict(test: &Test) -> (&'static str, String) {
    let with = |directive: &str| {
        let message = plain(&test.message);
        if message.is_empty() {
            format!(" # {directive}")
        } else {
            format!(" # {directive} {message}")
        }
    };
    match test.status {
        Status::Passed | Status::Noted => ("ok", String::new()),
        Status::Skipped => ("ok", with("SKIP")),
        Status::Excused => ("ok", with("XFAIL")),
        Status::Inconclusive => ("not ok", with("ERROR inconclusive:")),
        Status::Failed => ("not ok", String::new()),
    }
}

/// What is told of a test before its result.
fn diagnostics(test: &Test) -> Vec<String> {
    if matches!(test.status, Status::Passed | Status::Skipped) {
        return Vec::new();
    }
    let mut lines = test.details();
    // The others have their message in the result itself.
    let told = matches!(test.status, Status::Failed | Status::Noted) && test.findings.is_empty();
    if told && lines.first() != Some(&test.message) {
        lines.insert(0, test.message.clone());
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn diagnostic(writer: &mut dyn Write, indent: &str, text: &str) -> io::Result<()> {
    // A line that looks like a header would be taken for one.
    let text = escape(text);
    let text = text.strip_prefix("Subtest:").unwrap_or(&text);
    writeln!(writer, "{indent}# {text}")
}

/// A name or reason without what has a meaning in KTAP.
fn plain(text: &str) -> String {
    escape(text).replace('#', "_").trim().to_owned()
}
