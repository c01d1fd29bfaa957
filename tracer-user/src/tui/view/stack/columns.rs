//! The columns of a stack.

use ratatui::{style::Style, text::Line};

use super::{
    items::Item,
    words::{age, name, size, who},
};
use crate::{
    event::Time,
    model::{Node, Origin},
    tui::{
        text::{Cells, duration},
        theme::Theme,
        traces::{Departed, FADE, Went},
    },
};

/// The widths of the columns.
pub(super) struct Columns {
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
    pub(super) fn of(width: usize, items: &[Item<'_>]) -> Self {
        let longest = items.iter().take(MOST_MEASURED).map(Item::name_width).max();
        let longest = longest.unwrap_or(0);
        Self {
            width,
            name: longest.clamp(LEAST_NAME, (width * 2 / 5).max(LEAST_NAME)),
        }
    }

    pub(super) fn heading(&self, theme: &Theme) -> Line<'static> {
        Cells::new(theme.signs.cut)
            .text("   ", theme.heading)
            .left("RESOURCE", self.name, theme.heading)
            .right("BYTES", SIZE, theme.heading)
            .right("AGE", AGE, theme.heading)
            .left("ADDED IN", PHASE, theme.heading)
            .rest("ADDED BY", self.width, theme.heading)
            .line()
    }

    pub(super) fn item(&self, item: &Item<'_>, now: Time, theme: &Theme) -> Line<'static> {
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
            Item::Gone(gone) => self.gone(cells, gone, now, theme),
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

    fn gone(&self, cells: Cells, gone: &Departed, now: Time, theme: &Theme) -> Line<'static> {
        let since = now.since(gone.at);
        // Fresh ones still have their colour.
        let style = if since < FADE / 5 {
            theme.released
        } else {
            theme.faint
        };
        let (mark, went) = match gone.went {
            Went::Released => (theme.signs.done, "released"),
            Went::Removed => ("-", "removed"),
            Went::Vanished => ("?", "vanished"),
        };
        let name = if gone.node.kind().is_marker() {
            "group".to_owned()
        } else {
            name(&gone.node)
        };
        cells
            .text(format!("{mark:>2} "), style)
            .left(&name, self.name, style)
            .right(&size(&gone.node), SIZE, style)
            .right("", AGE, style)
            .rest(
                &format!("{went} {} ago", duration(since)),
                self.width,
                style,
            )
            .line()
    }
}
