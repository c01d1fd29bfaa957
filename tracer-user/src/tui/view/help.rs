//! The keys, as they are bound.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{put_all, rule, tell_more};
use crate::tui::{
    Session,
    keymap::ACTIONS,
    text::{Cells, shorten},
    theme::Signs,
};

pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let width = usize::from(area.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut section = "";
    for info in &ACTIONS {
        if info.section != section {
            section = info.section;
            lines.push(rule(section, width, &theme));
        }
        let keys = session.configuration.keymap.keys(info.action).join("  ");
        lines.push(
            Cells::new(theme.signs.cut)
                .text("  ", theme.text)
                .left(&keys, 16, theme.key)
                .left(
                    info.description,
                    62.min(width.saturating_sub(20)),
                    theme.text,
                )
                .rest(info.name, width, theme.faint)
                .line(),
        );
    }
    lines.push(rule("Signs", width, &theme));
    for (sign, meaning) in signs(&theme.signs) {
        lines.push(
            Cells::new(theme.signs.cut)
                .text("  ", theme.text)
                .left(&sign, 16, theme.key)
                .rest(meaning, width, theme.text)
                .line(),
        );
    }
    let text = "  At the right: the action's name in the configuration file (docs/live.md).";
    lines.push(Line::styled(
        shorten(text, width, theme.signs.cut),
        theme.text,
    ));
    let mut scroll = session.state.help;
    scroll.keep_text(lines.len(), usize::from(area.height));
    put_all(buffer, area, lines.iter().skip(scroll.top));
    let more = lines
        .len()
        .saturating_sub(scroll.top + usize::from(area.height));
    tell_more(buffer, area, more, &theme);
    session.state.help = scroll;
    session.state.areas.list = area;
}

/// Every sign on any screen, as this terminal shows it, and what it stands for.
fn signs(signs: &Signs) -> Vec<(String, &'static str)> {
    let beside = |parts: &[&str]| parts.join(" ");
    vec![
        (
            ">".to_owned(),
            "selected; in the timeline: the last event before this instant",
        ),
        ("!".to_owned(), "a finding: on a device, or its time"),
        ("~".to_owned(), "uncertain: events may be missing"),
        ("x".to_owned(), "the device is gone"),
        (
            "s".to_owned(),
            "from before the trace: read from the kernel's memory",
        ),
        ("bound?".to_owned(), "an uncertain state"),
        ("(driver)".to_owned(), "the last driver; none is bound now"),
        ("2+".to_owned(), "two groups, not all of them closed"),
        (">5 s".to_owned(), "older than that"),
        (
            beside(&[signs.top, signs.down, signs.bottom]),
            "a group: its end, its resources, its start",
        ),
        (
            signs.arrow.to_owned(),
            "released next; 1. 2. 3. is the order after that",
        ),
        (signs.done.to_owned(), "released"),
        (
            "-".to_owned(),
            "removed from the list, perhaps not released. Timeline: released or removed",
        ),
        ("?".to_owned(), "removal not observed"),
        (
            signs.wrong.to_owned(),
            "a step that came too early, with the rule; or the source ended",
        ),
        (
            ".".to_owned(),
            "findings: later than this instant; timeline: a function was called",
        ),
        ("+".to_owned(), "timeline: added"),
        ("B".to_owned(), "timeline: bound"),
        ("( )".to_owned(), "timeline: a group was opened, closed"),
        (signs.several.to_owned(), "timeline: several in one column"),
        (
            beside(&[signs.span_begin, signs.span, signs.span_end]),
            "timeline: a function from its entry to its return",
        ),
        (
            beside(&[signs.full, signs.here, signs.empty]),
            "history: past, this instant, future",
        ),
        (signs.across.to_owned(), "fills a heading's line"),
        (signs.cut.to_owned(), "the text was cut"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::{Ability, Theme};

    #[test]
    fn every_sign_of_a_theme_is_told() {
        for signs_wanted in [true, false] {
            let ability = Ability {
                signs: signs_wanted,
                ..Ability::full()
            };
            let theme = Theme::dark(ability);
            let told = signs(&theme.signs);
            for sign in theme.signs.all() {
                assert!(
                    told.iter()
                        .any(|(known, _)| known.split(' ').any(|one| one == sign)),
                    "{sign}"
                );
            }
        }
    }
}
