//! A device's stack of resources, with its groups as brackets.

use std::io;

use super::{
    super::page::{Page, Tone, WIDTH},
    words::{BEHIND_TIME, adder, marker, resource, size, within},
};
use crate::history::{Holdings, Names};
use crate::number::counted;

/// Writes what a device owns, the newest on top.
pub(super) fn write_stack(
    holdings: &Holdings,
    names: &Names,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let within = within(&holdings.held);
    let longest = holdings
        .held
        .iter()
        .filter(|held| held.item.marker().is_none())
        .map(|held| resource(held.item.label, names).chars().count())
        .max();
    let width = longest.unwrap_or(0).min(32);
    if holdings.hidden > 0 {
        let text = format!(
            "{:BEHIND_TIME$}  and {} (not listed)",
            "",
            counted(holdings.hidden, "more resource", "more resources")
        );
        page.line(Tone::Doubtful, &text, BEHIND_TIME + 2)?;
    }
    for (held, within) in holdings.held.iter().zip(within).rev() {
        let bars = "│ ".repeat(usize::from(held.depth.min(16)));
        let head = format!("{:BEHIND_TIME$}  {bars}", "");
        let indent = BEHIND_TIME + 2 + 2 * usize::from(held.depth.min(16));
        if let Some(one) = held.item.marker() {
            let corner = if one.opens { "└ " } else { "┌ " };
            let text = format!("{head}{corner}{}", marker(held, one, within, names));
            page.plain(&text, indent + 2)?;
            continue;
        }
        let text = format!(
            "{head}{:<width$}{}",
            resource(held.item.label, names),
            size(held.item.size())
        );
        let by = adder(held.item.label, held.task, names);
        let text = beside(&text, &by);
        page.plain(text.trim_end(), indent + 4)?;
    }
    Ok(())
}

/// Who added a resource, beside it: where there is no room without the module, then without the file's directories, then
/// without the line.
fn beside(text: &str, by: &str) -> String {
    let (function, line) = match by.split_once(" at ") {
        Some((function, line)) => (function, format!(" at {line}")),
        None => (by, String::new()),
    };
    let plain = function
        .rsplit_once(" [")
        .map_or(function, |(name, _)| name);
    let file = line.split(" (").next().unwrap_or_default();
    let file = file.rsplit(['/', ' ']).next().unwrap_or_default();
    let forms = [
        format!("{text}  {by}"),
        format!("{text}  {plain}{line}"),
        format!("{text}  {plain} at {file}"),
        format!("{text}  {function}"),
    ];
    let mut forms = forms.into_iter();
    let fitting = forms.find(|form| form.chars().count() <= WIDTH && !form.ends_with(" at "));
    fitting.unwrap_or_else(|| format!("{text}  {plain}"))
}
