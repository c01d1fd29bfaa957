//! The events below the picture.

use ratatui::{buffer::Buffer, layout::Rect};

use super::super::{put, rule};
use crate::{
    escape::{Escaped, escape},
    model::InstanceKey,
    sink::text::words,
    tui::{
        Session,
        text::{Cells, duration},
    },
};

/// Columns for a task, and for a device, where the screen is not wide.
const NAME: usize = 16;
/// Events that are looked through for those of one device.
const MOST_EVENTS: u64 = 20_000;

/// Draws the events around the instant that is looked at.
pub(super) fn draw(session: &Session, one: Option<InstanceKey>, area: Rect, buffer: &mut Buffer) {
    if area.height < 3 {
        return;
    }
    let theme = session.configuration.theme;
    let history = session.playback.history();
    let position = session.playback.position();
    let title = "Events, the last one before this instant marked";
    put(
        buffer,
        area,
        0,
        &rule(title, usize::from(area.width), &theme),
    );
    let rows = usize::from(area.height - 1);
    let names = NAME.max(usize::from(area.width) / 8);
    let (shown, marked) = around(session, one, rows);
    let now = session.playback.now();
    for (row, at) in shown.into_iter().enumerate() {
        let Some(event) = history.event(at) else {
            continue;
        };
        let later = at > position;
        let style = if later { theme.faint } else { theme.text };
        let distance = if event.time >= now {
            format!("+{}", duration(event.time.since(now)))
        } else {
            format!("-{}", duration(now.since(event.time)))
        };
        let device = session
            .playback
            .model()
            .device(event.device)
            .map(|device| escape(device.name()))
            .unwrap_or_default();
        let task = format!("{}[{}]", Escaped(&event.task.comm.name()), event.task.tid);
        let mut cells = Cells::new(theme.signs.cut)
            .text(if marked == Some(at) { "> " } else { "  " }, theme.key)
            .right(&event.time.to_string(), 14, style)
            .right(&distance, 10, style)
            .left(&task, names, style);
        if one.is_none() {
            cells = cells.left(&device, names, style);
        }
        let text = words(&event.kind).unwrap_or_default();
        let line = cells.rest(&text, usize::from(area.width), style).line();
        put(buffer, area, row + 1, &line);
    }
}

/// The positions of the events that have room in so many rows, and of the last one before the instant.
fn around(session: &Session, one: Option<InstanceKey>, rows: usize) -> (Vec<u64>, Option<u64>) {
    let history = session.playback.history();
    let position = session.playback.position();
    let wanted = |position: &u64| {
        history.event(*position).is_some_and(|event| {
            one.is_none_or(|key| event.device == key.address) && words(&event.kind).is_some()
        })
    };
    let far = history.first().max(position.saturating_sub(MOST_EVENTS));
    let mut before: Vec<u64> = (far + 1..=position)
        .rev()
        .filter(wanted)
        .take(rows)
        .collect();
    before.reverse();
    let far = history.end().min(position.saturating_add(MOST_EVENTS));
    let after: Vec<u64> = (position + 1..=far).filter(wanted).take(rows).collect();
    let behind = before.len().min(rows - after.len().min(rows / 2));
    let marked = before.last().copied();
    let shown = before
        .split_off(before.len() - behind)
        .into_iter()
        .chain(after.into_iter().take(rows - behind))
        .collect();
    (shown, marked)
}
