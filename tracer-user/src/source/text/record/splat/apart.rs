//! What is left of the lines of a report by whatever it went through: several of them run together, or a stack that has
//! lost the line it begins with.

use std::collections::VecDeque;

use super::{
    At,
    forms::Header,
    part::{self, Part},
    table::{self, First},
};
use crate::source::text::{record::kernel_log, scan::around};

/// Lines in front of a report that are kept.
const MOST: usize = 16;

/// Parts a line behind the first one of the records that have been run together in it, as some mail programs do.
pub(in crate::source::text) fn apart(line: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr::memchr_iter(b'[', line)
        .filter(|at| line.get(..*at).is_some_and(|before| before.ends_with(b" ")))
        .filter_map(|at| line.split_at_checked(at))
        .find(|(before, behind)| begins_with_time(behind) && is_of_report(before))
}

/// `[  126.886032] `, `[ +0.000008] `.
fn begins_with_time(text: &[u8]) -> bool {
    let Some((time, behind)) = text.strip_prefix(b"[").and_then(|text| around(text, b"]")) else {
        return false;
    };
    let time = time.trim_ascii();
    let Some((seconds, decimals)) = around(time.strip_prefix(b"+").unwrap_or(time), b".") else {
        return false;
    };
    let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    behind.starts_with(b" ")
        && are_digits(seconds)
        && are_digits(decimals)
        && (3..=9).contains(&decimals.len())
}

/// Whether this alone would be a line of a report.
fn is_of_report(line: &[u8]) -> bool {
    let text = kernel_log::beginning(line).1.trim_ascii();
    let says_nothing = matches!(part::read(text), Part::Other | Part::Filling);
    !says_nothing || matches!(table::read(line), First::Whole(_))
}

/// The columns of a terminal, which breaks lines within words; a blank there is lost at the end of a line.
const COLUMNS: usize = 79;

/// A line together with the next, where a terminal may have broken it within a word.
pub(super) fn within_a_word(line: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    (line.len() >= COLUMNS).then(|| [line, rest].concat())
}

/// The first line of a report with its rest, which was wrapped to the next, and what both say. It was wrapped between
/// two words, unless it names its function only without a blank.
pub(super) fn rejoined(line: &[u8], rest: &[u8]) -> Option<(Vec<u8>, Header)> {
    let with_header = |whole: Vec<u8>| {
        let header = table::read(&whole).header()?;
        Some((whole, header))
    };
    let spaced = with_header([line, b" ", rest].concat());
    let names = |found: &(Vec<u8>, Header)| found.1.function.is_some();
    if spaced.as_ref().is_some_and(names) {
        return spaced;
    }
    let glued = within_a_word(line, rest).and_then(with_header);
    glued.filter(names).or(spaced)
}

/// The last lines before a report that can be frames of it: only the first frame of devres shows that one has begun.
#[derive(Debug, Default)]
pub(super) struct Before {
    lines: VecDeque<(Vec<u8>, At)>,
}

impl Before {
    /// A line that nothing is known of.
    pub(super) fn pass(&mut self, line: &[u8], at: At) {
        let follows = self
            .lines
            .back()
            .is_some_and(|(_, last)| last.number + at.count == at.number);
        if !follows {
            self.lines.clear();
        }
        let is_digit = |at: usize| line.get(at + 1).is_some_and(u8::is_ascii_digit);
        let has_offset = memchr::memchr_iter(b'+', line).any(is_digit);
        // A debugger numbers them.
        let numbered = || line.trim_ascii_start().starts_with(b"#");
        if !has_offset && !numbered() {
            return self.lines.clear();
        }
        // The oldest makes room, and its memory is used again: there are logs in which every line is like a frame.
        let oldest = (self.lines.len() >= MOST).then(|| self.lines.pop_front());
        let (mut kept, _) = oldest.flatten().unwrap_or((Vec::new(), at));
        kept.clear();
        kept.extend_from_slice(line);
        self.lines.push_back((kept, at));
    }

    /// The lines right before the one at this place.
    pub(super) fn take(&mut self, at: At) -> VecDeque<(Vec<u8>, At)> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|(_, before)| before.number < at.number);
        let follows = lines
            .back()
            .is_some_and(|(_, last)| last.number + at.count == at.number);
        if follows { lines } else { VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_were_run_together_are_parted() {
        for (line, first) in [
            (
                "[ +0.000002] demo_off+0x14/0x40 [demo] [ +0.000183] release_nodes+0x40/0xc0",
                "[ +0.000002] demo_off+0x14/0x40 [demo] ",
            ),
            (
                "Trying to free already-free IRQ 44 [  226.735533] WARNING: CPU: 6 PID: 749 at",
                "Trying to free already-free IRQ 44 ",
            ),
        ] {
            let parted = apart(line.as_bytes()).map(|(first, _)| first);
            assert_eq!(parted, Some(first.as_bytes()), "{line}");
        }
        for line in [
            "console/3: [    1.500000][  T12]  demo_off+0x14/0x40 [demo]",
            "Mar 10 21:52:21 pc kernel: [    1.500000] demo_off+0x14/0x40",
            "demo_off+0x14/0x40 [demo] [1.2]",
            "demo_off+0x14/0x40 [demo]",
        ] {
            assert_eq!(apart(line.as_bytes()), None, "{line}");
        }
    }
}
