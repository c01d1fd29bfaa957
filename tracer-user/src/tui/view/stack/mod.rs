//! The stack of one device: newest on top, groups as brackets, what is going and what has just gone.

mod columns;
mod items;
mod unwinding;
mod words;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{mark_selected, put, put_all, rule};
use crate::{
    escape::Escaped,
    finding::{self, text::telling},
    model::{Device, InstanceKey, Node, Origin},
    number::plural,
    tui::{
        Session,
        text::{Cells, shorten},
        theme::Theme,
        traces::FADE,
    },
};
use columns::Columns;
use items::{Item, items};
use unwinding::unwinding;
use words::name;

/// Which device, and what is to be said of it before its stack.
fn header(session: &Session, key: InstanceKey, width: usize) -> Vec<Line<'static>> {
    let theme = session.configuration.theme;
    let cut = theme.signs.cut;
    let mut lines = Vec::new();
    let row = session.playback.rows().of(key);
    let device = session.playback.device(key);
    let Some(row) = row else {
        return vec![Line::styled(
            shorten("the device is unknown at this time", width, cut),
            theme.faint,
        )];
    };
    let mut words = String::new();
    if row.driver.is_empty() {
        words.push_str("no driver");
    } else {
        words = format!("{words}driver {}", row.driver);
    }
    if !row.bus.is_empty() {
        words = format!("{words}, bus {}", row.bus);
    }
    words = format!(
        "{words}, {}",
        if row.gone.is_some() {
            "gone"
        } else {
            row.state.name()
        }
    );
    words = format!(
        "{words}: {} {}, {} bytes",
        row.resources,
        plural(row.resources, "resource", "resources"),
        row.bytes
    );
    if row.from_snapshot > 0 {
        words = format!("{words}, {} from the snapshot (s)", row.from_snapshot);
    }
    if device.is_some_and(|device| device.pm().detaches()) {
        words.push_str(", in a PM domain");
    }
    let name = if row.name.is_empty() {
        key.to_string()
    } else {
        row.name.clone()
    };
    lines.push(
        Cells::new(cut)
            .text(shorten(&name, width / 2, cut), theme.heading)
            .rest(&format!("  {words}"), width, theme.text)
            .line(),
    );
    for taint in device.into_iter().flat_map(Device::taints).take(3) {
        let text = format!("~ uncertain: {taint}");
        lines.push(Line::styled(shorten(&text, width, cut), theme.warning));
    }
    let history = session.playback.history();
    let position = session.playback.position();
    let found = history.found().on(key);
    for on in found.iter().filter(|on| on.first <= position).take(3) {
        let Some(finding) = history.findings().get(on.finding) else {
            continue;
        };
        let text = format!(
            "! {} {}: {}",
            finding.rule,
            on.severity.name(),
            Escaped(&finding.summary)
        );
        lines.push(Line::styled(
            shorten(&text, width, cut),
            theme.severity(on.severity),
        ));
    }
    lines
}

/// The stack of the selected device below the table of devices.
pub(super) fn preview(session: &Session, width: usize, height: usize) -> Vec<Line<'static>> {
    let theme = session.configuration.theme;
    let mut lines = vec![rule(
        "Stack of the selected device, newest on top",
        width,
        &theme,
    )];
    let Some(key) = session.state.device else {
        return lines;
    };
    lines.extend(header(session, key, width));
    let now = session.playback.now();
    let trace = session.playback.traces().of(key);
    let items = items(session.playback.device(key), trace, now, FADE);
    let story = trace
        .and_then(|trace| trace.unwinding.as_ref())
        .filter(|unwinding| unwinding.is_fresh(now));
    let room = height.saturating_sub(lines.len() + 1);
    // The stack and its unwinding share what is left.
    let story_lines = story.map_or(0, |story| story.steps.len() + 1);
    let story_room = if items.len() + story_lines <= room {
        story_lines
    } else {
        story_lines.min((room / 2).max(room.saturating_sub(items.len())))
    };
    let columns = Columns::of(width, &items);
    if items.is_empty() {
        lines.push(Line::styled("   it holds nothing", theme.faint));
    } else {
        lines.push(columns.heading(&theme));
        let shown = room.saturating_sub(story_room);
        let hidden = items.len().saturating_sub(shown);
        let shown = if hidden > 0 {
            shown.saturating_sub(1)
        } else {
            shown
        };
        for item in items.iter().take(shown) {
            lines.push(columns.item(item, now, &theme));
        }
        if hidden > 0 {
            lines.push(Line::styled(
                format!("   and {} below", items.len() - shown),
                theme.faint,
            ));
        }
    }
    if let Some(story) = story.filter(|_| story_room > 1) {
        lines.extend(unwinding(session, key, story, width, story_room));
    }
    lines
}

/// How many of the lines that are left go to what happened and to who added the selected resource: the resources get what
/// they need, but leave room for that.
fn room_below(left: u16, items: usize, story: usize) -> u16 {
    if left < 10 {
        return 0;
    }
    let needed = u16::try_from(items).unwrap_or(u16::MAX).max(3);
    let story = u16::try_from(story).unwrap_or(u16::MAX);
    left.saturating_sub(needed)
        .max((left / 2).min(story.saturating_add(8)))
}

/// The stack as the whole screen.
pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let width = usize::from(area.width);
    let Some(key) = session.state.device else {
        put(
            buffer,
            area,
            0,
            &Line::styled("no device is selected", theme.faint),
        );
        session.state.areas.list = area;
        return;
    };
    let now = session.playback.now();
    let trace = session.playback.traces().of(key);
    // Of a device that is gone the end stays in sight for as long as it is looked at.
    let is_gone = session
        .playback
        .rows()
        .of(key)
        .is_some_and(|row| row.gone.is_some());
    let fade = if is_gone { u64::MAX } else { FADE };
    let items = items(session.playback.device(key), trace, now, fade);
    let mut above = header(session, key, width);
    let columns = Columns::of(width, &items);
    above.push(columns.heading(&theme));
    put_all(buffer, area, &above);

    let story = trace
        .and_then(|trace| trace.unwinding.as_ref())
        .filter(|unwinding| is_gone || unwinding.is_fresh(now));
    let used = u16::try_from(above.len()).unwrap_or(u16::MAX);
    let left = area.height.saturating_sub(used);
    let below = room_below(
        left,
        items.len(),
        story.map_or(0, |story| story.steps.len() + 1),
    );
    let list = Rect {
        y: area.y + used.min(area.height),
        height: left - below,
        ..area
    };
    let mut scroll = session.state.stack;
    scroll.keep(items.len(), usize::from(list.height));
    for (row, item) in items
        .iter()
        .skip(scroll.top)
        .take(usize::from(list.height))
        .enumerate()
    {
        put(buffer, list, row, &columns.item(item, now, &theme));
    }
    if items.is_empty() {
        put(
            buffer,
            list,
            0,
            &Line::styled("   it holds nothing", theme.faint),
        );
    } else {
        mark_selected(buffer, list, scroll.cursor - scroll.top, &theme);
    }
    let pane = Rect {
        y: list.bottom(),
        height: below,
        ..area
    };
    let mut lines = Vec::new();
    let mut room = usize::from(pane.height);
    if let Some(story) = story {
        let wanted = story.steps.len() + 1;
        let call = items.get(scroll.cursor).and_then(Item::node).is_some();
        let share = if call { room * 2 / 3 } else { room };
        lines.extend(unwinding(session, key, story, width, wanted.min(share)));
        room -= lines.len().min(room);
    }
    if let Some(node) = items.get(scroll.cursor).and_then(Item::node) {
        lines.extend(call_stack(node, width, &theme).into_iter().take(room));
    }
    put_all(buffer, pane, &lines);
    session.state.stack = scroll;
    session.state.areas.list = list;
}

/// Who added a node, with the whole call stack.
fn call_stack(node: &Node, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let what = if node.kind().is_marker() {
        "the group".to_owned()
    } else {
        name(node)
    };
    if node.origin() != Origin::Seen {
        let title = format!("{what} is from before the trace: who added it is unknown");
        return vec![rule(&title, width, theme)];
    }
    let task = node.task();
    let title = format!(
        "{what}, {}, added by {}[{}] at {} while {}",
        node.kind().name(),
        Escaped(&task.comm.name()),
        task.tid,
        node.added(),
        node.phase()
    );
    let mut lines = vec![rule(&title, width, theme)];
    if let Some(context) = node.context() {
        let device = context.name.as_deref().unwrap_or("an unnamed device");
        lines.push(Line::styled(
            shorten(
                &format!("   in {} of {}", context.hook.symbol(), Escaped(device)),
                width,
                theme.signs.cut,
            ),
            theme.text,
        ));
    }
    let frames = node.stack().map(finding::frames).unwrap_or_default();
    if frames.is_empty() {
        lines.push(Line::styled("   no call stack was recorded", theme.faint));
    }
    let told = telling(&frames).to_vec();
    for frame in &frames {
        let style = if told.contains(frame) {
            theme.function
        } else {
            theme.faint
        };
        lines.push(Line::from(Span::styled(
            shorten(&format!("   {}", Escaped(frame)), width, theme.signs.cut),
            style,
        )));
    }
    lines
}
