//! The summary of a run, in lines.

use std::io::{self, Write};

use crate::{
    crash,
    engine::{Summary, Undecided, Verdict},
    escape::{Escaped, Visible, begun},
    evidence::CommandEnd,
    number::plural,
};

/// Writes the summary, in lines that are at most so wide where they are wrapped.
pub fn write_summary_in(
    width: usize,
    writer: &mut impl Write,
    summary: &Summary,
) -> io::Result<()> {
    if let Some(crash) = &summary.crash {
        crash::write(width, writer, crash)?;
        writeln!(writer)?;
    }
    write_verdict(writer, summary)?;
    write_lines(writer, summary)?;
    for problem in &summary.problems {
        writeln!(writer, "  the input: {}", Visible(problem))?;
    }
    for reason in &summary.reasons {
        write_wrapped(width, writer, &Visible(reason).to_string())?;
    }
    if let Some(failure) = summary.command.as_ref().and_then(CommandEnd::failure) {
        writeln!(writer, "  {failure}")?;
    }
    for lost in &summary.lost_by {
        writeln!(
            writer,
            "  lost on CPU {}: {} of {}",
            lost.cpu, lost.count, lost.hook
        )?;
    }
    for silent in &summary.silent_hooks {
        write_wrapped(width, writer, &Escaped(&silent.to_string()).to_string())?;
    }
    write_undecided(width, writer, summary)?;
    write_disagreements(width, writer, summary)
}

/// `CLEAN: 0 errors, ...`.
fn write_verdict(writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let verdict = match summary.verdict {
        Verdict::Clean => "CLEAN",
        Verdict::Findings => "FINDINGS",
        Verdict::Inconclusive => "INCONCLUSIVE",
    };
    writeln!(
        writer,
        "{verdict}: {} {}, {} {}, {} info; {} {} on {} {}, {} lost",
        summary.findings.error,
        plural(summary.findings.error, "error", "errors"),
        summary.findings.warn,
        plural(summary.findings.warn, "warning", "warnings"),
        summary.findings.info,
        summary.events,
        plural(summary.events, "event", "events"),
        summary.devices,
        plural(summary.devices, "device", "devices"),
        summary.lost,
    )
}

/// How much of a text was read, and how much of that was asked for.
fn write_lines(writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if let Some(lines) = summary.lines {
        writeln!(
            writer,
            "  {} of {} lines are events",
            lines.event_lines, lines.lines
        )?;
        if lines.cut_lines > 0 {
            writeln!(
                writer,
                "  {} {} like an event but {} cut off",
                lines.cut_lines,
                plural(lines.cut_lines, "starts", "start"),
                plural(lines.cut_lines, "is", "are"),
            )?;
        }
    }
    if let Some(chosen) = summary.chosen_events {
        writeln!(
            writer,
            "  {chosen} {} of matching devices",
            plural(chosen, "event is", "events are")
        )?;
    }
    Ok(())
}

/// Events that don't fit those before, and what is the tool's own fault.
fn write_disagreements(width: usize, writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if summary.misfits > 0 {
        let line = format!(
            "{} {} fit the events before: events are missing, duplicated or out of order",
            summary.misfits,
            plural(summary.misfits, "event does not", "events do not")
        );
        write_wrapped(width, writer, &line)?;
    }
    if summary.desyncs > 0 {
        writeln!(
            writer,
            "  DR900: the tool's model disagreed with the kernel {} {}: please report this",
            summary.desyncs,
            plural(summary.desyncs, "time", "times")
        )?;
        for desync in &summary.desync_details {
            writeln!(writer, "    {}", Escaped(desync))?;
        }
    }
    Ok(())
}

fn write_undecided(width: usize, writer: &mut impl Write, summary: &Summary) -> io::Result<()> {
    // What is not seen at all was reported at the beginning; here only whom that silences.
    let mut blind: Vec<_> = summary
        .undecided
        .iter()
        .filter(|undecided| undecided.devices == 0)
        .map(|undecided| undecided.rule)
        .collect();
    blind.dedup();
    if !blind.is_empty() {
        let line = format!(
            "{} could not decide everything: some functions that {} were not traced (`devres-tracer rules` lists them)",
            in_rows(&blind),
            plural(blind.len(), "it needs", "they need"),
        );
        write_wrapped(width, writer, &line)?;
    }
    for (rules, doubt) in in_doubt(&summary.undecided) {
        let line = format!(
            "{} could not decide on {} {}: {}",
            in_rows(&rules),
            doubt.devices,
            plural(doubt.devices, "device", "devices"),
            Escaped(&doubt.reason.to_string())
        );
        write_wrapped(width, writer, &line)?;
    }
    Ok(())
}

/// What leaves rules in doubt about devices, each with the rules: the same often does for several.
fn in_doubt(undecided: &[Undecided]) -> Vec<(Vec<&str>, &Undecided)> {
    let mut doubts: Vec<(Vec<&str>, &Undecided)> = Vec::new();
    for undecided in undecided.iter().filter(|undecided| undecided.devices > 0) {
        let same = doubts.iter_mut().find(|(_, doubt)| {
            doubt.reason == undecided.reason
                && doubt.devices == undecided.devices
                && doubt.instances == undecided.instances
        });
        match same {
            Some((rules, _)) => rules.push(undecided.rule),
            None => doubts.push((vec![undecided.rule], undecided)),
        }
    }
    doubts
}

fn write_wrapped(width: usize, writer: &mut impl Write, line: &str) -> io::Result<()> {
    let options = textwrap::Options::new(width)
        .initial_indent("  ")
        .subsequent_indent("    ");
    for line in textwrap::wrap(line, options) {
        writeln!(writer, "{}", begun(&line))?;
    }
    Ok(())
}

/// `DR001 to DR012, DR014`: rules in a row are reported by the first and the last.
fn in_rows(rules: &[&str]) -> String {
    let number = |rule: &str| rule.get(2..).and_then(|digits| digits.parse::<u32>().ok());
    let rows = rules.chunk_by(|one, next| {
        number(one).is_some_and(|one| number(next) == Some(one.saturating_add(1)))
    });
    let rows: Vec<String> = rows
        .map(|row| match row {
            [first, _, .., last] => format!("{first} to {last}"),
            _ => row.join(", "),
        })
        .collect();
    rows.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Reason,
        finding::{Doubt, Severity},
        model::InstanceKey,
    };

    #[test]
    fn rules_that_the_same_leaves_in_doubt_share_a_line() {
        let one = InstanceKey::default();
        let another = InstanceKey {
            generation: 1,
            ..one
        };
        let undecided: Vec<Undecided> = [
            ("DR013", Doubt::EndedInUnbind, one),
            ("DR014", Doubt::EndedInUnbind, another),
            ("DR021", Doubt::EndedInUnbind, one),
            ("DR022", Doubt::EndedInUnbind, one),
            ("DR022", Doubt::OpenerUnknown, one),
        ]
        .map(|(rule, doubt, instance)| Undecided {
            rule,
            worst: Severity::Warn,
            reason: Reason::Doubt(doubt),
            devices: 1,
            instances: vec![instance],
        })
        .into();
        let lines: Vec<String> = in_doubt(&undecided)
            .iter()
            .map(|(rules, _)| in_rows(rules))
            .collect();
        assert_eq!(lines, ["DR013, DR021, DR022", "DR014", "DR022"]);
    }
}
