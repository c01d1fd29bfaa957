//! Lines in which a log or trace says that it is not complete.

use super::scan::{around, decimal, digits, last_word};

/// ftrace and trace-cmd: `CPU:2 [LOST 37 EVENTS]`.
const FTRACE: &str = "[LOST ";
/// trace-cmd: `CPU:2 [EVENTS DROPPED]`.
const DROPPED: &str = "[EVENTS DROPPED]";
/// perf: `PERF_RECORD_LOST lost 37`.
const PERF: &str = "PERF_RECORD_LOST lost ";
/// printk: `** 37 printk messages dropped **`.
const PRINTK: &str = " messages dropped";
/// journald: `Missed 37 kernel messages`.
const JOURNALD: &str = ": Missed ";

/// What such lines contain.
pub(super) const WORDS: [&str; 5] = [FTRACE, DROPPED, PERF, PRINTK, JOURNALD];

/// How many events or messages are missing at this line; at least one where it says none.
pub(super) fn read(line: &[u8]) -> Option<u64> {
    let behind = |words: &str| digits(around(line, words.as_bytes())?.1);
    if let Some((count, _)) = behind(FTRACE).or_else(|| behind(PERF)) {
        return Some(count);
    }
    if let Some((count, rest)) = behind(JOURNALD)
        && rest.starts_with(b" kernel messages")
    {
        return Some(count);
    }
    if around(line, DROPPED.as_bytes()).is_some() {
        return Some(1);
    }
    let (before, _) = around(line, PRINTK.as_bytes())?;
    let before = before.strip_suffix(b" printk").unwrap_or(before);
    decimal(last_word(before)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_all_tools_are_counted() {
        for (line, count) in [
            ("CPU:2 [LOST 37 EVENTS]", Some(37)),
            ("CPU:2 [EVENTS DROPPED]", Some(1)),
            ("sh 12 [001] 1.000000: PERF_RECORD_LOST lost 37", Some(37)),
            ("[    1.000000] ** 37 printk messages dropped **", Some(37)),
            ("** 5 messages dropped **", Some(5)),
            (
                "Mar  8 22:20:36 pc systemd-journald[1]: Missed 37 kernel messages",
                Some(37),
            ),
            ("[    1.000000] x: Missed 3 trains", None),
            ("some messages dropped", None),
            ("", None),
        ] {
            assert_eq!(read(line.as_bytes()), count, "{line}");
        }
    }
}
