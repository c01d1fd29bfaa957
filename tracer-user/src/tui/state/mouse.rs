//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{State, View};
use crate::{
    event::Time,
    tui::{keymap::Action, playback::Playback, state::navigation::scaled},
};

/// Lines that a turn of the wheel moves.
const WHEEL: isize = 3;

impl State {
    /// The mouse was moved, clicked or scrolled.
    pub fn mouse(&mut self, event: MouseEvent, playback: &mut Playback) {
        let place = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.scroll(-WHEEL, playback),
            MouseEventKind::ScrollDown => self.scroll(WHEEL, playback),
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left) => {
                let clicked = matches!(event.kind, MouseEventKind::Down(_));
                self.click(place, clicked, playback);
            }
            _ => {}
        }
    }

    fn click(&mut self, place: Position, clicked: bool, playback: &mut Playback) {
        let tab = self
            .areas
            .tabs
            .iter()
            .find(|(area, _)| area.contains(place));
        if let Some((_, view)) = tab.filter(|_| clicked) {
            let view = *view;
            self.go(view);
        } else if self.areas.scrub.contains(place) {
            let area = self.areas.scrub;
            let history = playback.history();
            let span = history.end() - history.first();
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let position = history.first() + span * column / width;
            self.seek(position, playback);
        } else if let Some((area, begin, end)) = self.areas.timeline
            && area.contains(place)
        {
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let time = Time(begin.0 + scaled(end.since(begin), column, width));
            let position = playback.history().position_at(time);
            self.seek(position, playback);
        } else if self.areas.list.contains(place) && clicked {
            let line = usize::from(place.y - self.areas.list.y);
            let view = self.view;
            let scroll = self.scroll_of_view();
            let target = scroll.top + line;
            match view {
                View::Finding | View::Help | View::Timeline => {}
                _ if target == scroll.cursor => {
                    self.act(Action::Open, playback);
                }
                _ => {
                    scroll.cursor = target;
                    self.selected(playback);
                }
            }
        }
    }

    pub(super) fn scroll(&mut self, lines: isize, playback: &Playback) {
        self.scroll_of_view().by(lines);
        self.selected(playback);
    }
}
