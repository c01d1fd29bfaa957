//! The table of devices, with the stack of the selected one below or beside it.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::{mark_selected, put, put_all, stack};
use crate::{
    escape::escape,
    event::Time,
    finding::Severity,
    number::{grouped, plural},
    tui::{
        Session,
        row::Row,
        rows::Widths,
        text::{Cells, bytes, duration},
        theme::Theme,
    },
};

/// From this width on the stack has its place at the right.
const SIDE_BY_SIDE: u16 = 170;
/// The least columns of the table in that case.
const TABLE_WIDTH: u16 = 84;
/// Below this height there is only the table.
const BOTH: u16 = 14;

pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let shown = session.playback.rows().shown().len();
    let (table, preview) = if area.width >= SIDE_BY_SIDE {
        let width = TABLE_WIDTH.max(area.width / 2);
        (
            Rect { width, ..area },
            Some(Rect {
                x: area.x + width + 1,
                width: area.width - width - 1,
                ..area
            }),
        )
    } else if area.height >= BOTH {
        let rows = u16::try_from(shown).unwrap_or(u16::MAX).saturating_add(3);
        let most = u16::try_from(u32::from(area.height) * 9 / 20).unwrap_or(u16::MAX);
        let height = rows.clamp(5, most.max(5));
        (
            Rect { height, ..area },
            Some(Rect {
                y: area.y + height,
                height: area.height - height,
                ..area
            }),
        )
    } else {
        (area, None)
    };
    table_of(session, table, buffer);
    if let Some(preview) = preview {
        let lines = stack::preview(
            session,
            usize::from(preview.width),
            usize::from(preview.height),
        );
        put_all(buffer, preview, &lines);
    }
}

fn table_of(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let rows = session.playback.rows();
    put(buffer, area, 0, &title(session, usize::from(area.width)));
    let columns = Columns::of(usize::from(area.width), rows.widths());
    put(buffer, area, 1, &columns.heading(&theme));
    let list = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(2),
        ..area
    };
    let height = usize::from(list.height);
    let mut scroll = session.state.devices;
    scroll.keep(rows.shown().len(), height);
    if rows.shown().is_empty() {
        let text = if rows.count() == 0 {
            "no events yet"
        } else if rows.choice().filter.is_empty() && !rows.choice().only_findings {
            "no device holds devres resources, and nothing happened"
        } else {
            "no device matches"
        };
        put(
            buffer,
            list,
            0,
            &Line::styled(format!("  {text}"), theme.faint),
        );
    }
    let now = session.playback.now();
    for place in 0..height {
        let Some(row) = rows.at(scroll.top + place) else {
            break;
        };
        put(buffer, list, place, &columns.row(row, now, &theme));
    }
    if !rows.shown().is_empty() {
        mark_selected(buffer, list, scroll.cursor - scroll.top, &theme);
    }
    session.state.devices = scroll;
    session.state.areas.list = list;
}

fn title(session: &Session, width: usize) -> Line<'static> {
    let theme = session.configuration.theme;
    let rows = session.playback.rows();
    let choice = rows.choice();
    let mut text = format!(
        "{} of {} {}, by {}",
        grouped(rows.shown().len() as u64),
        grouped(rows.count() as u64),
        plural(rows.count(), "device", "devices"),
        choice.sort.name()
    );
    if !choice.filter.is_empty() {
        text = format!("{text}, matching {:?}", escape(choice.filter.text()));
    }
    if choice.only_findings {
        text.push_str(", with findings");
    } else if !choice.idle && choice.filter.is_empty() {
        text.push_str(", idle ones hidden");
    }
    super::rule(&text, width, &theme)
}

/// The widths of the columns that depend on the screen's.
struct Columns {
    width: usize,
    bus: usize,
    driver: usize,
    device: usize,
    /// Whether there is room for groups, bytes and the last activity.
    wide: bool,
}

const STATE: usize = 9;
const RESOURCES: usize = 4;
const BYTES: usize = 5;
const GROUPS: usize = 3;
const FINDINGS: usize = 4;
const LAST: usize = 8;

impl Columns {
    fn of(width: usize, names: Widths) -> Self {
        let wide = width >= 76;
        let fixed = 3
            + STATE
            + 1
            + RESOURCES
            + 1
            + FINDINGS
            + 1
            + if wide { BYTES + GROUPS + LAST + 2 } else { 0 };
        let free = width.saturating_sub(fixed + 1);
        // The device's name is the last to go, and has what the others leave.
        let (has_bus, has_driver) = (free >= 30, free >= 16);
        let free = free.saturating_sub(usize::from(has_bus) + usize::from(has_driver));
        let bus = if has_bus {
            let left = free.saturating_sub(names.driver + names.device);
            names.bus.clamp(3, left.max(free / 5).max(3))
        } else {
            0
        };
        let driver = if has_driver {
            let beside = free.saturating_sub(bus);
            let left = beside.saturating_sub(names.device.max(6));
            names.driver.clamp(6, left.max(beside * 2 / 5).max(6))
        } else {
            0
        };
        let device = free.saturating_sub(bus + driver);
        Self {
            width,
            bus,
            driver,
            device,
            wide,
        }
    }

    fn heading(&self, theme: &Theme) -> Line<'static> {
        let style = theme.heading;
        let mut cells = Cells::new(theme.signs.cut)
            .text("   ", style)
            .column("BUS", self.bus, style)
            .column("DRIVER", self.driver, style)
            .left("DEVICE", self.device, style)
            .left("STATE", STATE, style)
            .right("OWNS", RESOURCES, style);
        if self.wide {
            cells = cells
                .right("BYTES", BYTES, style)
                .right("GRP", GROUPS, style);
        }
        cells = cells.right("FIND", FINDINGS, style);
        if self.wide {
            cells = cells.rest("LAST", self.width, style);
        }
        cells.line()
    }

    fn row(&self, row: &Row, now: Time, theme: &Theme) -> Line<'static> {
        let base = if row.gone.is_some() {
            theme.faint
        } else if row.tainted {
            theme.warning
        } else {
            theme.text
        };
        let (flag, flag_style) = match (row.worst, row.gone, row.tainted) {
            (Some(worst), _, _) => ("!", theme.severity(worst)),
            (None, Some(_), _) => ("x", theme.faint),
            (None, None, true) => ("~", theme.warning),
            (None, None, false) => (" ", base),
        };
        let state = if row.gone.is_some() {
            "gone".to_owned()
        } else if row.tainted {
            format!("{}?", row.state.name())
        } else {
            row.state.name().to_owned()
        };
        let state_style = if row.is_busy() { theme.released } else { base };
        let number = |number: usize| {
            if number == 0 {
                String::new()
            } else {
                grouped(number as u64)
            }
        };
        let mut cells = Cells::new(theme.signs.cut)
            .text(" ", base)
            .text(flag, flag_style)
            .text(" ", base)
            .column(&row.bus, self.bus, base)
            .column(&row.driver, self.driver, base)
            .left(&row.name, self.device, base)
            .left(&state, STATE, state_style)
            .right(&number(row.resources), RESOURCES, base);
        if self.wide {
            let groups = if row.open_groups > 0 {
                format!("{}+", row.groups)
            } else {
                number(row.groups)
            };
            let size = if row.bytes == 0 {
                String::new()
            } else {
                bytes(row.bytes)
            };
            let group_style = if row.open_groups > 0 {
                theme.group
            } else {
                base
            };
            cells = cells
                .right(&size, BYTES, base)
                .right(&groups, GROUPS, group_style);
        }
        let found: Style = row
            .worst
            .map_or(base, |worst: Severity| theme.severity(worst));
        cells = cells.right(&number(row.findings), FINDINGS, found);
        if self.wide {
            let last = row
                .last
                .map(|last| match now.since(last) {
                    0..1_000 => "now".to_owned(),
                    age => duration(age),
                })
                .unwrap_or_default();
            cells = cells.rest(&last, self.width, base);
        }
        cells.line()
    }
}
