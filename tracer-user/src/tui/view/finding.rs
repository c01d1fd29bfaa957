//! The story of one finding: the order that was seen beside the one that was expected, who did what, and what
//! the rule says.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{put, put_all, rule, tell_more};
use crate::{
    escape::{Escaped, escape},
    event::Time,
    finding::{Cause, Certainty, Finding, Resource, Step, text::telling},
    number::{grouped, plural},
    rules::RuleSet,
    tui::{
        Session,
        text::{fit, milliseconds},
        theme::Theme,
    },
};

/// From this width on the two orders stand side by side.
const SIDE_BY_SIDE: usize = 72;

pub(super) fn draw(session: &mut Session, area: Rect, buffer: &mut Buffer) {
    let theme = session.configuration.theme;
    let width = usize::from(area.width);
    let findings = session.playback.history().findings();
    let Some(finding) = findings.get(session.state.findings.cursor) else {
        let text = "no finding";
        put(buffer, area, 0, &Line::styled(text, theme.faint));
        return;
    };
    let mut lines = story(finding, width, &theme);
    lines.extend(explanation(finding, width, &theme));
    let height = usize::from(area.height);
    let mut scroll = session.state.finding;
    scroll.keep_text(lines.len(), height);
    put_all(buffer, area, lines.iter().skip(scroll.top));
    let more = lines.len().saturating_sub(scroll.top + height);
    tell_more(buffer, area, more, &theme);
    session.state.finding = scroll;
    session.state.areas.list = area;
}

/// What happened, without what the rule says in general.
pub(super) fn story(finding: &Finding, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![title(finding, theme)];
    paragraph(&mut lines, "", &place(finding), width, theme.text);
    let bad = theme.severity(finding.severity);
    paragraph(&mut lines, "", &escape(&finding.summary), width, bad);
    lines.push(Line::default());
    orders(&mut lines, finding, width, theme);
    if let Some(caused) = &finding.caused_by {
        cause(&mut lines, caused, width, theme);
    }
    if !finding.resources.is_empty() {
        lines.push(Line::default());
        let title = format!(
            "{} {}",
            finding.resources.len(),
            plural(finding.resources.len(), "resource", "resources")
        );
        lines.push(rule(&title, width, theme));
    }
    for one in &finding.resources {
        resource(&mut lines, one, finding.delay_since, width, theme);
    }
    if !finding.next.is_empty() {
        lines.push(Line::default());
        lines.push(rule("To see what came before", width, theme));
    }
    for command in &finding.next {
        paragraph(&mut lines, "  ", &escape(command), width, theme.text);
    }
    lines.push(Line::default());
    lines.push(rule("What it means", width, theme));
    let meaning = escape(&finding.meaning);
    paragraph(&mut lines, "  ", &meaning, width, theme.text);
    if let Some(known) = finding.known {
        let words = format!("known: {}", known.text());
        paragraph(&mut lines, "  ", &words, width, theme.text);
    }
    lines
}

/// The rule, the severity and the certainty.
fn title(finding: &Finding, theme: &Theme) -> Line<'static> {
    let name = RuleSet::all()
        .find(finding.rule)
        .map_or("", |info| info.name);
    Line::from(vec![
        Span::styled(format!("{} {name}  ", finding.rule), theme.heading),
        Span::styled(finding.severity.name(), theme.severity(finding.severity)),
        Span::styled(
            match finding.certainty {
                Certainty::Confirmed => ", confirmed",
                Certainty::Likely => ", likely",
            },
            theme.text,
        ),
    ])
}

/// On which devices, how often, and when.
fn place(finding: &Finding) -> String {
    let mut place = format!("device {}", Escaped(&finding.device));
    if let Some(driver) = &finding.driver {
        place = format!("{place}, driver {}", Escaped(driver));
    }
    if let Some(bus) = &finding.bus {
        place = format!("{place}, bus {}", Escaped(bus));
    }
    if finding.count <= 1 {
        return format!("{place}; at {}", finding.first);
    }
    place = format!(
        "{place}; {} times, first at {}, last at {}",
        grouped(finding.count),
        finding.first,
        finding.last
    );
    let devices = finding.occurrences.devices();
    if devices.len() <= 1 {
        return place;
    }
    let names: Vec<String> = devices.iter().take(8).map(|name| escape(name)).collect();
    let more = if devices.len() > names.len() {
        " and others"
    } else {
        ""
    };
    format!("{place}, on {}{more}", names.join(", "))
}

/// Who set it off, with its stack.
fn cause(lines: &mut Vec<Line<'static>>, cause: &Cause, width: usize, theme: &Theme) {
    lines.push(Line::default());
    lines.push(rule("Caused by", width, theme));
    let mut words = format!("{} of device {}", cause.frame, Escaped(&cause.device));
    if let Some(driver) = &cause.driver {
        words = format!("{words}, driver {}", Escaped(driver));
    }
    words = format!("{words}, by {}[{}]", Escaped(&cause.task), cause.tid);
    paragraph(lines, "  ", &words, width, theme.text);
    frames(lines, &cause.stack, width, theme);
}

/// The order seen, and beside or below it the order expected.
fn orders(lines: &mut Vec<Line<'static>>, finding: &Finding, width: usize, theme: &Theme) {
    let beside = width >= SIDE_BY_SIDE && !finding.order.is_empty() && !finding.expected.is_empty();
    let left_width = if beside { width * 11 / 20 } else { width };
    let right_width = if beside {
        width - left_width - 3
    } else {
        width
    };
    let start = finding.order.first().map_or(Time(0), |step| step.time);
    let seen: Vec<String> = finding
        .order
        .iter()
        .zip(1..)
        .flat_map(|(step, number)| seen_step(step, number, start, left_width))
        .collect();
    let expected: Vec<String> = finding
        .expected
        .iter()
        .zip(1..)
        .flat_map(|(step, number)| {
            let head = format!("{number:2}. ");
            wrapped(&head, "    ", &escape(step), right_width)
        })
        .collect();
    if !beside {
        for (title, steps, style) in [
            ("Order seen", seen, theme.text),
            ("Order expected", expected, theme.added),
        ] {
            if !steps.is_empty() {
                lines.push(rule(title, width, theme));
                lines.extend(steps.into_iter().map(|step| Line::styled(step, style)));
            }
        }
        return;
    }
    let cut = theme.signs.cut;
    let between = Span::styled(format!(" {} ", theme.signs.down), theme.faint);
    lines.push(Line::from(vec![
        Span::styled(fit("Order seen", left_width, cut), theme.heading),
        between.clone(),
        Span::styled("Order expected", theme.heading),
    ]));
    for row in 0..seen.len().max(expected.len()) {
        let left = seen.get(row).map_or("", String::as_str);
        let right = expected.get(row).cloned().unwrap_or_default();
        lines.push(Line::from(vec![
            Span::styled(fit(left, left_width, cut), theme.text),
            between.clone(),
            Span::styled(right, theme.added),
        ]));
    }
}

fn seen_step(step: &Step, number: usize, start: Time, width: usize) -> Vec<String> {
    let since = milliseconds(step.time.since(start));
    let head = format!("{number:2}. {since:>11}  ");
    let blank = " ".repeat(head.len());
    wrapped(&head, &blank, &escape(&step.what), width)
}

fn resource(
    lines: &mut Vec<Line<'static>>,
    resource: &Resource,
    since: &str,
    width: usize,
    theme: &Theme,
) {
    let mut words = escape(resource.label());
    match resource.size {
        Some(size) => words = format!("{words} ({size} bytes, {})", resource.kind),
        None => words = format!("{words} ({})", resource.kind),
    }
    if resource.touches_hardware {
        words.push_str(", may touch hardware");
    }
    match resource.delay {
        _ if since.is_empty() => {}
        Some(delay) => words = format!("{words}, released {} after {since}", milliseconds(delay)),
        None => words.push_str(", not released so far"),
    }
    paragraph(lines, "  ", &words, width, theme.released);
    let added = &resource.added;
    let words = match (&added.task, added.tid, added.time) {
        (Some(task), Some(tid), Some(time)) => {
            format!(
                "added by {}[{tid}] at {time} while {}",
                Escaped(task),
                added.phase
            )
        }
        _ => "added before the trace began".to_owned(),
    };
    paragraph(lines, "    ", &words, width, theme.text);
    frames(lines, &added.stack, width, theme);
}

/// A call stack: the frames that matter in colour, the others faint.
fn frames(lines: &mut Vec<Line<'static>>, stack: &[String], width: usize, theme: &Theme) {
    let told = telling(stack);
    for frame in stack {
        let style = if told.contains(frame) {
            theme.function
        } else {
            theme.faint
        };
        paragraph(lines, "      ", &escape(frame), width, style);
    }
}

/// What the rule says in general.
fn explanation(finding: &Finding, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    let rules = RuleSet::all();
    let Some(info) = rules.find(finding.rule) else {
        return lines;
    };
    let title = format!("What {} says", finding.rule);
    lines.push(rule(&title, width, theme));
    let mut text = String::new();
    let flush = |text: &mut String, lines: &mut Vec<Line<'static>>| {
        if !text.is_empty() {
            let (first, others) = if text.starts_with("- ") {
                ("  ", "    ")
            } else {
                ("  ", "  ")
            };
            for line in wrapped(first, others, text, width) {
                lines.push(Line::styled(line, theme.text));
            }
            text.clear();
        }
    };
    for line in info.page.lines().skip(1) {
        if line.is_empty() || line.starts_with("- ") || line.starts_with('#') {
            flush(&mut text, &mut lines);
        }
        if let Some(heading) = line.strip_prefix("## ") {
            lines.push(Line::default());
            lines.push(Line::styled(format!("  {heading}"), theme.heading));
        } else if !line.is_empty() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.trim());
        }
    }
    flush(&mut text, &mut lines);
    lines
}

fn paragraph(lines: &mut Vec<Line<'static>>, indent: &str, text: &str, width: usize, style: Style) {
    for line in wrapped(indent, indent, text, width) {
        lines.push(Line::styled(line, style));
    }
}

fn wrapped(first: &str, others: &str, text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(first.len() + 8))
        .initial_indent(first)
        .subsequent_indent(others);
    textwrap::wrap(text, options)
        .into_iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
