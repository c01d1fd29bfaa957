//! Lives as text for a person.

use std::io;

use hashbrown::{HashMap, HashSet};

use super::{
    super::{
        page::{Page, Tone, WIDTH, counted},
        text::{TextSink, write_summary_in},
    },
    Report,
    stack::write_stack,
    words::{BEHIND_TIME, amount, failed, resource, step, task, time},
};
use crate::{
    engine::Verdict,
    escape::{Escaped, escape},
    evidence::SourceInformation,
    finding::{self, Finding, Occurrence, Severity},
    history::{
        Beginning, Binding, DeviceHistory, Histories, Holdings, Names, Outcome, Step, StepKind,
        Window,
    },
    model::{InstanceKey, State},
    sink::Sink as _,
};

/// Occurrences of findings that are told one by one in a life.
const MOST_OCCURRENCES_SHOWN: usize = 10;

/// Writes the report: each device's life with what was found on it, and the verdict.
pub fn write_text(report: &Report<'_>, page: &mut Page<'_>) -> io::Result<()> {
    beginning(report, page)?;
    let mut told = HashSet::new();
    let homes = homes(report);
    for (number, history) in report.histories.devices.iter().enumerate() {
        page.gap()?;
        write_life(history, report.histories, page)?;
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

/// The life under which each finding is told in full, if there is one: that of the occurrence that is shown, else the
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

/// Writes one life.
fn write_life(
    history: &DeviceHistory,
    histories: &Histories,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let names = &histories.names;
    page.line(Tone::Heading, &heading(history), 2)?;
    for doubt in &history.doubts {
        page.line(Tone::Doubtful, &format!("  not certain: {doubt}"), 4)?;
    }
    if let Some(since) = histories.window.since
        && history.began < since
    {
        let text = format!(
            "{:BEHIND_TIME$}not shown: before {}",
            "",
            names.moment(since)
        );
        page.line(Tone::Faint, &text, BEHIND_TIME)?;
    } else if history.beginning == Beginning::Snapshot {
        let text = format!(
            "{}  already there: {}, {}{}",
            time(history.began, names),
            bound_or_not(history),
            amount(&history.initial),
            if history.initial.resources > 0 {
                "; newest on top:"
            } else {
                ""
            }
        );
        page.plain(&text, BEHIND_TIME)?;
        write_stack(&history.initial, names, page)?;
    }
    let mut bindings = history.bindings.iter().peekable();
    while let Some(binding) = bindings.next() {
        write_binding(binding, names, page)?;
        let mut repeated = 0_u64;
        let mut until = binding.began;
        while let Some(next) = bindings.next_if(|next| next.resembles(binding)) {
            repeated += 1;
            until = next
                .ended
                .map(|(ended, _)| ended)
                .or(next.steps.last().map(|step| step.time))
                .unwrap_or(next.began);
        }
        if repeated > 0 {
            let text = format!(
                "{:BEHIND_TIME$}the same {}, until {}",
                "",
                counted(repeated, "more time", "more times"),
                names.moment(until)
            );
            page.line(Tone::Faint, &text, BEHIND_TIME)?;
        }
    }
    if history.bindings_hidden > 0 {
        let text = format!(
            "{:BEHIND_TIME$}and {} (not kept)",
            "",
            counted(history.bindings_hidden, "more probe", "more probes")
        );
        page.line(Tone::Doubtful, &text, BEHIND_TIME)?;
    }
    write_end(history, names, page)
}

fn heading(history: &DeviceHistory) -> String {
    let name = history.name.as_deref().unwrap_or("(no name)");
    let mut heading = escape(name);
    if let Some(bus) = &history.bus {
        heading = format!("{heading}  bus {}", Escaped(bus));
    }
    match &history.driver {
        Some(driver) => format!("{heading}  driver {}", Escaped(driver)),
        None => heading,
    }
}

fn bound_or_not(history: &DeviceHistory) -> &'static str {
    let first = history
        .bindings
        .iter()
        .flat_map(|binding| &binding.steps)
        .find(|step| step.kind != StepKind::Probe);
    let state = match (history.bindings.get(1), first) {
        (None, Some(step)) if step.phase != State::Dead => step.phase,
        (None, _) => history.state,
        (Some(_), _) => State::Initialised,
    };
    match state {
        State::Bound | State::Removing | State::Cleanup => "bound to a driver",
        _ => "no driver",
    }
}

fn write_end(history: &DeviceHistory, names: &Names, page: &mut Page<'_>) -> io::Result<()> {
    let listed_already = history
        .bindings
        .last()
        .is_some_and(|binding| shown_when_bound(binding, &history.left));
    let nothing = history.left.resources == 0;
    let text = match history.gone {
        Some(gone) => format!("{}  gone, {}", time(gone.time, names), left(history)),
        None if nothing => return Ok(()),
        None => format!(
            "{:>12}  {}, {}",
            "at the end",
            history.state,
            amount(&history.left)
        ),
    };
    let text = match (nothing, listed_already) {
        (true, _) => text,
        (false, true) => format!("{text}: as above"),
        (false, false) => format!("{text}; newest on top:"),
    };
    let tone = if history.gone.is_some() && !nothing {
        Tone::Doubtful
    } else {
        Tone::Plain
    };
    page.line(tone, &text, BEHIND_TIME)?;
    if nothing || listed_already {
        return Ok(());
    }
    write_stack(&history.left, names, page)
}

fn left(history: &DeviceHistory) -> String {
    if history.left.resources == 0 {
        "left nothing behind".to_owned()
    } else {
        amount(&history.left).replacen("holds", "still held", 1)
    }
}

/// Whether the stack is the one that was shown when the binding's probe had succeeded.
fn shown_when_bound(binding: &Binding, left: &Holdings) -> bool {
    binding.bound.as_ref().is_some_and(|(_, bound)| {
        bound.held.len() == left.held.len()
            && bound
                .held
                .iter()
                .zip(&left.held)
                .all(|(one, other)| one.serial == other.serial)
    })
}

fn write_binding(binding: &Binding, names: &Names, page: &mut Page<'_>) -> io::Result<()> {
    let mut rest = binding.steps.as_slice();
    if binding.number > 0 {
        let mut text = format!("{}  probe {}", time(binding.began, names), binding.number);
        let by = task(binding.task, names);
        if !by.is_empty() {
            text = format!("{text} by {by}");
        }
        if let Outcome::Failed(value) = binding.outcome {
            text = format!("{text}, {}", failed(value));
        }
        page.plain(&text, BEHIND_TIME)?;
        if let Some(([probe], behind)) = rest.split_first_chunk::<1>()
            && probe.kind == StepKind::Probe
        {
            rest = behind;
        }
    }
    if let Some((at, holdings)) = &binding.bound
        && let Some(place) = rest.iter().position(|step| step.kind == StepKind::Bound)
    {
        let (probe, behind) = rest.split_at(place);
        write_folded(probe, holdings, names, page)?;
        let more = if holdings.resources > 0 {
            "; newest on top:"
        } else {
            ""
        };
        page.plain(
            &format!("{}  bound, {}{more}", time(*at, names), amount(holdings)),
            BEHIND_TIME,
        )?;
        write_stack(holdings, names, page)?;
        rest = behind.get(1..).unwrap_or_default();
    }
    // What follows an unbind that is over belongs to the binding as well, such as the deletion.
    let over = binding.ended.map_or(rest.len(), |(at, _)| {
        rest.iter()
            .position(|step| step.time > at)
            .unwrap_or(rest.len())
    });
    let (until, behind) = rest.split_at(over);
    for one in until {
        write_step(one, binding, names, page)?;
    }
    if behind.is_empty() {
        write_hidden(binding, page)?;
        return write_ended(binding, names, page);
    }
    write_ended(binding, names, page)?;
    for one in behind {
        write_step(one, binding, names, page)?;
    }
    write_hidden(binding, page)
}

fn write_hidden(binding: &Binding, page: &mut Page<'_>) -> io::Result<()> {
    if binding.steps_hidden == 0 {
        return Ok(());
    }
    let text = format!(
        "{:BEHIND_TIME$}  and {} (not kept)",
        "",
        counted(binding.steps_hidden, "more step", "more steps")
    );
    page.line(Tone::Doubtful, &text, BEHIND_TIME + 2)
}

/// Says that what the binding left has been released.
fn write_ended(binding: &Binding, names: &Names, page: &mut Page<'_>) -> io::Result<()> {
    let Some((at, left)) = binding.ended else {
        if binding
            .steps
            .iter()
            .any(|step| step.kind == StepKind::Unbind)
        {
            let text = format!("{:BEHIND_TIME$}the end of the unbind was not seen", "");
            page.line(Tone::Doubtful, &text, BEHIND_TIME)?;
        }
        return Ok(());
    };
    let what = match binding.outcome {
        Outcome::Failed(_) => "all resources of the probe are released",
        _ => "unbound, holds nothing",
    };
    let text = if left == 0 {
        what.to_owned()
    } else {
        format!(
            "unbound, still holds {}",
            counted(left, "resource", "resources")
        )
    };
    page.plain(&format!("{}  {text}", time(at, names)), BEHIND_TIME)
}

/// The steps of a probe that succeeded: what stayed is shown with the stack.
fn write_folded(
    steps: &[Step],
    holdings: &Holdings,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let stayed: HashSet<u64> = holdings.held.iter().map(|held| held.serial).collect();
    let added: HashSet<u64> = steps
        .iter()
        .filter_map(|step| match step.kind {
            StepKind::Added(item) => Some(item.serial),
            _ => None,
        })
        .collect();
    let mut gone: Vec<(String, u64)> = Vec::new();
    for one in steps {
        match one.kind {
            StepKind::Added(item) if stayed.contains(&item.serial) => {}
            StepKind::Added(item) if item.marker.is_none() => {
                let name = resource(item.label, names);
                match gone.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, count)) => *count += 1,
                    None => gone.push((name, 1)),
                }
            }
            StepKind::Removed(item) | StepKind::Released(item) if added.contains(&item.serial) => {}
            StepKind::Added(_) => {}
            StepKind::GroupReleased(call) if call.found => {}
            _ => write_plain_step(one, 2, names, page)?,
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let mut list: Vec<String> = gone
        .iter()
        .take(6)
        .map(|(name, count)| match count {
            1 => name.clone(),
            count => format!("{name} {count} times"),
        })
        .collect();
    if gone.len() > 6 {
        list.push(format!("{} others", gone.len() - 6));
    }
    let text = format!(
        "{:BEHIND_TIME$}  added and released: {}",
        "",
        list.join(", ")
    );
    page.line(Tone::Faint, &text, BEHIND_TIME + 4)
}

fn write_step(
    step: &Step,
    binding: &Binding,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let unbinds = matches!(step.kind, StepKind::Unbind);
    let phase = matches!(step.kind, StepKind::Remove | StepKind::Cleanup);
    // What the heading of the probe and the line behind it tell.
    if matches!(
        step.kind,
        StepKind::ProbeFailed(_) | StepKind::Probe | StepKind::Bound
    ) || matches!(step.kind, StepKind::Gone)
    {
        return Ok(());
    }
    if unbinds {
        let by = task(step.task, names);
        let by = if by.is_empty() {
            by
        } else {
            format!(" by {by}")
        };
        let text = format!("{}  unbind{by}", time(step.time, names));
        return page.plain(&text, BEHIND_TIME);
    }
    let depth = match step.phase {
        _ if phase => 2,
        State::Removing | State::Cleanup => 4,
        _ if binding.number == 0 => 0,
        _ => 2,
    };
    write_plain_step(step, depth, names, page)
}

fn write_plain_step(
    one: &Step,
    indent: usize,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let tone = match one.kind {
        StepKind::Doubtful(_)
        | StepKind::Missed(_)
        | StepKind::Refused
        | StepKind::Warned(..)
        | StepKind::FreedActive(_)
        | StepKind::Splat(_) => Tone::Doubtful,
        StepKind::GroupReleased(call) if !call.found => Tone::Doubtful,
        _ => Tone::Plain,
    };
    let bars = "│ ".repeat(usize::from(one.depth.min(16)));
    let head = format!("{}{:indent$}  {bars}", time(one.time, names), "");
    let text = format!("{head}{}", step(one, names));
    page.line(tone, &text, BEHIND_TIME + indent + 2)
}
