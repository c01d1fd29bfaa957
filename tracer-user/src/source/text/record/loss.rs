//! Lines in which a log or trace says that it is not complete.

use crate::source::text::scan::{around, decimal, digits, last_word};

/// ftrace and trace-cmd: `CPU:2 [LOST 37 EVENTS]`.
const FTRACE: &str = "[LOST ";
/// trace-cmd: `CPU:2 [EVENTS DROPPED]`.
const DROPPED: &str = "[EVENTS DROPPED]";
/// trace-cmd's newer form: `CPU:2 [37 EVENTS DROPPED]`.
const COUNTED: &str = " EVENTS DROPPED]";
/// perf: `PERF_RECORD_LOST lost 37`, `PERF_RECORD_LOST_SAMPLES lost 37`.
const PERF: &str = "PERF_RECORD_LOST";
/// perf: `Processed 100 events and lost 3 chunks!`.
const PERF_CHUNKS: &str = " events and lost ";
/// ftrace: `# entries-in-buffer/entries-written: 140080/250280   #P:4`: the rest was written over.
const OVERRUN: &str = "entries-in-buffer/entries-written: ";
/// printk: `** 37 printk messages dropped **`.
const PRINTK: &str = " messages dropped";
/// journald: `Missed 37 kernel messages`.
const JOURNALD: &str = ": Missed ";
/// journald: `Suppressed 37 messages from kernel`.
const SUPPRESSED: &str = ": Suppressed ";
/// rsyslog: `imklog: 37 messages lost due to rate-limiting`; where it reads the journal, `imjournal: …`.
const RSYSLOG: &str = " messages lost due to rate-limiting";

/// What such lines contain.
pub(in crate::source::text) const WORDS: [&str; 10] = [
    FTRACE,
    DROPPED,
    COUNTED,
    PERF,
    PERF_CHUNKS,
    OVERRUN,
    PRINTK,
    JOURNALD,
    SUPPRESSED,
    RSYSLOG,
];

/// How many events or messages are missing at this line; at least one where it says none.
pub(in crate::source::text) fn read(line: &[u8]) -> Option<u64> {
    let behind = |words: &str| digits(around(line, words.as_bytes())?.1);
    let before = |words: &str| decimal(last_word(around(line, words.as_bytes())?.0)?.1);
    if let Some((count, _)) = behind(FTRACE) {
        return Some(count);
    }
    if let Some((kept, rest)) = behind(OVERRUN) {
        let (written, _) = digits(rest.strip_prefix(b"/")?)?;
        return written.checked_sub(kept).filter(|lost| *lost > 0);
    }
    if around(line, PERF.as_bytes()).is_some() {
        return Some(digits(around(line, b" lost ")?.1)?.0);
    }
    if let Some((count, rest)) = behind(JOURNALD)
        && rest.starts_with(b" kernel messages")
    {
        return Some(count);
    }
    if let Some((count, rest)) = behind(SUPPRESSED)
        && rest.starts_with(b" messages from kernel")
    {
        return Some(count);
    }
    if let Some((count, rest)) = behind(PERF_CHUNKS)
        && rest.starts_with(b" chunks")
    {
        return Some(count);
    }
    if around(line, DROPPED.as_bytes()).is_some() {
        return Some(1);
    }
    if let Some((before, _)) = around(line, COUNTED.as_bytes()) {
        return decimal(before.rsplit(|byte| *byte == b'[').next()?);
    }
    if let Some(count) = before(RSYSLOG) {
        let is_kernels = |words: &&[u8]| around(line, words).is_some();
        return [&b"imklog"[..], b"imjournal"]
            .iter()
            .any(is_kernels)
            .then_some(count);
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
            ("CPU:3 [3 EVENTS DROPPED]", Some(3)),
            ("sh 1 [001] 1.0: PERF_RECORD_LOST_SAMPLES lost 37", Some(37)),
            ("Processed 100 events and lost 3 chunks!", Some(3)),
            (
                "# entries-in-buffer/entries-written: 140080/250280   #P:4",
                Some(110_200),
            ),
            ("# entries-in-buffer/entries-written: 36/36   #P:4", None),
            (
                "Mar 10 21:52:21 pc systemd-journald[12]: Suppressed 37 messages from kernel",
                Some(37),
            ),
            (
                "pc rsyslogd: imklog: 37 messages lost due to rate-limiting",
                Some(37),
            ),
            (
                "pc rsyslogd: imjournal: 37 messages lost due to rate-limiting (20000 allowed within 600 seconds)",
                Some(37),
            ),
            (
                "pc rsyslogd: imuxsock: 37 messages lost due to rate-limiting",
                None,
            ),
            ("some messages dropped", None),
            ("", None),
        ] {
            assert_eq!(read(line.as_bytes()), count, "{line}");
        }
    }
}
