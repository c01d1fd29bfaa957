//! The keys, as they are bound.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{put_all, rule, tell_more};
use crate::tui::{
    Session,
    keymap::ACTIONS,
    text::{Cells, shorten},
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
    for text in [
        "!  a finding      ~  not certain: something of it may be missing      x  gone",
        "s  was there before the trace began: read from the kernel's memory",
        "The name at the right is the action's in the configuration file (docs/live.md).",
    ] {
        let text = shorten(&format!("  {text}"), width, theme.signs.cut);
        lines.push(Line::styled(text, theme.text));
    }
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
