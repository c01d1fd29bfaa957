//! Lines in which a log or trace says that it is not complete.

use memchr::memmem::Finder;

use super::scan::{digits, last_word};

/// Recognises such lines.
#[derive(Debug)]
pub(super) struct Losses {
    words: [Finder<'static>; 5],
}

impl Losses {
    pub(super) fn new() -> Self {
        Self {
            words: [
                // ftrace and trace-cmd: `CPU:2 [LOST 37 EVENTS]`, `CPU:2 [EVENTS DROPPED]`.
                Finder::new(b"[LOST "),
                Finder::new(b"[EVENTS DROPPED]"),
                // perf: `PERF_RECORD_LOST lost 37`.
                Finder::new(b"PERF_RECORD_LOST lost "),
                // printk: `** 37 printk messages dropped **`.
                Finder::new(b" messages dropped"),
                // journald: `Missed 37 kernel messages`.
                Finder::new(b": Missed "),
            ],
        }
    }

    /// How many events or messages are missing at this line; at least one where it says none.
    pub(super) fn look(&self, line: &[u8]) -> Option<u64> {
        let [ftrace, dropped, perf, printk, journald] = &self.words;
        let behind = |finder: &Finder<'_>| {
            let at = finder.find(line)? + finder.needle().len();
            digits(line.get(at..)?)
        };
        if let Some((count, _)) = behind(ftrace).or_else(|| behind(perf)) {
            return Some(count);
        }
        if let Some((count, rest)) = behind(journald)
            && rest.starts_with(b" kernel messages")
        {
            return Some(count);
        }
        if dropped.find(line).is_some() {
            return Some(1);
        }
        let before = line.get(..printk.find(line)?)?;
        let before = before.strip_suffix(b" printk").unwrap_or(before);
        let (_, count) = last_word(before)?;
        digits(count)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(count, _)| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_all_tools_are_counted() {
        let losses = Losses::new();
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
            assert_eq!(losses.look(line.as_bytes()), count, "{line}");
        }
    }
}
