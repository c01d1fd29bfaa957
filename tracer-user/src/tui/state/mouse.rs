//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{State, View, moment::scaled};
use crate::{
    event::Time,
    tui::{keymap::Action, world::World},
};

/// Lines that a turn of the wheel moves.
const WHEEL: isize = 3;

impl State {
    /// The mouse was moved, clicked or scrolled.
    pub fn mouse(&mut self, event: MouseEvent, world: &mut World) {
        let place = Position::new(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.scroll(-WHEEL, world),
            MouseEventKind::ScrollDown => self.scroll(WHEEL, world),
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left) => {
                let clicked = matches!(event.kind, MouseEventKind::Down(_));
                self.click(place, clicked, world);
            }
            _ => {}
        }
    }

    fn click(&mut self, place: Position, clicked: bool, world: &mut World) {
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
            let history = world.history();
            let span = history.end() - history.first();
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let position = history.first() + span * column / width;
            self.seek(position, world);
        } else if let Some((area, begin, end)) = self.areas.timeline
            && area.contains(place)
        {
            let column = u64::from(place.x - area.x);
            let width = u64::from(area.width.saturating_sub(1)).max(1);
            let time = Time(begin.0 + scaled(end.since(begin), column, width));
            let position = world.history().position_at(time);
            self.seek(position, world);
        } else if self.areas.list.contains(place) && clicked {
            let line = usize::from(place.y - self.areas.list.y);
            let view = self.view;
            let scroll = self.scroll_of_view();
            let target = scroll.top + line;
            match view {
                View::Finding | View::Help | View::Timeline => {}
                _ if target == scroll.cursor => {
                    self.act(Action::Open, world);
                }
                _ => {
                    scroll.cursor = target;
                    self.selected(world);
                }
            }
        }
    }

    pub(super) fn scroll(&mut self, lines: isize, world: &World) {
        self.scroll_of_view().by(lines);
        self.selected(world);
    }
}
