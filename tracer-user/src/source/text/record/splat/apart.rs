//! What is left of the lines of a report by whatever it went through: several of them run together, or a stack that has
//! lost the line it begins with.

use std::{collections::VecDeque, sync::LazyLock};

use memchr::memmem::Finder;

use super::{
    At, FULL_ALONE,
    forms::Header,
    part::{self, Part},
    table::{self, First},
};
use crate::source::text::{
    envelope::prefix::unquote,
    record::kernel_log,
    scan::{around, last_word},
};

/// Lines in front of a report that are kept.
const MOST: usize = 16;

/// Parts a line behind the first one of the records that have been run together in it, as some mail programs do. These
/// wrap it then, perhaps within a time.
pub(in crate::source::text) fn apart(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(at) = second_record(line) {
        return line.split_at_checked(at);
    }
    memchr::memchr_iter(b'[', line)
        .filter(|at| line.get(..*at).is_some_and(|before| before.ends_with(b" ")))
        .filter_map(|at| line.split_at_checked(at))
        .find(|(before, behind)| match time_of(behind) {
            Some(Time::Kernels) => is_of_report(before) || is_message(before),
            Some(Time::Any) => is_of_report(before) || is_message(before) && has_time(before),
            None => false,
        })
}

/// What follows the machine's name in the system's log.
static KERNEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" kernel: "));

/// Where another record of the system's log begins, if the line begins with one of the same machine's kernel:
/// `Oct 12 00:20:01 host kernel: … Oct 12 00:20:01 host kernel: …`.
fn second_record(line: &[u8]) -> Option<usize> {
    let host = |at: usize| last_word(line.get(..at)?);
    let mut marks = KERNEL.find_iter(line);
    let (_, first) = host(marks.next()?)?;
    marks.find_map(|at| {
        let (before, name) = host(at)?;
        (name == first).then(|| beginning_of_date(before))?
    })
}

/// Where the date begins that a text ends with: `Oct 12 00:20:01`, `2026-10-12T00:20:01+01:00`.
fn beginning_of_date(text: &[u8]) -> Option<usize> {
    let (before, time) = last_word(text)?;
    let is_clock =
        |text: &[u8]| text.len() >= 8 && text.get(2) == Some(&b':') && text.get(5) == Some(&b':');
    if let Some((_, clock)) = around(time, b"T") {
        return is_clock(clock).then_some(before.len());
    }
    let (before, day) = last_word(before)?;
    let (before, _month) = last_word(before)?;
    let is_day = day.len() <= 2 && day.iter().all(u8::is_ascii_digit);
    (is_clock(time) && is_day).then_some(before.len())
}

/// What a bracket may be the time of a record by.
enum Time {
    /// `[  126.886032] `, with as many decimals as the kernel writes.
    Kernels,
    /// `[ 126.886]`; `[` at the end of the line, with the rest on the next.
    Any,
}

fn time_of(text: &[u8]) -> Option<Time> {
    if text.trim_ascii_end() == b"[" {
        return Some(Time::Any);
    }
    let (time, behind) = text
        .strip_prefix(b"[")
        .and_then(|text| around(text, b"]"))?;
    let time = time.trim_ascii();
    let (seconds, decimals) = around(time.strip_prefix(b"+").unwrap_or(time), b".")?;
    let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_time = (behind.is_empty() || behind.starts_with(b" "))
        && are_digits(seconds)
        && are_digits(decimals)
        && (3..=9).contains(&decimals.len());
    is_time.then_some(if decimals.len() == 6 {
        Time::Kernels
    } else {
        Time::Any
    })
}

fn has_time(text: &[u8]) -> bool {
    kernel_log::beginning(text).0.time.is_some()
}

/// Whether a text can be a message: it is more than one word and ends as none of what stands in front of a time does.
fn is_message(text: &[u8]) -> bool {
    let message = kernel_log::beginning(text).1.trim_ascii();
    let can_end = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b')' | b']' | b'.');
    message.last().is_some_and(can_end) && message.contains(&b' ')
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
fn within_a_word(line: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    (line.len() >= COLUMNS).then(|| [line, rest].concat())
}

/// The line before together with this one, if that is its rest: it follows at once, has no time, and says nothing alone
/// or something else.
pub(super) fn unwrapped(before: &[u8], at: At, line: &[u8], place: At) -> Option<Vec<u8>> {
    let follows = at.number + place.step == place.number;
    if !follows
        || at.before + before.len() < FULL_ALONE
        || kernel_log::beginning(line).0.time.is_some()
    {
        return None;
    }
    let rest = unquote(line);
    let whole = [before, b" ", rest].concat();
    match part::read(rest) {
        // A doubtful one, or where an address points to that stands in a register.
        Part::Frame(Some(_)) => {
            lacks_its_function(kernel_log::beginning(before).1).then_some(whole)
        }
        Part::Other if matches!(table::read(rest), First::No) => {
            let says = |line: &[u8]| part::read(kernel_log::beginning(line).1) != Part::Other;
            let glued = || within_a_word(before, rest).filter(|line| says(line));
            says(&whole).then_some(whole).or_else(glued)
        }
        _ => None,
    }
}

/// Whether a line ends with the mark of a doubtful frame, or with a register or an address whose function is on the next.
fn lacks_its_function(text: &[u8]) -> bool {
    let is_of_address =
        |byte: &u8| matches!(byte, b'[' | b'<' | b'>' | b']') || byte.is_ascii_hexdigit();
    let Some((_, last)) = last_word(text) else {
        return false;
    };
    let is_register = last.ends_with(b":") && part::read(text) == Part::Other;
    last == b"?" || is_register || last.len() >= 8 && last.iter().all(is_of_address)
}

/// The first line of a report with its rest, which was wrapped to the next, and what both say. It was wrapped between
/// two words, unless it names its function only without a blank.
pub(super) fn rejoined(line: &[u8], rest: &[u8]) -> Option<(Vec<u8>, Header)> {
    let with_header = |whole: Vec<u8>| {
        let header = table::read(&whole).header()?;
        Some((whole, header))
    };
    let spaced = with_header([line, b" ", rest].concat());
    let names = |found: &(Vec<u8>, Header)| found.1.frame.is_some();
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
            .is_some_and(|(_, last)| last.number + at.step == at.number);
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
            .is_some_and(|(_, last)| last.number + at.step == at.number);
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
            (
                "[  901.200650] Tainted: [O]=OOT_MODULE [  901.200780] Hardware name: x",
                "[  901.200650] Tainted: [O]=OOT_MODULE ",
            ),
            // The rest is on the next line.
            (
                "demo_off+0x14/0x40 [demo] [  901.200780]",
                "demo_off+0x14/0x40 [demo] ",
            ),
            (
                "[  901.200650] demo_off+0x14/0x40 [demo] [",
                "[  901.200650] demo_off+0x14/0x40 [demo] ",
            ),
            (
                "Oct 12 00:20:01 pc kernel:  <TASK> Oct 12 00:20:01 pc kernel:  demo_off+0x14/0x40",
                "Oct 12 00:20:01 pc kernel:  <TASK> ",
            ),
            (
                "2026-10-12T00:20:01+01:00 pc kernel: a 2026-10-12T00:20:01+01:00 pc kernel: b",
                "2026-10-12T00:20:01+01:00 pc kernel: a ",
            ),
            (
                "9000000001c8b8c0 90000001031b7b80 [  369.100780] Call Trace:",
                "9000000001c8b8c0 90000001031b7b80 ",
            ),
        ] {
            let parted = apart(line.as_bytes()).map(|(first, _)| first);
            assert_eq!(parted, Some(first.as_bytes()), "{line}");
        }
        for line in [
            "console/3: [    1.500000][  T12]  demo_off+0x14/0x40 [demo]",
            "[  100.123456] ttyS0: [    1.500000] Call Trace:",
            "Mar 10 21:52:21 pc [    1.500000] demo_off+0x14/0x40",
            "Mar 10 21:52:21 pc kernel: [    1.500000] demo_off+0x14/0x40",
            "demo_off+0x14/0x40 [demo] [1.2]",
            "Oct 12 00:20:01 pc app[7]: Oct 12 00:20:01 pc kernel: demo_off+0x14/0x40",
            "Oct 12 00:20:01 pc kernel: another kernel: demo_off+0x14/0x40",
            "demo_off+0x14/0x40 [demo]",
        ] {
            assert_eq!(apart(line.as_bytes()), None, "{line}");
        }
    }
}
