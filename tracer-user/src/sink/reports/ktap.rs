//! KTAP version 1 (`Documentation/dev-tools/ktap.rst`): each group is a test with subtests.
//!
//! What is excused is `ok … # XFAIL`, what was not run `ok … # SKIP`. What could not be decided is
//! `not ok … # ERROR inconclusive`: whoever reads only the first words must not take it for a pass.

use std::io::{self, Write};

use crate::{
    check::{Group, Results, Status, Test},
    escape::escape,
    evidence::CommandEnd,
};

/// Whether a test of this status, or a group, is written.
type Chosen = fn(Status) -> bool;

/// Writes all tests.
pub(super) fn write(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    write_chosen(results, |_| true, writer)
}

/// Writes only what is not ok, with numbers of its own; if that is nothing, one test that says so.
pub(super) fn write_brief(results: &Results, writer: &mut dyn Write) -> io::Result<()> {
    write_chosen(results, is_not_ok, writer)
}

fn is_not_ok(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Inconclusive)
}

fn write_chosen(results: &Results, chosen: Chosen, writer: &mut dyn Write) -> io::Result<()> {
    let groups: Vec<&Group> = results
        .groups
        .iter()
        .filter(|group| chosen(group.status()))
        .collect();
    writeln!(writer, "KTAP version 1")?;
    writeln!(writer, "1..{}", groups.len().max(1))?;
    diagnostic(writer, "", &format!("devres-tracer {}", results.tool))?;
    if let Some(kernel) = &results.kernel {
        diagnostic(writer, "", &format!("kernel {kernel}"))?;
    }
    if groups.is_empty() {
        writeln!(writer, "ok 1 everything")?;
    }
    for (group, number) in groups.into_iter().zip(1..) {
        subtests(writer, group, chosen)?;
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

fn subtests(writer: &mut dyn Write, group: &Group, chosen: Chosen) -> io::Result<()> {
    const INDENT: &str = "    ";
    writeln!(writer, "{INDENT}KTAP version 1")?;
    writeln!(writer, "{INDENT}# Subtest: {}", plain(&group.name))?;
    let tests = || group.tests.iter().filter(|test| chosen(test.status));
    writeln!(writer, "{INDENT}1..{}", tests().count())?;
    for (test, number) in tests().zip(1..) {
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

/// What is said about a test before its result.
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
