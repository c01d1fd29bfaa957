//! A session without a terminal, and its screen as text.

use std::{io::BufReader, ops::ControlFlow};

use devres_tracer::{
    event::Event,
    evidence::{Coverage, SourceInformation},
    rules::RuleSet,
    source::recording::Recording,
    tui::{Session, Sight, configuration::Configuration, theme::Ability},
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

/// What `devres-tracer demo` shows.
const DEMO: &[u8] = include_bytes!("../../demo/pvpanic-6.1.dvrt");

pub(crate) fn demo() -> Session {
    demo_on(Ability::full())
}

pub(crate) fn demo_on(ability: Ability) -> Session {
    let reader = Box::new(BufReader::new(DEMO));
    let mut recording = Recording::read(reader, "pvpanic-6.1.dvrt".to_owned()).unwrap();
    let mut session = Session::new(
        Sight::Recording("pvpanic-6.1.dvrt".to_owned()),
        recording.information().clone(),
        RuleSet::checked(),
        Configuration::new(ability),
    );
    recording
        .for_each(|event| {
            session.take(event.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    session.end();
    session
}

pub(crate) fn of_events(sight: Sight, coverage: Coverage, events: &[Event]) -> Session {
    let is_live = sight == Sight::Live;
    let mut session = Session::new(
        sight,
        SourceInformation {
            tool: "test".to_owned(),
            kernel: Some("6.1.0-test".to_owned()),
            machine: None,
            coverage,
            filters: Vec::new(),
        },
        RuleSet::checked(),
        Configuration::new(Ability::full()),
    );
    for event in events {
        session.take(event.clone());
    }
    if !is_live {
        session.end();
    }
    session
}

/// A live session that holds only the last of many events.
pub(crate) fn short<'a>(events: impl Iterator<Item = &'a Event>) -> Session {
    let mut configuration = Configuration::new(Ability::full());
    configuration.history = 20_000;
    let mut session = Session::new(
        Sight::Live,
        SourceInformation {
            tool: "test".to_owned(),
            kernel: None,
            machine: None,
            coverage: crate::support::whole(),
            filters: Vec::new(),
        },
        RuleSet::checked(),
        configuration,
    );
    for event in events {
        session.take(event.clone());
    }
    session
}

pub(crate) fn buffer(session: &mut Session, width: u16, height: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    session.draw(&mut buffer);
    buffer
}

/// The screen as lines of text, without blanks at their ends.
pub(crate) fn text(session: &mut Session, width: u16, height: u16) -> String {
    let buffer = buffer(session, width, height);
    let mut text = String::new();
    for y in 0..height {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol).max(1)).unwrap();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The style of the first place where `wanted` stands.
pub(crate) fn style_of(buffer: &Buffer, wanted: &str) -> Option<Style> {
    let area = buffer.area;
    for y in 0..area.height {
        let line: Vec<&str> = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        if let Some(at) = line.concat().find(wanted) {
            // Columns and bytes are the same only in front of what is not ASCII.
            let column = line.concat()[..at].chars().count();
            let cell = &buffer[(u16::try_from(column).unwrap(), y)];
            return Some(Style {
                add_modifier: cell.modifier,
                sub_modifier: Modifier::empty(),
                ..Style::new().fg(cell.fg).bg(cell.bg)
            });
        }
    }
    None
}
