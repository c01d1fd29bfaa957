//! One binding as text: its probe, what the device held when it was bound, and how that was released.

use std::io;

use hashbrown::HashSet;

use super::{
    super::page::{Page, Tone},
    stack::write_stack,
    words::{BEHIND_TIME, amount, failed, resource, step, task, time},
};
use crate::{
    history::{Binding, Holdings, Names, Outcome, Step, StepKind},
    model::State,
    number::counted,
};

/// Whether the stack is the one that was shown when the binding's probe had succeeded.
pub(super) fn shown_when_bound(binding: &Binding, left: &Holdings) -> bool {
    binding.bound.as_ref().is_some_and(|(_, bound)| {
        bound.held.len() == left.held.len()
            && bound
                .held
                .iter()
                .zip(&left.held)
                .all(|(one, other)| one.item.serial == other.item.serial)
    })
}

pub(super) fn write_binding(
    binding: &Binding,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
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
    let stayed: HashSet<u64> = holdings.held.iter().map(|held| held.item.serial).collect();
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
            StepKind::Added(item) if item.marker().is_none() => {
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
    // What the heading of the probe and the line behind it say.
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

pub(super) fn write_plain_step(
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
