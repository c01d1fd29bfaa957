//! The lives of single resources: who asked for each, and everything that happened until it was gone.

use std::io;

use hashbrown::HashMap;

use super::{
    super::page::{Page, Tone},
    Report,
    text::ending,
    words::{BEHIND_TIME, adder, failed, resource, size, step, task, time},
};
use crate::{
    escape::{Escaped, escape},
    event::Time,
    finding::{Finding, Severity},
    history::{Binding, DeviceHistory, LabelId, Names, Outcome, Sought, Step, StepKind, TaskId},
    model::{InstanceKey, State},
    number::counted,
};

/// Resources that are named in a line.
const MOST_NAMED: usize = 6;

/// What was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// As it was given.
    pub wanted: &'a str,
    /// What was found, in the order in which it came into view.
    pub found: &'a [Sought],
    /// How much more there was.
    pub hidden: u64,
}

/// Writes the life of each resource that was found, then the verdict on the recording.
pub fn write_resources(
    report: &Report<'_>,
    search: &Search<'_>,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let devices = report.histories.devices.iter();
    let devices: HashMap<InstanceKey, &DeviceHistory> =
        devices.map(|history| (history.key, history)).collect();
    let mut written = 0_u64;
    for sought in search.found {
        if let Some(history) = devices.get(&sought.device) {
            if written > 0 {
                page.gap()?;
            }
            write_life(report, sought, history, page)?;
            written += 1;
        }
    }
    if written == 0 {
        let line = format!(
            "No resource matches {} (a name, a glob, or an address with 0x).",
            Escaped(search.wanted)
        );
        page.line(Tone::Doubtful, &line, 0)?;
    }
    if search.hidden > 0 {
        let more = counted(search.hidden, "more resource", "more resources");
        page.line(Tone::Doubtful, &format!("and {more} (not kept)"), 0)?;
    }
    ending(report, page)
}

/// What the history of its device has of a resource.
struct Life<'a> {
    /// Its probe, and what happened from when it came until it was gone.
    steps: Vec<(&'a Binding, &'a Step)>,
    label: LabelId,
    size: Option<u64>,
    task: TaskId,
    /// Whether steps may be missing because there were too many.
    hidden: bool,
}

impl<'a> Life<'a> {
    fn of(sought: &Sought, history: &'a DeviceHistory) -> Self {
        let mut initial = history.initial.held.iter();
        let held = initial.find(|held| held.item.serial == sought.serial);
        let mut course = Self {
            steps: Vec::new(),
            label: held.map_or(LabelId::NONE, |held| held.item.label),
            size: held.and_then(|held| held.item.size()),
            task: TaskId::NONE,
            hidden: history.bindings_hidden > 0,
        };
        let mut present = sought.added.is_none();
        'life: for binding in &history.bindings {
            course.hidden |= binding.steps_hidden > 0;
            for one in &binding.steps {
                let item = one.kind.item();
                let own = item.filter(|item| item.serial == sought.serial);
                if let Some(item) = own {
                    course.label = item.label;
                    course.size = item.size().or(course.size);
                    if matches!(one.kind, StepKind::Added(_)) {
                        course.task = one.task;
                        present = true;
                    }
                }
                if present {
                    course.steps.push((binding, one));
                }
                let is_end = matches!(
                    one.kind,
                    StepKind::Removed(_) | StepKind::Released(_) | StepKind::Missed(_)
                );
                if own.is_some() && is_end {
                    break 'life;
                }
            }
        }
        course
    }
}

fn write_life(
    report: &Report<'_>,
    sought: &Sought,
    history: &DeviceHistory,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let names = &report.histories.names;
    let course = Life::of(sought, history);
    write_heading(sought, &course, history, names, page)?;
    write_addition(sought, &course, names, page)?;
    let mut others: Vec<LabelId> = Vec::new();
    for (binding, one) in &course.steps {
        let own = one
            .kind
            .item()
            .is_some_and(|item| item.serial == sought.serial);
        match one.kind {
            StepKind::Added(_) => {}
            StepKind::Released(item) if !own => {
                if item.marker().is_none() {
                    others.push(item.label);
                }
            }
            // What else came and went beside it says nothing of it.
            StepKind::Removed(_) | StepKind::Replaced(_) | StepKind::Missed(_) if !own => {}
            _ => {
                write_others(&mut others, names, page)?;
                write_step(binding, one, names, page)?;
            }
        }
    }
    write_others(&mut others, names, page)?;
    write_end(sought, &course, history, names, page)?;
    for finding in report.findings {
        if tells_of(finding, sought, &course, names) {
            write_finding(finding, page)?;
        }
    }
    Ok(())
}

fn write_heading(
    sought: &Sought,
    course: &Life<'_>,
    history: &DeviceHistory,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let mut heading = resource(course.label, names);
    if course.size.is_some() {
        heading = format!("{heading}  {}", size(course.size).trim_start());
    }
    heading = format!(
        "{heading}  of {}",
        escape(history.name.as_deref().unwrap_or("(no name)"))
    );
    if let Some(bus) = &history.bus {
        heading = format!("{heading}  bus {}", Escaped(bus));
    }
    if let Some(driver) = &history.driver {
        heading = format!("{heading}  driver {}", Escaped(driver));
    }
    page.line(Tone::Heading, &heading, 2)?;
    let told = [
        ("at", sought.address.0),
        ("payload at", sought.payload),
        ("argument", sought.data),
    ];
    let told: Vec<String> = told
        .iter()
        .filter(|(_, address)| *address != 0)
        .map(|(what, address)| format!("{what} {address:#x}"))
        .collect();
    if !told.is_empty() {
        let line = format!("{:BEHIND_TIME$}{}", "", told.join(", "));
        page.line(Tone::Faint, &line, BEHIND_TIME)?;
    }
    Ok(())
}

/// Who asked for it, with the whole call stack.
fn write_addition(
    sought: &Sought,
    course: &Life<'_>,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let Some(added) = sought.added else {
        let line = format!("{:BEHIND_TIME$}added before it came into view", "");
        return page.plain(&line, BEHIND_TIME);
    };
    let mut line = format!("{}  added", time(added, names));
    let by = task(course.task, names);
    if !by.is_empty() {
        line = format!("{line} by {by}");
    }
    if let Some((binding, one)) = course.steps.first() {
        if one.phase != State::Unknown {
            line = format!("{line} while {}", one.phase.name());
        }
        if binding.number > 0 {
            line = format!("{line}, probe {}", binding.number);
        }
        if one.by != LabelId::NONE {
            line = format!("{line}, in a call for {}", resource(one.by, names));
        }
    }
    page.plain(&line, BEHIND_TIME)?;
    let frames = names
        .label(course.label)
        .and_then(|label| label.frames.as_deref());
    for frame in frames.unwrap_or_default() {
        let line = format!("{:BEHIND_TIME$}    {}", "", Escaped(&frame.to_string()));
        page.plain(&line, BEHIND_TIME + 6)?;
    }
    if frames.is_none() {
        let by = adder(course.label, TaskId::NONE, names);
        let by = if by.is_empty() {
            "its call stack is not known".to_owned()
        } else {
            by
        };
        page.line(
            Tone::Faint,
            &format!("{:BEHIND_TIME$}    {by}", ""),
            BEHIND_TIME + 6,
        )?;
    }
    Ok(())
}

fn write_step(binding: &Binding, one: &Step, names: &Names, page: &mut Page<'_>) -> io::Result<()> {
    let mut what = step(one, names);
    match one.kind {
        StepKind::Probe => what = format!("probe {}", binding.number),
        StepKind::ProbeFailed(_) => {
            if let Outcome::Failed(value) = binding.outcome {
                what = format!("probe {} {}", binding.number, failed(value));
            }
        }
        _ => {}
    }
    if matches!(one.kind, StepKind::Probe | StepKind::Unbind) {
        let by = task(one.task, names);
        if !by.is_empty() {
            what = format!("{what} by {by}");
        }
    }
    let tone = match one.kind {
        StepKind::Doubtful(_) | StepKind::Missed(_) => Tone::Doubtful,
        _ => Tone::Plain,
    };
    page.line(
        tone,
        &format!("{}  {what}", time(one.time, names)),
        BEHIND_TIME,
    )
}

/// Says in one line which others of its device were released before what comes next.
fn write_others(others: &mut Vec<LabelId>, names: &Names, page: &mut Page<'_>) -> io::Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let mut list: Vec<String> = others
        .iter()
        .take(MOST_NAMED)
        .map(|label| resource(*label, names))
        .collect();
    if others.len() > MOST_NAMED {
        list.push(format!("{} more", others.len() - MOST_NAMED));
    }
    others.clear();
    let line = format!("{:BEHIND_TIME$}released meanwhile: {}", "", list.join(", "));
    page.line(Tone::Faint, &line, BEHIND_TIME + 2)
}

fn write_end(
    sought: &Sought,
    course: &Life<'_>,
    history: &DeviceHistory,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    if course.hidden {
        let line = format!("{:BEHIND_TIME$}not all steps of its device are kept", "");
        page.line(Tone::Doubtful, &line, BEHIND_TIME)?;
    }
    let line = match (sought.added, sought.ended) {
        (Some(added), Some(ended)) if !names.are_numbered() => {
            format!(
                "{:BEHIND_TIME$}it was there for {}",
                "",
                length(added, ended)
            )
        }
        (_, Some(_)) => return Ok(()),
        (_, None) => match history.gone {
            Some(gone) => format!(
                "{}  its device is gone, and it was not seen to be released",
                time(gone.time, names)
            ),
            None => format!("{:>12}  still there", "at the end"),
        },
    };
    let is_lost = sought.ended.is_none() && history.gone.is_some();
    let tone = if is_lost { Tone::Bad } else { Tone::Plain };
    page.line(tone, &line, BEHIND_TIME)
}

fn length(from: Time, to: Time) -> String {
    let microseconds = to.since(from) / 1_000;
    format!("{}.{:03} ms", microseconds / 1_000, microseconds % 1_000)
}

/// Whether a finding is about this resource: on its device's life, added at the same time, under the same name.
fn tells_of(finding: &Finding, sought: &Sought, course: &Life<'_>, names: &Names) -> bool {
    let name = names
        .label(course.label)
        .and_then(|label| label.name.as_deref());
    finding.instance == sought.device
        && finding.resources.iter().any(|one| {
            one.added.time == sought.added
                && (Some(one.name.as_str()) == name || one.label() == names.text(course.label))
        })
}

fn write_finding(finding: &Finding, page: &mut Page<'_>) -> io::Result<()> {
    let (word, tone) = match finding.severity {
        Severity::Error => ("error", Tone::Bad),
        Severity::Warn => ("warning", Tone::Doubtful),
        Severity::Info => ("info", Tone::Doubtful),
    };
    let line = format!(
        "{:BEHIND_TIME$}{} {word}: {}  [{}]",
        "",
        finding.rule,
        escape(&finding.summary),
        Escaped(&finding.fingerprint)
    );
    page.line(tone, &line, BEHIND_TIME + 2)
}
