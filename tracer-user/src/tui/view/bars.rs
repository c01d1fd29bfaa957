//! The line at the top, and those at the bottom: where one is in time, what can't be seen, and what can be
//! pressed.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{SMALLEST, put};
use crate::{
    engine::Verdict,
    escape::escape,
    evidence::{Before, HookState, NodeEvents},
    finding::Severity,
    number::{grouped, plural},
    tui::{
        Session, Sight,
        keymap::Action,
        session::SourceState,
        state::View,
        text::{Cells, fit, shorten, width},
    },
};

/// Lines at the bottom.
pub(super) const HEIGHT: u16 = 3;

/// What is looked at, the views, and whether it moves.
pub(super) fn top(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    buffer.set_style(area, theme.bar);
    let room = usize::from(area.width);
    let (mode, mode_style) = mode(session);
    let findings = session
        .playback
        .history()
        .found_until(session.playback.position());
    let what = match &session.sight {
        Sight::Live => session
            .information
            .kernel
            .as_deref()
            .map_or_else(|| "this kernel".to_owned(), escape),
        Sight::Recording(name) => escape(name),
    };
    let names = View::NUMBERED.map(|view| (view, tab(session, view, findings)));
    let tabs: usize = names.iter().map(|(_, name)| width(name)).sum();
    let left = room
        .saturating_sub(tabs + width(&mode) + 2)
        .min(width(&what) + 2);
    let mut line = Cells::new(theme.signs.cut);
    if left > 8 {
        line = line.text(
            format!(" {}", fit(&what, left - 2, theme.signs.cut)) + " ",
            theme.bar,
        );
    }
    session.state.areas.tabs.clear();
    for (view, name) in names {
        if line.used() + width(&name) + width(&mode) + 1 > room {
            break;
        }
        let here = session.state.view.tab() == view;
        let style = if here {
            theme.selected
        } else if view == View::Findings && findings > 0 {
            theme.bar.patch(Style::new().bold())
        } else {
            theme.bar
        };
        let column = u16::try_from(line.used()).unwrap_or(u16::MAX);
        let length = u16::try_from(width(&name)).unwrap_or(u16::MAX);
        let place = Rect::new(area.x.saturating_add(column), area.y, length, 1);
        session.state.areas.tabs.push((place, view));
        // Where colours don't say, brackets do.
        let name = if here && theme.bar == theme.selected {
            format!("[{}]", name.trim())
        } else {
            name
        };
        line = line.text(name, style);
    }
    let gap = room.saturating_sub(line.used() + width(&mode) + 1);
    let line = line
        .text(" ".repeat(gap), theme.bar)
        .text(mode, theme.bar.patch(mode_style))
        .text(" ", theme.bar);
    put(buffer, area, 0, &line.line());
}

/// A view's tab: its key, its name, and how many findings there are.
fn tab(session: &Session, view: View, findings: usize) -> String {
    let number = View::NUMBERED.iter().position(|known| *known == view);
    let key = match number {
        Some(0) => Action::Devices,
        Some(1) => Action::Stack,
        Some(2) => Action::Findings,
        _ => Action::Timeline,
    };
    let key = session.configuration.keymap.key(key);
    let count = if view == View::Findings && findings > 0 {
        format!(" {findings}")
    } else {
        String::new()
    };
    format!(" {key} {}{count} ", view.name())
}

/// Whether what is shown moves, in words.
fn mode(session: &Session) -> (String, Style) {
    let signs = session.configuration.theme.signs;
    let bold = Style::new().bold();
    let end = session.playback.history().end();
    match (&session.source, &session.sight) {
        _ if !session.playback.is_following() => {
            let behind = end - session.playback.position();
            let text = if behind == 0 {
                "PAUSED".to_owned()
            } else {
                format!("PAUSED -{}", grouped(behind))
            };
            (text, bold)
        }
        (SourceState::Failed(_), _) => (format!("{} SOURCE ENDED", signs.wrong), bold),
        (SourceState::Running, Sight::Live) => ("LIVE".to_owned(), bold),
        (SourceState::Running, Sight::Recording(_)) => (format!("reading {}", grouped(end)), bold),
        (SourceState::Ended, _) => {
            let verdict = session.playback.history().outcome();
            let verdict = verdict.map(|outcome| outcome.verdict(Severity::Error));
            let text = match verdict {
                Some(Verdict::Clean) => "END, CLEAN",
                Some(Verdict::Findings) => "END, FINDINGS",
                Some(Verdict::Inconclusive) => "END, INCONCLUSIVE",
                None => "END",
            };
            (text.to_owned(), bold)
        }
    }
}

/// The history as a line, what can't be seen, and what can be pressed.
pub(super) fn bottom(session: &mut Session, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let screen = buffer.area;
    let is_small = screen.width < SMALLEST.0 || screen.height < SMALLEST.1;
    let room = usize::from(area.width);
    let mut lines = vec![hints(session, room, is_small)];
    if area.height >= 2 {
        lines.insert(0, honesty(session, room));
    }
    session.state.areas.scrub = Rect::default();
    if area.height >= 3 {
        lines.insert(0, scrub(session, area));
    }
    for (row, line) in lines.iter().enumerate() {
        put(buffer, area, row, line);
    }
    let prompt = session.state.prompt.as_ref()?;
    let column = width(prompt.question.words()) + width(&escape(&prompt.text));
    let column = u16::try_from(column.min(room.saturating_sub(1))).unwrap_or(0);
    Some(Position::new(area.x + column, area.bottom() - 1))
}

/// Where one is in the history.
fn scrub(session: &mut Session, area: Rect) -> Line<'static> {
    let theme = session.configuration.theme;
    let signs = theme.signs;
    let history = session.playback.history();
    let position = session.playback.position();
    let (first, end) = (history.first(), history.end());
    let clock = if history.coverage().times {
        format!("{} s  ", session.playback.now())
    } else {
        String::new()
    };
    let mut text = format!("{clock}event {} of {}", grouped(position), grouped(end));
    if first > 0 {
        text = format!("{text}, held from {}", history.time(first + 1));
    }
    let room = usize::from(area.width);
    let left = shorten(&text, room, signs.cut);
    let bar = room.saturating_sub(width(&left) + 1);
    if bar < 8 {
        return Line::styled(left, theme.text);
    }
    let span = (end - first).max(1);
    let last = u64::try_from(bar - 1).unwrap_or(1);
    let place = |at: u64| {
        let at = u128::from(at.saturating_sub(first)) * u128::from(last) / u128::from(span);
        usize::try_from(at).unwrap_or(0).min(bar - 1)
    };
    let here = place(position);
    let mut cells: Vec<(&str, Style)> = (0..bar)
        .map(|cell| {
            if cell < here {
                (signs.full, theme.info)
            } else {
                (signs.empty, theme.faint)
            }
        })
        .collect();
    // The worst last, so that it is what is seen.
    for severity in [Severity::Info, Severity::Warn, Severity::Error] {
        let mut next = history.found().next_position(severity, first);
        while let Some(at) = next {
            let here = place(at);
            if let Some(cell) = cells.get_mut(here) {
                *cell = ("!", theme.severity(severity));
            }
            // Where the next cell begins.
            let ahead = (u128::from(span) * (here as u128 + 1)).div_ceil(u128::from(last.max(1)));
            let ahead = first.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX));
            next = history.found().next_position(severity, ahead.max(at + 1));
        }
    }
    if let Some(cell) = cells.get_mut(here) {
        *cell = (signs.here, theme.key);
    }
    let column = u16::try_from(width(&left) + 1).unwrap_or(0);
    session.state.areas.scrub = Rect::new(
        area.x + column,
        area.y,
        area.width.saturating_sub(column),
        1,
    );
    let mut spans = vec![Span::styled(format!("{left} "), theme.text)];
    spans.extend(
        cells
            .into_iter()
            .map(|(sign, style)| Span::styled(sign, style)),
    );
    Line::from(spans)
}

/// What is seen, what not, and what was lost.
fn honesty(session: &Session, room: usize) -> Line<'static> {
    let theme = session.configuration.theme;
    let mut facts = faults(session);
    facts.push(certainty(session));
    facts.extend(sight(session));
    let mut line = Cells::new(theme.signs.cut);
    for (index, (fact, style)) in facts.iter().enumerate() {
        if index > 0 {
            line = line.text("  ", theme.text);
        }
        line = line.rest(fact, room, *style);
    }
    line.line()
}

/// What went wrong: the source, lost events, hooks that fell silent, faults of the tracer.
fn faults(session: &Session) -> Vec<(String, Style)> {
    let theme = session.configuration.theme;
    let model = session.playback.model();
    let tally = model.tally();
    let mut facts = Vec::new();
    if let SourceState::Failed(reason) = &session.source {
        facts.push((format!("source ended: {}", escape(reason)), theme.error));
    }
    let problems = session.problems.iter();
    facts.extend(problems.map(|problem| (escape(problem), theme.error)));
    let lost_style = if tally.lost > 0 {
        theme.error
    } else {
        theme.text
    };
    facts.push((format!("lost {}", grouped(tally.lost)), lost_style));
    if tally.desyncs > 0 {
        let fact = format!("DR900: {} faults of the tracer", tally.desyncs);
        facts.push((fact, theme.error));
    }
    for silent in model.silent_hooks() {
        let fact = format!("silent: {}", escape(&silent.symbols()));
        facts.push((fact, theme.error));
    }
    facts
}

/// How many devices the model is not certain of.
fn certainty(session: &Session) -> (String, Style) {
    let theme = session.configuration.theme;
    let tainted = session.playback.rows().tainted();
    let uncertain = format!(
        "{} {} not certain",
        grouped(tainted as u64),
        plural(tainted, "device", "devices")
    );
    let style = if tainted > 0 {
        theme.warning
    } else {
        theme.text
    };
    (uncertain, style)
}

/// What the source shows, and what it can't.
fn sight(session: &Session) -> Vec<(String, Style)> {
    let theme = session.configuration.theme;
    let history = session.playback.history();
    let coverage = history.coverage();
    let wanted = |state: &HookState| !matches!(state, HookState::NotNeeded(_));
    let hooks = coverage.hooks.iter();
    let hooks = hooks.filter(|hook| wanted(&hook.state)).count();
    let missing: Vec<_> = coverage.missing().map(|(hook, _)| hook.symbol()).collect();
    let hooks_style = if missing.is_empty() {
        theme.text
    } else {
        theme.warning
    };
    let hooks = format!("{} of {hooks} hooks", hooks - missing.len());
    let mut facts = vec![(hooks, hooks_style)];
    if coverage.nodes == NodeEvents::Concluded {
        facts.push(("releases inferred".to_owned(), theme.warning));
    }
    facts.push(match &coverage.before {
        Before::Nothing => ("seen from the start".to_owned(), theme.text),
        Before::Snapshot => ("starts with a snapshot".to_owned(), theme.text),
        Before::Unknown(reason) => (format!("before unknown: {}", escape(reason)), theme.warning),
    });
    if !coverage.stacks {
        facts.push(("no call stacks".to_owned(), theme.warning));
    }
    if !coverage.times {
        facts.push(("no times".to_owned(), theme.warning));
    }
    if let Some(outcome) = history.outcome() {
        let mut rules: Vec<_> = outcome.undecided.iter().map(|one| one.rule).collect();
        rules.dedup();
        if !rules.is_empty() {
            facts.push((format!("undecided: {}", rules.join(" ")), theme.warning));
        }
    }
    if !missing.is_empty() {
        facts.push((format!("not seen: {}", missing.join(" ")), theme.warning));
    }
    facts
}

/// What is being typed, what is to be shown, or what can be pressed.
fn hints(session: &Session, room: usize, is_small: bool) -> Line<'static> {
    let theme = session.configuration.theme;
    let cut = theme.signs.cut;
    if let Some(prompt) = &session.state.prompt {
        let text = escape(&prompt.text);
        return Cells::new(cut)
            .text(prompt.question.words(), theme.key)
            .rest(&text, room, theme.text)
            .line();
    }
    if let Some(message) = &session.state.message {
        let style = match message.severity {
            Severity::Info => theme.text,
            severity => theme.severity(severity),
        };
        return Cells::new(cut)
            .rest(&escape(&message.text), room, style)
            .line();
    }
    let mut line = Cells::new(cut);
    if is_small {
        let (width, height) = SMALLEST;
        let words = format!("made for {width}x{height} and more  ");
        line = line.rest(&words, room, theme.warning);
    }
    for (action, words) in actions(session) {
        let key = session.configuration.keymap.key(*action);
        if line.used() + width(&key) + width(words) + 3 > room {
            break;
        }
        line = line
            .text(key, theme.key)
            .text(format!(" {words}  "), theme.faint);
    }
    line.line()
}

fn actions(session: &Session) -> &'static [(Action, &'static str)] {
    match session.state.view {
        View::Devices => &[
            (Action::Help, "keys"),
            (Action::Open, "stack"),
            (Action::Filter, "filter"),
            (Action::Sort, "sort"),
            (Action::OnlyFindings, "findings only"),
            (Action::Idle, "all"),
            (Action::Pause, "pause"),
            (Action::NextFinding, "next finding"),
            (Action::Step, "step"),
            (Action::Quit, "quit"),
        ],
        View::Stack => &[
            (Action::Help, "keys"),
            (Action::StepBack, "back"),
            (Action::Step, "step"),
            (Action::DeviceStepBack, "its last event"),
            (Action::DeviceStep, "its next"),
            (Action::Pause, "pause"),
            (Action::Timeline, "timeline"),
            (Action::Back, "devices"),
            (Action::Quit, "quit"),
        ],
        View::Findings => &[
            (Action::Help, "keys"),
            (Action::Open, "story"),
            (Action::SaveFinding, "save"),
            (Action::Copy, "copy"),
            (Action::NextFinding, "to the next in time"),
            (Action::Quit, "quit"),
        ],
        View::Finding => &[
            (Action::Help, "keys"),
            (Action::SaveFinding, "save"),
            (Action::Copy, "copy"),
            (Action::Open, "stack"),
            (Action::Back, "back"),
            (Action::Down, "scroll"),
            (Action::Quit, "quit"),
        ],
        View::Timeline => &[
            (Action::Help, "keys"),
            (Action::ZoomIn, "in"),
            (Action::ZoomOut, "out"),
            (Action::PanLeft, "earlier"),
            (Action::PanRight, "later"),
            (Action::ZoomAll, "all"),
            (Action::AllDevices, "one device or all"),
            (Action::Step, "step"),
            (Action::Quit, "quit"),
        ],
        View::Help => &[(Action::Back, "back"), (Action::Quit, "quit")],
    }
}
