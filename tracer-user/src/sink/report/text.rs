//! The report as text for a person: each device with what was found on it, and the verdict.

use std::io;

use hashbrown::{HashMap, HashSet};

use super::{
    super::{
        page::{Page, Tone, WIDTH},
        text::{TextSink, write_summary_in},
    },
    Report,
    binding::write_plain_step,
    device::write_history,
    words::{BEHIND_TIME, time},
};
use crate::{
    engine::Verdict,
    escape::{Escaped, escape},
    evidence::SourceInformation,
    finding::{self, Finding, Occurrence, Severity},
    history::{DeviceHistory, Window},
    model::InstanceKey,
    number::counted,
    sink::Sink as _,
};

/// Occurrences of findings that are reported one by one in a life.
const MOST_OCCURRENCES_SHOWN: usize = 10;

/// Writes the report: each device's life with what was found on it, and the verdict.
pub fn write_text(report: &Report<'_>, page: &mut Page<'_>) -> io::Result<()> {
    beginning(report, page)?;
    let mut told = HashSet::new();
    let homes = homes(report);
    for (number, history) in report.histories.devices.iter().enumerate() {
        page.gap()?;
        write_history(history, report.histories, page)?;
        for finding in report.findings {
            write_deed(finding, history, page)?;
        }
        write_occurrences(report, history, page)?;
        for (place, finding) in report.findings.iter().enumerate() {
            if homes.get(place) == Some(&Some(number)) {
                told.insert(place);
                write_finding(finding, page)?;
            }
        }
    }
    for (place, finding) in report.findings.iter().enumerate() {
        if !told.contains(&place) {
            write_finding(finding, page)?;
        }
    }
    ending(report, page)
}

/// The life under which each finding is reported in full, if there is one: that of the occurrence that is shown, else the
/// first on which it was made.
fn homes(report: &Report<'_>) -> Vec<Option<usize>> {
    let histories = &report.histories.devices;
    let mut by_key: HashMap<InstanceKey, usize> = HashMap::new();
    for (number, history) in histories.iter().enumerate() {
        by_key.entry(history.key).or_insert(number);
    }
    let home = |finding: &Finding| {
        let others = finding.occurrences.iter();
        let others = others.filter_map(|one| by_key.get(&one.instance)).min();
        by_key.get(&finding.instance).or(others).copied()
    };
    report.findings.iter().map(home).collect()
}

/// Says in a life when each finding was made that was made more than once.
fn write_occurrences(
    report: &Report<'_>,
    history: &DeviceHistory,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let mut found: Vec<(&Occurrence, &Finding)> = report
        .findings
        .iter()
        .filter(|finding| finding.occurrences.total() > 1)
        .flat_map(|finding| {
            let here = finding.occurrences.on(history.key);
            here.map(move |occurrence| (occurrence, finding))
        })
        .filter(|(occurrence, _)| {
            let window = report.histories.window;
            window.overlaps(occurrence.began(), occurrence.time)
        })
        .collect();
    // Stable: those of one time stay in the order of the findings.
    found.sort_by_key(|(occurrence, _)| occurrence.time);
    let names = &report.histories.names;
    for (occurrence, finding) in found.iter().take(MOST_OCCURRENCES_SHOWN) {
        let text = format!(
            "{}  {} {}  [{}]",
            time(occurrence.time, names),
            finding.rule,
            match occurrence.severity {
                Severity::Error => "error",
                Severity::Warn => "warning",
                Severity::Info => "info",
            },
            Escaped(&finding.fingerprint)
        );
        page.line(tone(occurrence.severity), &text, BEHIND_TIME)?;
    }
    let hidden = found.len().saturating_sub(MOST_OCCURRENCES_SHOWN);
    if let (Some((last, _)), true) = (found.last(), hidden > 0) {
        let more = counted(hidden as u64, "more time", "more times");
        let until = names.moment(last.time);
        let text = format!("{:BEHIND_TIME$}and {more}, until {until}", "");
        page.line(Tone::Doubtful, &text, BEHIND_TIME)?;
    }
    Ok(())
}

const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warn | Severity::Info => Tone::Doubtful,
    }
}

fn beginning(report: &Report<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut line = escape(report.name);
    if let Some((first, last)) = report.histories.extent {
        let names = &report.histories.names;
        let (first, last) = (names.moment(first), names.moment(last));
        line = format!("{line}, from {first} to {last}");
    }
    page.line(Tone::Heading, &line, 2)?;
    if let Some(kernel) = &report.source.kernel {
        page.plain(&format!("kernel {}", Escaped(kernel)), 2)?;
    }
    Ok(())
}

/// What belongs to no device, what was not seen, and the verdict.
pub(super) fn ending(report: &Report<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let histories = report.histories;
    if !histories.said.is_empty() {
        page.gap()?;
        page.line(Tone::Heading, "Unknown device", 0)?;
    }
    for one in &histories.said {
        write_plain_step(one, 0, &histories.names, page)?;
    }
    page.gap()?;
    if histories.devices.is_empty() && histories.said.is_empty() {
        let line = "Nothing to show: no matching device had a probe, an addition or a release.";
        page.line(Tone::Doubtful, line, 0)?;
    } else if histories.uneventful > 0 {
        let then = if histories.window == Window::default() {
            ""
        } else {
            " then"
        };
        let line = format!(
            "{} without a probe, addition or release{then} (--all shows them).",
            counted(histories.uneventful, "device", "devices"),
        );
        page.line(Tone::Faint, &line, 0)?;
    }
    if histories.devices_hidden > 0 {
        let line = format!(
            "and {}, too many to show (choose with --device, --driver and --bus)",
            counted(histories.devices_hidden, "more life", "more lives")
        );
        page.line(Tone::Doubtful, &line, 0)?;
    }
    for (time, count, _) in &histories.losses {
        let line = format!(
            "{} lost at {}",
            counted(*count, "event was", "events were"),
            histories.names.moment(*time)
        );
        page.line(Tone::Doubtful, &line, 2)?;
    }
    // What could be seen and what not, but for the kernel, which stands at the beginning.
    let mut source = Vec::new();
    let information = SourceInformation {
        kernel: None,
        ..report.source.clone()
    };
    TextSink::new(&mut source, false).begin(&information)?;
    page.text(&String::from_utf8_lossy(&source))?;
    if let Some(damage) = report.damage {
        let line = format!(
            "The recording is damaged; only the part before that is shown: {}",
            Escaped(damage)
        );
        page.line(Tone::Doubtful, &line, 2)?;
    }
    let mut summary = Vec::new();
    write_summary_in(WIDTH, &mut summary, report.summary)?;
    let summary = String::from_utf8_lossy(&summary);
    let (verdict, rest) = summary.split_once('\n').unwrap_or((&summary, ""));
    let tone = match report.summary.verdict {
        Verdict::Clean => Tone::Good,
        Verdict::Findings => Tone::Bad,
        Verdict::Inconclusive => Tone::Doubtful,
    };
    page.line(tone, verdict, 2)?;
    page.text(rest)
}

fn write_finding(finding: &Finding, page: &mut Page<'_>) -> io::Result<()> {
    page.gap()?;
    // As wide as the page, less what the text is indented here.
    let text = format!("{:78}", finding::text::Text(finding));
    for (number, line) in text.lines().enumerate() {
        let tone = match number {
            0 => tone(finding.severity),
            _ => Tone::Plain,
        };
        if line.is_empty() {
            page.gap()?;
        } else {
            page.line(tone, &format!("  {line}"), 4)?;
        }
    }
    Ok(())
}

/// Says in a life what its driver did to another device.
fn write_deed(finding: &Finding, history: &DeviceHistory, page: &mut Page<'_>) -> io::Result<()> {
    let Some(cause) = &finding.caused_by else {
        return Ok(());
    };
    // Each device that it was done to, once.
    let mut victims: Vec<&str> = finding
        .occurrences
        .iter()
        .filter(|one| one.cause == Some(history.key) && one.instance != history.key)
        .map(|one| &*one.device)
        .collect();
    if victims.is_empty() && cause.instance == history.key && finding.instance != history.key {
        victims.push(&finding.device);
    }
    let mut told: HashSet<&str> = HashSet::new();
    victims.retain(|victim| told.insert(victim));
    for victim in victims {
        let text = format!(
            "{:BEHIND_TIME$}its driver caused {} on {}  [{}]",
            "",
            finding.rule,
            Escaped(victim),
            Escaped(&finding.fingerprint)
        );
        page.line(tone(finding.severity), &text, BEHIND_TIME)?;
    }
    Ok(())
}
