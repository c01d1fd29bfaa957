//! A comparison as text for a person.

use std::io;

use super::{
    super::page::{Page, Tone},
    Differences,
    sentences::{Sentence, Which, half, line, parts, sentence, whereabouts},
};
use crate::{
    diff::{BindingComparison, DeviceComparison, DifferenceKind, LifeComparison, Row, Sameness},
    escape::{Escaped, escape},
    history::DeviceHistory,
    number::counted,
};

/// Unchanged lines that are shown around what differs.
const CONTEXT: usize = 2;
/// Lines of one binding that are shown.
const MOST_LINES: usize = 200;
/// Sizes that are listed.
const MOST_SIZES: usize = 8;

/// Writes what differs, and whether the recordings are the same.
pub fn write_text(differences: &Differences<'_>, page: &mut Page<'_>) -> io::Result<()> {
    for (sign, tone, (name, source, histories)) in [
        ("--- GOOD", Tone::Deleted, differences.good),
        ("+++ BAD ", Tone::Inserted, differences.bad),
    ] {
        let mut text = format!("{sign} {}", Escaped(name));
        if let Some(kernel) = &source.kernel {
            text = format!("{text}, kernel {}", Escaped(kernel));
        }
        if let Some((first, last)) = histories.extent {
            let (first, last) = (histories.names.moment(first), histories.names.moment(last));
            text = format!("{text}, {first} to {last}");
        }
        page.line(tone, &text, 9)?;
    }
    let comparison = differences.comparison;
    for renamed in &comparison.renamed {
        let text = format!(
            "{} is compared with {}: {}",
            name_or_none(&renamed.good),
            name_or_none(&renamed.bad),
            renamed.why
        );
        page.line(Tone::Doubtful, &text, 2)?;
    }
    for device in &comparison.devices {
        write_device(device, page)?;
    }
    page.gap()?;
    write_verdict(differences, page)
}

fn name_or_none(name: &str) -> String {
    if name.is_empty() {
        "(no name)".to_owned()
    } else {
        escape(name)
    }
}

fn write_device(device: &DeviceComparison<'_>, page: &mut Page<'_>) -> io::Result<()> {
    page.gap()?;
    let mut heading = match (device.good.first(), device.bad.first()) {
        (Some(good), Some(bad)) if good.name != bad.name => {
            format!("{} / {}", called(good), called(bad))
        }
        (Some(history), _) | (_, Some(history)) => called(history),
        (None, None) => return Ok(()),
    };
    let all = device.good.iter().chain(&device.bad);
    if let Some(bus) = all.clone().find_map(|history| history.bus.as_deref()) {
        heading = format!("{heading}  bus {}", Escaped(bus));
    }
    if let Some(driver) = all.clone().find_map(|history| history.driver.as_deref()) {
        heading = format!("{heading}  driver {}", Escaped(driver));
    }
    match (device.good.is_empty(), device.bad.is_empty()) {
        (true, _) => heading.push_str("  only in BAD"),
        (_, true) => heading.push_str("  only in GOOD"),
        _ => {}
    }
    page.line(Tone::Heading, &heading, 2)?;
    let several = device.good.len() > 1 || device.bad.len() > 1;
    for history in &device.histories {
        write_life(history, several, page)?;
    }
    write_sizes(device, page)
}

fn called(history: &DeviceHistory) -> String {
    name_or_none(history.name.as_deref().unwrap_or_default())
}

fn write_life(history: &LifeComparison<'_>, several: bool, page: &mut Page<'_>) -> io::Result<()> {
    let text = match (history.good, history.bad) {
        (Some((one, _)), Some((other, _))) if one == other => format!("  life {one}"),
        (Some((one, _)), Some((other, _))) => {
            format!("  life {one} in GOOD, life {other} in BAD")
        }
        (Some((one, _)), None) => format!("  life {one}, only in GOOD"),
        (None, Some((other, _))) => format!("  life {other}, only in BAD"),
        (None, None) => return Ok(()),
    };
    if several {
        page.plain(&text, 4)?;
    }
    let mut bindings = history.bindings.iter().peekable();
    while let Some(binding) = bindings.next() {
        let told = sentences(binding);
        if told.is_empty() {
            continue;
        }
        write_binding(binding, &told, page)?;
        let mut again = 0_u64;
        while bindings
            .next_if(|next| sentences(next) == told && !is_alone(next))
            .is_some()
        {
            again += 1;
        }
        if again > 0 {
            let text = format!(
                "  the same in {}",
                counted(again, "more probe", "more probes")
            );
            page.line(Tone::Faint, &text, 2)?;
        }
    }
    Ok(())
}

fn is_alone(binding: &BindingComparison<'_>) -> bool {
    binding.good.is_none() || binding.bad.is_none()
}

/// What differs in a binding, in sentences: what can be said of several resources at once, of all of them.
/// Sizes are reported once for the device.
fn sentences(binding: &BindingComparison<'_>) -> Vec<(bool, String)> {
    let mut told: Vec<(bool, Sentence, Vec<String>)> = Vec::new();
    for difference in &binding.differences {
        if difference.kind == DifferenceKind::Size {
            continue;
        }
        let sentence = parts(binding, difference);
        match told.last_mut() {
            Some((minor, last, names))
                if *minor == difference.minor && last.tells_the_same(&sentence) =>
            {
                names.push(sentence.name);
            }
            _ => {
                let names = vec![sentence.name.clone()];
                told.push((difference.minor, sentence, names));
            }
        }
    }
    told.iter()
        .map(|(minor, sentence, names)| (*minor, sentence.of(names)))
        .collect()
}

/// The sizes that differ anywhere on a device.
fn write_sizes(device: &DeviceComparison<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut sizes: Vec<String> = Vec::new();
    for binding in device
        .histories
        .iter()
        .flat_map(|history| &history.bindings)
    {
        for difference in &binding.differences {
            let text = || sentence(binding, difference);
            if difference.kind == DifferenceKind::Size && !sizes.contains(&text()) {
                sizes.push(text());
            }
        }
    }
    if sizes.is_empty() {
        return Ok(());
    }
    let more = sizes.len().saturating_sub(MOST_SIZES);
    sizes.truncate(MOST_SIZES);
    if more > 0 {
        sizes.push(format!("and {more} more"));
    }
    let text = format!("  minor: other sizes: {}", sizes.join(", "));
    page.line(Tone::Faint, &text, 5)
}

fn write_binding(
    binding: &BindingComparison<'_>,
    told: &[(bool, String)],
    page: &mut Page<'_>,
) -> io::Result<()> {
    if !is_alone(binding) {
        page.plain(&format!("  {}", heading(binding)), 4)?;
        write_rows(binding, page)?;
    }
    for (minor, text) in told {
        let (tone, text) = match (minor, is_alone(binding)) {
            (true, _) => (Tone::Faint, format!("  minor: {text}")),
            (false, true) => (Tone::Doubtful, format!("  {text}")),
            (false, false) => (Tone::Doubtful, format!("  => {text}")),
        };
        page.line(tone, &text, 5)?;
    }
    Ok(())
}

fn heading(binding: &BindingComparison<'_>) -> String {
    let of = |which| half(binding, which).map_or(0, |half| half.binding.number);
    match (of(Which::Good), of(Which::Bad)) {
        _ if binding.whole => "from start to end".to_owned(),
        (0, 0) => "before the first probe".to_owned(),
        (one, other) if one == other => format!("probe {one}"),
        (one, other) => format!("probe {one} in GOOD, probe {other} in BAD"),
    }
}

/// Both bindings in one, what is the same only near to what is not.
fn write_rows(binding: &BindingComparison<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let counts: Vec<bool> = binding
        .rows
        .iter()
        .map(|row| !matches!(row, Row::Same(..)))
        .collect();
    let near = |place: usize| {
        let from = place.saturating_sub(CONTEXT);
        let to = (place + CONTEXT + 1).min(counts.len());
        counts
            .get(from..to)
            .is_some_and(|around| around.contains(&true))
    };
    let mut hidden = 0_u64;
    let mut shown = 0;
    for (place, row) in binding.rows.iter().enumerate() {
        let differs = counts.get(place).copied().unwrap_or(false);
        if !differs && !near(place) || shown >= MOST_LINES {
            hidden += 1;
            continue;
        }
        fold(&mut hidden, page)?;
        shown += 1;
        let (sign, tone, which, entry) = match *row {
            Row::Same(_, entry) => (' ', Tone::Plain, Which::Bad, entry),
            Row::Good(entry) => ('-', Tone::Deleted, Which::Good, entry),
            Row::Bad(entry) => ('+', Tone::Inserted, Which::Bad, entry),
        };
        let mut text = format!("  {sign}   {}", line(binding, which, entry));
        if elsewhere(binding, which, entry)
            && let Some(half) = half(binding, which)
            && let Some(found) = half.entries.get(entry)
        {
            text = format!("{text}   ({})", whereabouts(found, half.names));
        }
        page.line(tone, &text, 8)?;
    }
    fold(&mut hidden, page)
}

/// Whether the entry is in another phase, or done by another function, in the other recording.
fn elsewhere(binding: &BindingComparison<'_>, which: Which, entry: usize) -> bool {
    binding.differences.iter().any(|difference| {
        let place = match which {
            Which::Good => difference.good,
            Which::Bad => difference.bad,
        };
        matches!(
            difference.kind,
            DifferenceKind::Elsewhere | DifferenceKind::OtherEnd
        ) && place.is_some_and(|place| place.entry == entry)
    })
}

fn fold(hidden: &mut u64, page: &mut Page<'_>) -> io::Result<()> {
    let count = std::mem::take(hidden);
    if count == 0 {
        return Ok(());
    }
    let text = format!("      ... {}", counted(count, "line more", "lines more"));
    page.line(Tone::Faint, &text, 8)
}

fn write_verdict(differences: &Differences<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let comparison = differences.comparison;
    let (minor, major): (Vec<_>, Vec<_>) = comparison
        .differences()
        .partition(|difference| difference.minor && !differences.strict);
    let compared = counted(comparison.compared, "device", "devices");
    let besides = if minor.is_empty() {
        ""
    } else {
        ", not counting minor ones"
    };
    let (tone, text) = match comparison.sameness(differences.strict) {
        Sameness::Same => (
            Tone::Good,
            format!(
                "SAME: {compared} compared, no difference{}",
                if minor.is_empty() {
                    ""
                } else {
                    " except minor ones"
                }
            ),
        ),
        Sameness::Different => (
            Tone::Bad,
            format!(
                "DIFFERENT: {} on {} of {compared}{besides}",
                counted(major.len() as u64, "difference", "differences"),
                comparison.devices.len()
            ),
        ),
        Sameness::Inconclusive => (
            Tone::Doubtful,
            format!("INCONCLUSIVE: no difference in what both show{besides}; {compared} compared"),
        ),
    };
    page.line(tone, &text, 2)?;
    for reason in &comparison.reasons {
        page.line(Tone::Doubtful, &format!("  {}", Escaped(reason)), 4)?;
    }
    if !comparison.reasons.is_empty()
        && comparison.sameness(differences.strict) == Sameness::Different
    {
        page.line(
            Tone::Doubtful,
            "  This may be the cause of some differences.",
            4,
        )?;
    }
    Ok(())
}
