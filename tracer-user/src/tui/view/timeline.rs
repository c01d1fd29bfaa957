//! What ran when: functions as nested spans, additions and releases as marks on them.

mod events;

use hashbrown::HashMap;
use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::{put, rule};
use crate::{
    event::{Hook, Time},
    finding::Severity,
    model::InstanceKey,
    tui::{
        Session,
        text::{duration, fit, fit_right, width},
        theme::Theme,
        timeline::{Mark, MarkKind, Span},
    },
};

/// Columns for what a lane is of.
const LABEL: u16 = 20;
/// Below this height there are no events below the lanes.
const BOTH: u16 = 14;
/// Spans that are looked at for one picture. More could not be told apart.
const MOST_SPANS: usize = 200_000;
/// Devices that have lanes, those that came first. Nobody scrolls through more.
const MOST_DEVICES: usize = 1000;

/// One line of the picture.
enum Lane<'a> {
    Spans { label: String, spans: Vec<&'a Span> },
    Marks { label: String, marks: Vec<&'a Mark> },
}

/// How time becomes columns.
#[derive(Clone, Copy)]
struct Scale {
    begin: Time,
    end: Time,
    width: u16,
}

impl Scale {
    /// The column of a time; `None` outside of what is shown.
    fn column(self, time: Time) -> Option<u16> {
        (time >= self.begin && time <= self.end).then(|| self.clamped(time))
    }

    fn clamped(self, time: Time) -> u16 {
        let length = u128::from(self.end.since(self.begin).max(1));
        let since = u128::from(time.since(self.begin)).min(length);
        let last = self.width.saturating_sub(1);
        u16::try_from(since * u128::from(last) / length).unwrap_or(last)
    }
}

pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let (begin, end) = session.state.shown_time(&session.playback);
    let one = session.state.device.filter(|_| !session.state.all_devices);
    let of = one.map_or_else(|| "all devices".to_owned(), |key| name(session, key));
    let title = format!(
        "Timeline of {of}: {} from {begin} to {end}",
        duration(end.since(begin))
    );
    let title = rule(&title, usize::from(area.width), &theme);
    put(buffer, area, 0, &title);
    let label = LABEL.max(area.width / 8).min(area.width / 4);
    let plot = Rect {
        x: area.x + label,
        width: area.width.saturating_sub(label),
        ..area
    };
    let scale = Scale {
        begin,
        end,
        width: plot.width,
    };
    let top = Rect {
        y: area.y + 1,
        height: 1,
        ..plot
    };
    put(buffer, top, 0, &axis(scale, &theme));
    let lanes = lanes(session, one, scale);
    let below = height_below(area, lanes.len());
    let list = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(2 + below),
        ..area
    };
    let mut scroll = session.state.timeline;
    scroll.keep_text(lanes.len(), usize::from(list.height));
    for (row, lane) in (0..list.height).zip(lanes.iter().skip(scroll.top)) {
        let line = Rect {
            y: list.y + row,
            height: 1,
            ..list
        };
        draw_lane(buffer, line, label, lane, scale, &theme);
    }
    if lanes.is_empty() {
        let text = "   no events in this time";
        put(buffer, list, 0, &Line::styled(text, theme.faint));
    }
    if let Some(column) = scale.column(session.playback.now()) {
        draw_now(buffer, plot.x + column, list, &theme);
    }
    let pane = Rect {
        y: list.bottom(),
        height: below,
        ..area
    };
    events::draw(session, one, pane, buffer);
    session.state.timeline = scroll;
    session.state.areas.list = Rect::default();
    let picture = Rect {
        y: area.y + 1,
        height: list.height + 1,
        ..plot
    };
    session.state.areas.timeline = Some((picture, begin, end));
}

/// The device's name, or its address where the name is not known.
fn name(session: &Session, key: InstanceKey) -> String {
    let row = session.playback.rows().of(key);
    row.map_or_else(|| key.to_string(), |row| row.name.clone())
}

/// How many lines the events below the lanes get.
fn height_below(area: Rect, lanes: usize) -> u16 {
    if area.height < BOTH {
        return 0;
    }
    let wanted = u16::try_from(lanes).unwrap_or(u16::MAX).saturating_add(1);
    (area.height - 2)
        .saturating_sub(wanted)
        .max(area.height / 3)
}

/// The line at the instant that is shown.
fn draw_now(buffer: &mut Buffer, column: u16, list: Rect, theme: &Theme) {
    for y in list.y..list.bottom() {
        let cell = &mut buffer[(column, y)];
        if cell.symbol() == " " {
            cell.set_symbol(theme.signs.down);
        }
        cell.set_style(theme.key);
    }
}

/// Times along the top.
fn axis(scale: Scale, theme: &Theme) -> Line<'static> {
    let columns = usize::from(scale.width);
    let length = scale.end.since(scale.begin);
    let left = format!("{}", scale.begin);
    let right = format!("+{}", duration(length));
    let middle = format!("+{}", duration(length / 2));
    let half = columns / 2;
    let first = fit(&left, half, theme.signs.cut);
    let second = if width(&middle) + width(&right) + 2 < columns - half {
        format!(
            "{middle}{}",
            fit_right(&right, columns - half - width(&middle), theme.signs.cut)
        )
    } else {
        fit_right(&right, columns - half, theme.signs.cut)
    };
    Line::styled(first + &second, theme.faint)
}

/// The lanes from the top down: of one device by thread, of all by device.
fn lanes(session: &Session, one: Option<InstanceKey>, scale: Scale) -> Vec<Lane<'_>> {
    let timeline = session.playback.history().timeline();
    let now = session.playback.now();
    let shown = |span: &&Span| {
        one.is_none_or(|key| span.device == key)
            && span.begin <= scale.end
            && span.end.unwrap_or(now).max(span.begin) >= scale.begin
    };
    let spans = timeline.spans().rev().filter(shown).take(MOST_SPANS);
    let spans: Vec<&Span> = spans.collect();
    let mut parts = Parts::default();
    for span in spans.into_iter().rev() {
        let thread = if one.is_some() { span.tid } else { 0 };
        if let Some(part) = parts.of(span.device, thread) {
            part.spans.push(span);
        }
    }
    for mark in timeline.marks(scale.begin, scale.end) {
        if one.is_some_and(|key| mark.device != key) {
            continue;
        }
        // Marks of one device have one lane, whatever thread they are of.
        let thread = if one.is_some() { u32::MAX } else { 0 };
        if let Some(part) = parts.of(mark.device, thread) {
            part.marks.push(mark);
        }
    }
    let mut lanes = Vec::new();
    for part in parts.parts {
        part.put_lanes(session, one.is_some(), &mut lanes);
    }
    lanes
}

/// What belongs together, in the order in which it first appears.
#[derive(Default)]
struct Parts<'a> {
    places: HashMap<(InstanceKey, u32), usize>,
    parts: Vec<Part<'a>>,
}

impl<'a> Parts<'a> {
    /// The part of a device and thread; `None` where there are too many.
    fn of(&mut self, device: InstanceKey, thread: u32) -> Option<&mut Part<'a>> {
        let count = self.parts.len();
        let place = match self.places.get(&(device, thread)) {
            Some(place) => *place,
            None if count >= MOST_DEVICES => return None,
            None => {
                self.places.insert((device, thread), count);
                self.parts.push(Part {
                    device,
                    thread,
                    spans: Vec::new(),
                    marks: Vec::new(),
                });
                count
            }
        };
        self.parts.get_mut(place)
    }
}

/// What one device did, or one thread on it.
struct Part<'a> {
    device: InstanceKey,
    thread: u32,
    spans: Vec<&'a Span>,
    marks: Vec<&'a Mark>,
}

impl<'a> Part<'a> {
    /// A lane for each depth of calls, and one for the marks. `alone`: no other device is shown.
    fn put_lanes(self, session: &Session, alone: bool, lanes: &mut Vec<Lane<'a>>) {
        let depths = self.spans.iter().map(|span| span.depth);
        let least = depths.clone().min().unwrap_or(0);
        let deepest = depths.max().unwrap_or(0);
        for depth in least..=deepest {
            let of_depth = self.spans.iter().filter(|span| span.depth == depth);
            let spans: Vec<&Span> = of_depth.copied().collect();
            if spans.is_empty() {
                continue;
            }
            let label = match (depth == least, alone) {
                (true, true) => format!("thread {}", self.thread),
                (true, false) => name(session, self.device),
                (false, _) => String::new(),
            };
            lanes.push(Lane::Spans { label, spans });
        }
        if self.marks.is_empty() {
            return;
        }
        let label = if alone {
            "added, released".to_owned()
        } else if self.spans.is_empty() {
            name(session, self.device)
        } else {
            String::new()
        };
        lanes.push(Lane::Marks {
            label,
            marks: self.marks,
        });
    }
}

/// Draws one lane: what it is of in the first columns, and its spans or marks behind.
fn draw_lane(
    buffer: &mut Buffer,
    place: Rect,
    label: u16,
    drawn: &Lane<'_>,
    scale: Scale,
    theme: &Theme,
) {
    let (Lane::Spans { label: name, .. } | Lane::Marks { label: name, .. }) = drawn;
    let name = fit(name, usize::from(label).saturating_sub(1), theme.signs.cut);
    buffer.set_stringn(place.x, place.y, name, usize::from(label), theme.text);
    let plot = Rect {
        x: place.x + label,
        width: place.width - label,
        ..place
    };
    match drawn {
        Lane::Spans { spans, .. } => draw_spans(buffer, plot, spans, scale, theme),
        Lane::Marks { marks, .. } => draw_marks(buffer, plot, marks, scale, theme),
    }
}

fn draw_spans(buffer: &mut Buffer, line: Rect, spans: &[&Span], scale: Scale, theme: &Theme) {
    let signs = theme.signs;
    for span in spans {
        let style = span_style(span.hook, theme);
        let first = scale.clamped(span.begin);
        let last = span
            .end
            .map_or(scale.width.saturating_sub(1), |end| scale.clamped(end))
            .max(first);
        let length = (last - first).saturating_add(1);
        let x = line.x + first;
        if length == 1 {
            let cell = &mut buffer[(x, line.y)];
            let sign = if cell.symbol() == " " {
                signs.down
            } else {
                signs.several
            };
            cell.set_symbol(sign).set_style(style);
            continue;
        }
        for column in first..=last {
            let sign = if column == first && span.begin >= scale.begin {
                signs.span_begin
            } else if column == last && span.end.is_some_and(|end| end <= scale.end) {
                signs.span_end
            } else {
                signs.span
            };
            buffer[(line.x + column, line.y)]
                .set_symbol(sign)
                .set_style(style);
        }
        let name = span_name(span.hook);
        let room = usize::from(length.saturating_sub(2));
        if room >= 4 {
            let name = super::super::text::shorten(name, room, signs.cut);
            buffer.set_stringn(x + 1, line.y, name, room, style);
        }
    }
}

fn draw_marks(buffer: &mut Buffer, line: Rect, marks: &[&Mark], scale: Scale, theme: &Theme) {
    let signs = theme.signs;
    for mark in marks {
        let Some(column) = scale.column(mark.time) else {
            continue;
        };
        let (sign, style) = match mark.kind {
            MarkKind::Added => ("+", theme.added),
            MarkKind::Released => ("-", theme.released),
            MarkKind::Removed => ("-", theme.faint),
            MarkKind::Vanished => ("?", theme.faint),
            MarkKind::Called(Hook::Bound) => ("B", theme.key),
            MarkKind::Called(Hook::OpenGroup) => ("(", theme.group),
            MarkKind::Called(Hook::CloseGroup) => (")", theme.group),
            // The addition itself follows; and findings are drawn last, so that nothing hides them.
            MarkKind::Called(Hook::DevresAdd) | MarkKind::Found(_) => continue,
            MarkKind::Called(_) => (".", theme.text),
        };
        let cell = &mut buffer[(line.x + column, line.y)];
        let same = cell.symbol() == " " || cell.symbol() == sign;
        cell.set_symbol(if same { sign } else { signs.several })
            .set_style(style);
    }
    let mut found: Vec<(Severity, u16)> = marks
        .iter()
        .filter_map(|mark| match mark.kind {
            MarkKind::Found(severity) => Some((severity, scale.column(mark.time)?)),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    for (severity, column) in found {
        buffer[(line.x + column, line.y)]
            .set_symbol("!")
            .set_style(theme.severity(severity));
    }
}

fn span_style(hook: Hook, theme: &Theme) -> Style {
    match hook {
        Hook::Probe | Hook::PmAttach => theme.added,
        Hook::PmDetach => theme.warning,
        Hook::ReleaseAll | Hook::ReleaseGroup | Hook::Release | Hook::ReleaseAction => {
            theme.released
        }
        _ => theme.info,
    }
}

fn span_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Probe => "probe",
        Hook::Unbind => "unbind",
        Hook::Remove => "remove",
        Hook::Cleanup => "cleanup",
        Hook::PmAttach => "PM attach",
        Hook::PmDetach => "PM detach",
        Hook::ReleaseAll => "release all",
        Hook::ReleaseGroup => "release group",
        Hook::Delete => "delete",
        Hook::FinalPut => "last put",
        other => other.symbol(),
    }
}
