//! The screen: one file for each thing that can fill it.

mod bars;
mod devices;
mod finding;
mod findings;
mod help;
mod stack;
mod timeline;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::Line,
};

use super::{Session, state::View, theme::Theme};

/// The smallest screen on which everything has its place.
const SMALLEST: (u16, u16) = (80, 24);
/// Below this nothing can be shown.
const LEAST: (u16, u16) = (24, 6);

impl Session {
    /// Draws the screen, and returns where the cursor is, if there is one.
    pub fn draw(&mut self, buffer: &mut Buffer) -> Option<Position> {
        self.settle();
        draw(self, buffer)
    }
}

fn draw(session: &mut Session, buffer: &mut Buffer) -> Option<Position> {
    let area = buffer.area;
    buffer.set_style(area, session.configuration.theme.text);
    if area.is_empty() {
        return None;
    }
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("too small: {}x{}", area.width, area.height);
        buffer.set_stringn(area.x, area.y, text, area.width.into(), Style::new());
        return None;
    }
    let below = bars::HEIGHT.min(area.height.saturating_sub(3));
    let top = Rect { height: 1, ..area };
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1 - below,
        ..area
    };
    let bottom = Rect {
        y: body.bottom(),
        height: below,
        ..area
    };
    bars::top(session, top, buffer);
    match session.state.view {
        View::Devices => devices::draw(session, body, buffer),
        View::Stack => stack::draw(session, body, buffer),
        View::Findings => findings::draw(session, body, buffer),
        View::Finding => finding::draw(session, body, buffer),
        View::Timeline => timeline::draw(session, body, buffer),
        View::Help => help::draw(session, body, buffer),
    }
    bars::bottom(session, bottom, buffer)
}

/// Writes a line into one row of an area.
fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    let Ok(row) = u16::try_from(row) else { return };
    if row < area.height {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// Writes lines from the top of an area on, as many as it has room for.
fn put_all<'a>(buffer: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = &'a Line<'a>>) {
    for (row, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        put(buffer, area, row, line);
    }
}

/// Marks a row as selected: with its style, and with a sign for screens that show none.
fn mark_selected(buffer: &mut Buffer, area: Rect, row: usize, theme: &Theme) {
    let Ok(row) = u16::try_from(row) else { return };
    if row >= area.height {
        return;
    }
    let line = Rect {
        y: area.y + row,
        height: 1,
        ..area
    };
    buffer.set_style(line, theme.selected);
    buffer.set_stringn(line.x, line.y, ">", 1, theme.selected);
}

/// Shows in the corner of an area that more lines follow.
fn tell_more(buffer: &mut Buffer, area: Rect, more: usize, theme: &Theme) {
    if more == 0 || area.height == 0 {
        return;
    }
    let words = format!(" {more} more lines ");
    let length = u16::try_from(words.len()).unwrap_or(0).min(area.width);
    buffer.set_stringn(
        area.right() - length,
        area.bottom() - 1,
        words,
        length.into(),
        theme.selected,
    );
}

/// A heading with a line to its right.
fn rule(title: &str, width: usize, theme: &Theme) -> Line<'static> {
    let signs = theme.signs;
    let title = super::text::shorten(title, width.saturating_sub(2), signs.cut);
    let used = super::text::width(&title);
    let rest = signs.across.repeat(width.saturating_sub(used + 1));
    Line::from(vec![
        ratatui::text::Span::styled(title, theme.heading),
        ratatui::text::Span::styled(format!(" {rest}"), theme.faint),
    ])
}
