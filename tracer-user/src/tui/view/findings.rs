//! The list of findings, with the story of the selected one below.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{finding, mark_selected, put, put_all, rule};
use crate::{
    escape::escape,
    finding::Finding,
    number::{grouped, plural},
    tui::{
        Session,
        text::{Cells, width as columns},
        theme::Theme,
    },
};

/// Below this height there is only the list.
const BOTH: u16 = 14;

pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let width = usize::from(area.width);
    let history = session.playback.history();
    let findings = history.findings();
    let title = format!(
        "{} {}; `devres-tracer rules` lists the rules",
        grouped(findings.len() as u64),
        plural(findings.len(), "finding", "findings")
    );
    put(buffer, area, 0, &rule(&title, width, &theme));
    let columns = Columns::of(width, findings);
    put(buffer, area, 1, &columns.heading(&theme));
    let rows = u16::try_from(findings.len())
        .unwrap_or(u16::MAX)
        .saturating_add(3);
    let height = if area.height >= BOTH {
        rows.clamp(4, area.height / 2)
    } else {
        area.height
    };
    let list = Rect {
        y: area.y + 2,
        height: height.saturating_sub(2),
        ..area
    };
    let mut scroll = session.state.findings;
    scroll.keep(findings.len(), usize::from(list.height));
    let until = history.found_until(session.playback.position());
    for (row, (number, finding)) in findings
        .iter()
        .enumerate()
        .skip(scroll.top)
        .take(usize::from(list.height))
        .enumerate()
    {
        let line = columns.entry(finding, number >= until, &theme);
        put(buffer, list, row, &line);
    }
    if findings.is_empty() {
        let text = "   no findings so far";
        put(buffer, list, 0, &Line::styled(text, theme.faint));
    } else {
        mark_selected(buffer, list, scroll.cursor - scroll.top, &theme);
    }
    if let Some(selected) = findings.get(scroll.cursor) {
        let pane = Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        };
        put(buffer, pane, 0, &rule("Selected finding", width, &theme));
        let pane = Rect {
            y: pane.y + 1,
            height: pane.height.saturating_sub(1),
            ..pane
        };
        let lines = finding::story(selected, width, &theme);
        put_all(buffer, pane, &lines);
    }
    session.state.findings = scroll;
    session.state.areas.list = list;
}

const SEVERITY: usize = 6;
const COUNT: usize = 5;
const FIRST: usize = 12;
/// Findings whose names say how wide their columns are.
const MOST_MEASURED: usize = 500;

/// The widths of the columns.
struct Columns {
    width: usize,
    device: usize,
    driver: usize,
}

impl Columns {
    /// As wide as the names are, as far as that leaves room for what was found.
    fn of(width: usize, findings: &[Finding]) -> Self {
        let shown = || findings.iter().take(MOST_MEASURED);
        let device = shown().map(|one| columns(&escape(&one.device))).max();
        let driver = shown().map(|one| columns(&escape(one.driver.as_deref().unwrap_or(""))));
        Self {
            width,
            device: device.unwrap_or(0).clamp(6, (width / 5).max(6)),
            driver: driver.max().unwrap_or(0).clamp(6, (width / 6).max(6)),
        }
    }

    fn heading(&self, theme: &Theme) -> Line<'static> {
        let style = theme.heading;
        Cells::new(theme.signs.cut)
            .text("   ", style)
            .left("RULE", 5, style)
            .left("SEVERITY", SEVERITY + 1, style)
            .left("DEVICE", self.device, style)
            .left("DRIVER", self.driver, style)
            .right("TIMES", COUNT, style)
            .right("FIRST", FIRST, style)
            .rest("WHAT", self.width, style)
            .line()
    }

    fn entry(&self, finding: &Finding, later: bool, theme: &Theme) -> Line<'static> {
        let style = if later {
            theme.faint
        } else {
            theme.severity(finding.severity)
        };
        let text = if later { theme.faint } else { theme.text };
        let driver = finding.driver.as_deref().map(escape).unwrap_or_default();
        // What lies ahead of the instant that is looked at is marked.
        let mark = if later { " . " } else { "   " };
        Cells::new(theme.signs.cut)
            .text(mark, text)
            .left(finding.rule, 5, style)
            .left(finding.severity.name(), SEVERITY + 1, style)
            .left(&escape(&finding.device), self.device, text)
            .left(&driver, self.driver, text)
            .right(&grouped(finding.count), COUNT, text)
            .right(&finding.first.to_string(), FIRST, text)
            .rest(&escape(&finding.summary), self.width, text)
            .line()
    }
}
