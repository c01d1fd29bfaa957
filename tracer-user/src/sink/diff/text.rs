//! A comparison as text for a person.

use std::io;

use super::{
    super::page::{Page, Tone, counted},
    Differences,
    sentences::{Sentence, Which, half, line, parts, sentence, whereabouts},
};
use crate::{
    diff::{ChapterComparison, DeviceComparison, DifferenceKind, LifeComparison, Row, Sameness},
    escape::{Escaped, escape},
    lives::Life,
};

/// Unchanged lines that are shown around what differs.
const CONTEXT: usize = 2;
/// Lines of one chapter that are shown.
const MOST_LINES: usize = 200;
/// Sizes that are listed.
const MOST_SIZES: usize = 8;

/// Writes what differs, and whether the recordings are the same.
pub fn write_text(differences: &Differences<'_>, page: &mut Page<'_>) -> io::Result<()> {
    for (sign, tone, (name, source, lives)) in [
        ("--- GOOD", Tone::Deleted, differences.good),
        ("+++ BAD ", Tone::Inserted, differences.bad),
    ] {
        let mut text = format!("{sign} {}", Escaped(name));
        if let Some(kernel) = &source.kernel {
            text = format!("{text}, kernel {}", Escaped(kernel));
        }
        if let Some((first, last)) = lives.extent {
            let (first, last) = (lives.names.moment(first), lives.names.moment(last));
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
        (Some(life), _) | (_, Some(life)) => called(life),
        (None, None) => return Ok(()),
    };
    let all = device.good.iter().chain(&device.bad);
    if let Some(bus) = all.clone().find_map(|life| life.bus.as_deref()) {
        heading = format!("{heading}  bus {}", Escaped(bus));
    }
    if let Some(driver) = all.clone().find_map(|life| life.driver.as_deref()) {
        heading = format!("{heading}  driver {}", Escaped(driver));
    }
    match (device.good.is_empty(), device.bad.is_empty()) {
        (true, _) => heading.push_str("  only in BAD"),
        (_, true) => heading.push_str("  only in GOOD"),
        _ => {}
    }
    page.line(Tone::Heading, &heading, 2)?;
    let several = device.good.len() > 1 || device.bad.len() > 1;
    for life in &device.lives {
        write_life(life, several, page)?;
    }
    write_sizes(device, page)
}

fn called(life: &Life) -> String {
    name_or_none(life.name.as_deref().unwrap_or_default())
}

fn write_life(life: &LifeComparison<'_>, several: bool, page: &mut Page<'_>) -> io::Result<()> {
    let text = match (life.good, life.bad) {
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
    let mut chapters = life.chapters.iter().peekable();
    while let Some(chapter) = chapters.next() {
        let told = sentences(chapter);
        if told.is_empty() {
            continue;
        }
        write_chapter(chapter, &told, page)?;
        let mut again = 0_u64;
        while chapters
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

fn is_alone(chapter: &ChapterComparison<'_>) -> bool {
    chapter.good.is_none() || chapter.bad.is_none()
}

/// What differs in a chapter, in sentences: what can be told of several resources at once, of all of them.
/// Sizes are told once for the device.
fn sentences(chapter: &ChapterComparison<'_>) -> Vec<(bool, String)> {
    let mut told: Vec<(bool, Sentence, Vec<String>)> = Vec::new();
    for difference in &chapter.differences {
        if difference.kind == DifferenceKind::Size {
            continue;
        }
        let sentence = parts(chapter, difference);
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
    for chapter in device.lives.iter().flat_map(|life| &life.chapters) {
        for difference in &chapter.differences {
            let text = || sentence(chapter, difference);
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

fn write_chapter(
    chapter: &ChapterComparison<'_>,
    told: &[(bool, String)],
    page: &mut Page<'_>,
) -> io::Result<()> {
    if !is_alone(chapter) {
        page.plain(&format!("  {}", heading(chapter)), 4)?;
        write_rows(chapter, page)?;
    }
    for (minor, text) in told {
        let (tone, text) = match (minor, is_alone(chapter)) {
            (true, _) => (Tone::Faint, format!("  minor: {text}")),
            (false, true) => (Tone::Doubtful, format!("  {text}")),
            (false, false) => (Tone::Doubtful, format!("  => {text}")),
        };
        page.line(tone, &text, 5)?;
    }
    Ok(())
}

fn heading(chapter: &ChapterComparison<'_>) -> String {
    let of = |which| half(chapter, which).map_or(0, |half| half.chapter.binding);
    match (of(Which::Good), of(Which::Bad)) {
        _ if chapter.whole => "from start to end".to_owned(),
        (0, 0) => "before the first probe".to_owned(),
        (one, other) if one == other => format!("probe {one}"),
        (one, other) => format!("probe {one} in GOOD, probe {other} in BAD"),
    }
}

/// Both chapters in one, what is the same only near to what is not.
fn write_rows(chapter: &ChapterComparison<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let counts: Vec<bool> = chapter
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
    for (place, row) in chapter.rows.iter().enumerate() {
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
        let mut text = format!("  {sign}   {}", line(chapter, which, entry));
        if elsewhere(chapter, which, entry)
            && let Some(half) = half(chapter, which)
            && let Some(found) = half.entries.get(entry)
        {
            text = format!("{text}   ({})", whereabouts(found, half.names));
        }
        page.line(tone, &text, 8)?;
    }
    fold(&mut hidden, page)
}

/// Whether the entry is in another phase, or done by another function, in the other recording.
fn elsewhere(chapter: &ChapterComparison<'_>, which: Which, entry: usize) -> bool {
    chapter.differences.iter().any(|difference| {
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
            format!(
                "INCONCLUSIVE: no difference in what both show{besides}; {compared} compared"
            ),
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
