//! The boot that died, in a log of several.

use std::ops::Range;

use memchr::memmem;

use crate::source::text;

/// What every boot begins with.
const BOOT: &[u8] = b"Linux version ";

/// A boot in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// Whether another boot follows although the log does not say that this one died.
    pub reset_without_a_word: bool,
}

/// The last boot of which the log says that it died; else the last one that was followed by another; else all of it.
#[must_use]
pub fn died(log: &[u8]) -> Segment {
    let mut begins: Vec<usize> = memmem::find_iter(log, BOOT)
        .map(|at| {
            log.get(..at)
                .and_then(|before| before.iter().rposition(|byte| *byte == b'\n'))
                .map_or(0, |newline| newline + 1)
        })
        .collect();
    begins.dedup();
    if begins.first() != Some(&0) {
        begins.insert(0, 0);
    }
    let ends = begins.iter().skip(1).copied().chain([log.len()]);
    let boots: Vec<Range<usize>> = begins
        .iter()
        .zip(ends)
        .map(|(begin, end)| *begin..end)
        .collect();
    let told = boots.iter().rev().find(|boot| {
        log.get((*boot).clone())
            .is_some_and(|text| text::death(text).is_some())
    });
    let (bytes, reset_without_a_word) = match (told, boots.as_slice()) {
        (Some(told), _) => (told.clone(), false),
        // What stands before the first boot of a log is the firmware's.
        (None, [.., before, _])
            if memmem::find(log.get(before.clone()).unwrap_or_default(), BOOT).is_some() =>
        {
            (before.clone(), true)
        }
        (None, _) => (0..log.len(), false),
    };
    Segment {
        bytes,
        reset_without_a_word,
    }
}

#[cfg(test)]
mod tests {
    use super::died;

    const FIRST: &str = "[    0.0] Linux version 6.1.0\n[    1.0] working\n";
    const DIES: &str = "[    0.0] Linux version 6.1.0\n[    1.0] Kernel panic - not syncing: x\n";

    #[test]
    fn the_boot_that_died_is_taken() {
        let log = format!("firmware\n{FIRST}{DIES}{FIRST}");
        let found = died(log.as_bytes());
        assert_eq!(log.get(found.bytes), Some(DIES));
        assert!(!found.reset_without_a_word);
    }

    #[test]
    fn a_boot_that_another_follows_was_reset() {
        let log = format!("{FIRST}{FIRST}");
        let found = died(log.as_bytes());
        assert_eq!(found.bytes, 0..FIRST.len());
        assert!(found.reset_without_a_word);
        let alone = format!("firmware\n{FIRST}");
        let found = died(alone.as_bytes());
        assert_eq!(found.bytes, 0..alone.len());
        assert!(!found.reset_without_a_word);
    }
}
