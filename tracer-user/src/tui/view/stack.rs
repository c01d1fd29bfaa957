//! The stack of one device: newest on top, groups as brackets, what is going and what has just gone.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{mark_selected, put, put_all, rule};
use crate::{
    escape::{Escaped, escape},
    event::{GroupId, Time},
    finding::{self, label, text::telling},
    model::{Device, InstanceKey, Kind, Node, Origin},
    tui::{
        Session,
        text::{Cells, bytes, duration, milliseconds, plural, shorten},
        theme::Theme,
        traces::{FADE, Ghost, Step, Trace, Unwinding, Went},
    },
};

/// One line of the stack.
enum Item<'a> {
    /// A group is open: what is added now belongs to it.
    OpenTop { depth: usize, id: GroupId },
    /// A group ends here.
    Close { depth: usize, id: GroupId },
    /// A group begins here.
    Begin {
        depth: usize,
        id: GroupId,
        open: bool,
        node: &'a Node,
    },
    /// A resource.
    Resource { depth: usize, node: &'a Node },
    /// A resource that a running release has still to release: the first of them is the next.
    Releasing { turn: usize, node: &'a Node },
    /// A resource that has just gone.
    Gone(&'a Ghost),
}

impl<'a> Item<'a> {
    fn node(&self) -> Option<&'a Node> {
        match self {
            Self::OpenTop { .. } | Self::Close { .. } => None,
            Self::Begin { node, .. }
            | Self::Resource { node, .. }
            | Self::Releasing { node, .. } => Some(node),
            Self::Gone(ghost) => Some(&ghost.node),
        }
    }

    /// The columns that its name takes, with what stands before it; none for what has a line of its own.
    fn name_width(&self) -> usize {
        match self {
            Self::OpenTop { .. } | Self::Close { .. } | Self::Begin { .. } => 0,
            Self::Resource { depth, node } => 2 * depth + super::super::text::width(&name(node)),
            Self::Releasing { turn, node } => {
                format!("{}. ", turn + 1).len() + super::super::text::width(&name(node))
            }
            Self::Gone(ghost) => super::super::text::width(&name(&ghost.node)),
        }
    }
}

/// The stack from the top down.
fn items<'a>(
    device: Option<Device<'a>>,
    trace: Option<&'a Trace>,
    now: Time,
    fade: u64,
) -> Vec<Item<'a>> {
    let mut ghosts: Vec<&Ghost> = trace
        .into_iter()
        .flat_map(|trace| &trace.ghosts)
        .filter(|ghost| now.since(ghost.at) < fade && ghost.node.kind() != Kind::GroupClose)
        .collect();
    ghosts.sort_by_key(|ghost| ghost.node.sequence());
    let mut items = Vec::new();
    let Some(device) = device else {
        items.extend(ghosts.into_iter().rev().map(Item::Gone));
        return items;
    };
    let groups: Vec<_> = device.groups().collect();
    let mut depth = 0;
    for (id, _, _) in groups.iter().rev().filter(|(_, _, close)| close.is_none()) {
        items.push(Item::OpenTop { depth, id: *id });
        depth += 1;
    }
    let mut on_list = device.nodes().rev().peekable();
    let mut releasing = device.releasing().rev().enumerate().peekable();
    loop {
        let place = |node: Option<&Node>| node.map_or(0, Node::sequence);
        let ghost = place(ghosts.last().map(|ghost| &ghost.node));
        let listed = place(on_list.peek().map(|(_, node)| *node));
        let going = place(releasing.peek().map(|(_, (_, node))| *node));
        if ghost > listed && ghost > going {
            items.extend(ghosts.pop().map(Item::Gone));
        } else if listed > 0 && listed >= going {
            let Some((id, node)) = on_list.next() else {
                break;
            };
            let opens = groups.iter().find(|(_, open, _)| *open == id);
            let closes = groups.iter().find(|(_, _, close)| *close == Some(id));
            if let Some((id, _, _)) = closes {
                items.push(Item::Close { depth, id: *id });
                depth += 1;
            } else if let Some((id, _, close)) = opens {
                depth = depth.saturating_sub(1);
                items.push(Item::Begin {
                    depth,
                    id: *id,
                    open: close.is_none(),
                    node,
                });
            } else {
                items.push(Item::Resource { depth, node });
            }
        } else if let Some((turn, (_, node))) = releasing.next() {
            items.push(Item::Releasing { turn, node });
        } else if on_list.peek().is_none() && ghosts.is_empty() {
            break;
        } else {
            items.extend(ghosts.pop().map(Item::Gone));
            // What has no place in the order comes last.
            if let Some((_, node)) = on_list.next() {
                items.push(Item::Resource { depth, node });
            }
        }
    }
    items
}

/// The widths of the columns.
struct Columns {
    width: usize,
    name: usize,
}

const LEAST_NAME: usize = 12;
/// Lines whose names say how wide their column is.
const MOST_MEASURED: usize = 500;
const SIZE: usize = 6;
const AGE: usize = 9;
const PHASE: usize = 9;

impl Columns {
    /// As wide as the names are, as far as that leaves room for who added them.
    fn of(width: usize, items: &[Item<'_>]) -> Self {
        let longest = items.iter().take(MOST_MEASURED).map(Item::name_width).max();
        let longest = longest.unwrap_or(0);
        Self {
            width,
            name: longest.clamp(LEAST_NAME, (width * 2 / 5).max(LEAST_NAME)),
        }
    }

    fn heading(&self, theme: &Theme) -> Line<'static> {
        Cells::new(theme.signs.cut)
            .text("   ", theme.heading)
            .left("RESOURCE", self.name, theme.heading)
            .right("BYTES", SIZE, theme.heading)
            .right("AGE", AGE, theme.heading)
            .left("ADDED IN", PHASE, theme.heading)
            .rest("ADDED BY", self.width, theme.heading)
            .line()
    }

    fn item(&self, item: &Item<'_>, now: Time, theme: &Theme) -> Line<'static> {
        let signs = theme.signs;
        let cells = Cells::new(signs.cut);
        let bars = |depth: usize| format!("   {}", format!("{} ", signs.down).repeat(depth));
        match item {
            Item::OpenTop { depth, id } => cells
                .text(bars(*depth), theme.group)
                .rest(
                    &format!(
                        "{} group {:#x} is open: new resources belong to it",
                        signs.top, id.0
                    ),
                    self.width,
                    theme.warning,
                )
                .line(),
            Item::Close { depth, id } => cells
                .text(bars(*depth), theme.group)
                .rest(
                    &format!("{} group {:#x}, closed", signs.top, id.0),
                    self.width,
                    theme.group,
                )
                .line(),
            Item::Begin {
                depth,
                id,
                open,
                node,
            } => {
                let state = if *open { "open" } else { "closed" };
                let words = format!(
                    "{} group {:#x} {state}, opened {} by {}",
                    signs.bottom,
                    id.0,
                    age(node, now),
                    who(node)
                );
                cells
                    .text(bars(*depth), theme.group)
                    .rest(&words, self.width, theme.group)
                    .line()
            }
            Item::Resource { depth, node } => {
                let mark = if node.origin() == Origin::Seen {
                    "   "
                } else {
                    " s "
                };
                let indent = format!("{} ", signs.down).repeat(*depth);
                self.resource(
                    cells.text(mark, theme.faint),
                    &indent,
                    node,
                    now,
                    theme,
                    theme.text,
                )
            }
            Item::Releasing { turn, node } => {
                let mark = if *turn == 0 { signs.arrow } else { "" };
                let mark = format!("{mark:>2} ");
                let number = format!("{}. ", turn + 1);
                self.resource(
                    cells.text(mark, theme.released),
                    &number,
                    node,
                    now,
                    theme,
                    theme.released,
                )
            }
            Item::Gone(ghost) => self.ghost(cells, ghost, now, theme),
        }
    }

    fn resource(
        &self,
        cells: Cells,
        indent: &str,
        node: &Node,
        now: Time,
        theme: &Theme,
        style: Style,
    ) -> Line<'static> {
        let name = format!("{indent}{}", name(node));
        let phase = if node.origin() == Origin::Seen {
            node.phase().name()
        } else {
            "before"
        };
        cells
            .left(&name, self.name, style)
            .right(&size(node), SIZE, style)
            .right(&age(node, now), AGE, style)
            .left(phase, PHASE, style)
            .rest(&who(node), self.width, theme.function)
            .line()
    }

    fn ghost(&self, cells: Cells, ghost: &Ghost, now: Time, theme: &Theme) -> Line<'static> {
        let since = now.since(ghost.at);
        // Fresh ones still have their colour.
        let style = if since < FADE / 5 {
            theme.released
        } else {
            theme.faint
        };
        let (mark, went) = match ghost.went {
            Went::Released => (theme.signs.done, "released"),
            Went::Removed => ("-", "removed"),
            Went::Vanished => ("?", "vanished"),
        };
        let name = if ghost.node.kind().is_marker() {
            "group".to_owned()
        } else {
            name(&ghost.node)
        };
        cells
            .text(format!("{mark:>2} "), style)
            .left(&name, self.name, style)
            .right(&size(&ghost.node), SIZE, style)
            .right("", AGE, style)
            .rest(
                &format!("{went} {} ago", duration(since)),
                self.width,
                style,
            )
            .line()
    }
}

fn name(node: &Node) -> String {
    let mut name = escape(label(node));
    if let Some(function) = node.function() {
        let function = function.to_string();
        let plain = function.split(' ').next().unwrap_or_default();
        if name != plain && matches!(node.kind(), Kind::Action(_)) {
            name = format!("{name} = {}", Escaped(&function));
        }
    }
    name
}

fn size(node: &Node) -> String {
    node.size().map(bytes).unwrap_or_default()
}

fn age(node: &Node, now: Time) -> String {
    if node.origin() == Origin::Seen {
        duration(now.since(node.added()))
    } else {
        format!(">{}", duration(now.since(node.added())))
    }
}

/// Who added a node: the frame of its call stack that tells.
fn who(node: &Node) -> String {
    if node.origin() != Origin::Seen {
        return "unknown: from before the trace".to_owned();
    }
    let frames = node.stack().map(finding::frames).unwrap_or_default();
    let task = node.task();
    telling(&frames).first().map_or_else(
        || format!("{}[{}]", Escaped(&task.comm.name()), task.tid),
        |frame| escape(frame),
    )
}

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

/// The last unwinding of a device, step by step, in at most `height` lines.
fn unwinding(
    session: &Session,
    key: InstanceKey,
    unwinding: &Unwinding,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let theme = session.configuration.theme;
    let signs = theme.signs;
    let length = match unwinding.ended {
        Some(ended) => format!("over after {}", milliseconds(ended.since(unwinding.began))),
        None => "is running".to_owned(),
    };
    let title = format!(
        "Unwinding by {} at {}: {length}",
        Escaped(&unwinding.task),
        unwinding.began
    );
    let mut lines = vec![rule(&title, width, &theme)];
    let room = height.saturating_sub(1);
    // A step is wrong already at the time when nobody had found it yet.
    let history = session.playback.history();
    for shown in chosen(unwinding, room) {
        let step = match shown {
            Shown::Step(step) => step,
            Shown::Hidden(count) => {
                lines.push(Line::styled(
                    format!("   {count} more {}", plural(count, "step", "steps")),
                    theme.faint,
                ));
                continue;
            }
        };
        let since = milliseconds(step.time.since(unwinding.began));
        let early = step.still_held.filter(|held| *held > 0);
        let blamed = early.and_then(|_| {
            let number = history.found().at_step(key, step.time)?;
            let finding = history.findings().get(number)?;
            Some((finding.rule, finding.severity))
        });
        let (mark, style) = match blamed {
            Some((_, severity)) => (signs.wrong, theme.severity(severity)),
            None if step.release => (signs.done, theme.released),
            None => (" ", theme.text),
        };
        let mut what = escape(&step.what);
        if let Some(held) = early {
            what = format!(
                "{what}, {held} {} still held",
                plural(held, "resource", "resources")
            );
        }
        if let Some((rule, _)) = blamed {
            what = format!("{rule}: {what}");
        }
        lines.push(
            Cells::new(signs.cut)
                .text(format!("{mark:>2} "), style)
                .right(&since, 14, theme.faint)
                .rest(&what, width, style)
                .line(),
        );
    }
    if unwinding.more > 0 {
        lines.push(Line::styled(
            format!("   {} more steps", unwinding.more),
            theme.faint,
        ));
    }
    lines
}

/// A step of an unwinding, or that some are left out.
enum Shown<'a> {
    Step(&'a Step),
    Hidden(usize),
}

/// At most `room` lines of an unwinding: the steps in which something came before what it should come after,
/// and the last ones.
fn chosen(unwinding: &Unwinding, room: usize) -> Vec<Shown<'_>> {
    let steps = &unwinding.steps;
    if steps.len() <= room {
        return steps.iter().map(Shown::Step).collect();
    }
    let early: Vec<usize> = (0..steps.len())
        .filter(|at| {
            steps
                .get(*at)
                .is_some_and(|step| step.still_held.is_some_and(|held| held > 0))
        })
        .take(room / 2)
        .collect();
    // Each gap may need a line that tells of it.
    let last = room.saturating_sub(2 * early.len() + 1).max(1);
    let mut shown = Vec::new();
    let mut hidden = 0;
    for (at, step) in steps.iter().enumerate() {
        if early.contains(&at) || at + last >= steps.len() {
            if hidden > 0 {
                shown.push(Shown::Hidden(std::mem::take(&mut hidden)));
            }
            shown.push(Shown::Step(step));
        } else {
            hidden += 1;
        }
    }
    shown
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
    // The resources get what they need, but leave room for what happened and for who added the selected one.
    let needed = u16::try_from(items.len()).unwrap_or(u16::MAX).max(3);
    let story_needs = story.map_or(0, |story| story.steps.len() + 1);
    let story_needs = u16::try_from(story_needs).unwrap_or(u16::MAX);
    let below = if left < 10 {
        0
    } else {
        let least = left / 2;
        left.saturating_sub(needed)
            .max(least.min(story_needs.saturating_add(8)))
    };
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
