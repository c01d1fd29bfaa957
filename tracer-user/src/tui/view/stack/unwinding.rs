//! The last unwinding of a device, step by step.

use ratatui::text::Line;

use super::super::rule;
use crate::{
    escape::{Escaped, escape},
    model::InstanceKey,
    number::plural,
    tui::{
        Session,
        text::{Cells, milliseconds},
        traces::{Step, Unwinding},
    },
};

/// The last unwinding of a device, step by step, in at most `height` lines.
pub(super) fn unwinding(
    session: &Session,
    key: InstanceKey,
    unwinding: &Unwinding,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let theme = session.configuration.theme;
    let signs = theme.signs;
    let length = match unwinding.ended {
        Some(ended) => format!("over after {}", milliseconds(ended.since(unwinding.began))),
        None => "is running".to_owned(),
    };
    let title = format!(
        "Unwinding by {} at {}: {length}",
        Escaped(&unwinding.task),
        unwinding.began
    );
    let mut lines = vec![rule(&title, width, &theme)];
    let room = height.saturating_sub(1);
    // A step is wrong already at the time when nobody had found it yet.
    let history = session.playback.history();
    for shown in chosen(unwinding, room) {
        let step = match shown {
            Shown::Step(step) => step,
            Shown::Hidden(count) => {
                lines.push(Line::styled(
                    format!("   {count} more {}", plural(count, "step", "steps")),
                    theme.faint,
                ));
                continue;
            }
        };
        let since = milliseconds(step.time.since(unwinding.began));
        let early = step.still_held.filter(|held| *held > 0);
        let blamed = early.and_then(|_| {
            let number = history.found().at_step(key, step.time)?;
            let finding = history.findings().get(number)?;
            Some((finding.rule, finding.severity))
        });
        let (mark, style) = match blamed {
            Some((_, severity)) => (signs.wrong, theme.severity(severity)),
            None if step.release => (signs.done, theme.released),
            None => (" ", theme.text),
        };
        let mut what = escape(&step.what);
        if let Some(held) = early {
            what = format!(
                "{what}, {held} {} still held",
                plural(held, "resource", "resources")
            );
        }
        if let Some((rule, _)) = blamed {
            what = format!("{rule}: {what}");
        }
        lines.push(
            Cells::new(signs.cut)
                .text(format!("{mark:>2} "), style)
                .right(&since, 14, theme.faint)
                .rest(&what, width, style)
                .line(),
        );
    }
    if unwinding.more > 0 {
        lines.push(Line::styled(
            format!("   {} more steps", unwinding.more),
            theme.faint,
        ));
    }
    lines
}

/// A step of an unwinding, or that some are left out.
enum Shown<'a> {
    Step(&'a Step),
    Hidden(usize),
}

/// At most `room` lines of an unwinding: the steps in which something came before what it should come after,
/// and the last ones.
fn chosen(unwinding: &Unwinding, room: usize) -> Vec<Shown<'_>> {
    let steps = &unwinding.steps;
    if steps.len() <= room {
        return steps.iter().map(Shown::Step).collect();
    }
    let early: Vec<usize> = (0..steps.len())
        .filter(|at| {
            steps
                .get(*at)
                .is_some_and(|step| step.still_held.is_some_and(|held| held > 0))
        })
        .take(room / 2)
        .collect();
    // Each gap may need a line that reports it.
    let last = room.saturating_sub(2 * early.len() + 1).max(1);
    let mut shown = Vec::new();
    let mut hidden = 0;
    for (at, step) in steps.iter().enumerate() {
        if early.contains(&at) || at + last >= steps.len() {
            if hidden > 0 {
                shown.push(Shown::Hidden(std::mem::take(&mut hidden)));
            }
            shown.push(Shown::Step(step));
        } else {
            hidden += 1;
        }
    }
    shown
}
