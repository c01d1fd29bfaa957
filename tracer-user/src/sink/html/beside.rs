//! Several recordings beside each other: how each differs from the first, as `diff` shows it.

use std::io::{self, Write};

use hashbrown::HashMap;

use super::{for_browser, html};
use crate::{
    diff::{Comparison, Side, compare},
    sink::{
        diff::{Differences, write_text},
        page::Page,
        report::Report,
    },
};

/// How each but the first compares with the first.
pub(super) fn compared<'a>(reports: &'a [Report<'a>]) -> Vec<Comparison<'a>> {
    let Some((first, others)) = reports.split_first() else {
        return Vec::new();
    };
    others.iter().map(|other| with(first, other)).collect()
}

fn with<'a>(first: &'a Report<'a>, other: &'a Report<'a>) -> Comparison<'a> {
    let side = |report: &'a Report<'a>, name| Side {
        name,
        coverage: &report.source.coverage,
        histories: report.histories,
    };
    let mut comparison = compare(side(first, "GOOD"), side(other, "BAD"), &[]);
    for (name, report) in [("GOOD", first), ("BAD", other)] {
        if let Some(damage) = report.damage {
            comparison.reasons.push(format!(
                "{name} is damaged; only the part before that was compared: {damage}"
            ));
        }
        let problems = report.summary.problems.iter();
        let problems = problems.map(|problem| format!("{name} is incomplete: {problem}"));
        comparison.reasons.extend(problems);
    }
    comparison
}

/// For each but the first: names in the first for its own.
pub(super) fn renamed(comparisons: &[Comparison<'_>]) -> Vec<HashMap<String, String>> {
    let names = |comparison: &Comparison<'_>| {
        let renamed = comparison.renamed.iter();
        renamed
            .map(|one| (one.bad.clone(), one.good.clone()))
            .collect()
    };
    comparisons.iter().map(names).collect()
}

/// What stands before what belongs to one of several recordings: its number.
pub(super) fn number(reports: &[Report<'_>], side: usize) -> String {
    if reports.len() > 1 {
        format!("{}: ", side + 1)
    } else {
        String::new()
    }
}

/// Writes how each but the first differs from it.
pub(super) fn write(
    reports: &[Report<'_>],
    comparisons: &[Comparison<'_>],
    writer: &mut dyn Write,
) -> io::Result<()> {
    let Some((first, others)) = reports.split_first() else {
        return Ok(());
    };
    for (place, (other, comparison)) in others.iter().zip(comparisons).enumerate() {
        let differences = Differences {
            good: (first.name, first.source, first.histories),
            bad: (other.name, other.source, other.histories),
            comparison,
            strict: false,
        };
        let mut text = Vec::new();
        write_text(&differences, &mut Page::new(&mut text, false))?;
        writeln!(
            writer,
            "<section>\n<h2>Differences: 1 {} and {} {}</h2>\n<pre tabindex=\"0\">{}</pre>\n</section>",
            html(first.name),
            place + 2,
            html(other.name),
            for_browser(&String::from_utf8_lossy(&text)),
        )?;
    }
    Ok(())
}
