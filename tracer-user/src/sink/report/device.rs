//! One device instance as text: how it came into view, its bindings, and what it left.

use std::io;

use super::{
    super::page::{Page, Tone},
    binding::{shown_when_bound, write_binding},
    stack::write_stack,
    words::{BEHIND_TIME, amount, time},
};
use crate::{
    escape::{Escaped, escape},
    history::{Beginning, DeviceHistory, Histories, Names, StepKind},
    model::State,
    number::counted,
};

/// Writes the history of one device instance.
pub(super) fn write_history(
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
