//! How a trace file ends, and what is wrong with it.

use std::fmt;

use super::header::End;

/// How a file ended, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Integrity {
    /// What it says at its end; `None` where it was not read so far, or not cleanly finished.
    pub end: Option<End>,
    /// What is damaged, in the order of the file: the first few places.
    pub damages: Vec<Damage>,
    /// In how many places it is damaged.
    pub damage_count: u64,
    /// It just stops, without an end.
    pub cut_off: bool,
    /// The rest was not read, because so much was damaged.
    pub given_up: bool,
}

/// A place at which a file is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where, in bytes from the file's beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "damaged at byte {}: {}", self.offset, self.what)
    }
}

impl Integrity {
    /// Places that are kept; the others are counted.
    const MOST: usize = 10;

    pub(super) fn damaged(&mut self, offset: u64, what: &'static str) {
        self.damage_count += 1;
        if self.damages.len() < Self::MOST {
            self.damages.push(Damage { offset, what });
        }
    }

    /// What keeps the events from being all there were, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.damages.iter().map(ToString::to_string).collect();
        let more = self.damage_count.saturating_sub(problems.len() as u64);
        if more > 0 {
            problems.push(format!("damaged in {more} more places"));
        }
        if let Some(end) = &self.end {
            problems.extend(end.problems.iter().cloned());
        }
        if self.given_up {
            problems.push("the rest was not read".to_owned());
        }
        if self.cut_off {
            problems.push(
                "not cleanly finished: the recorder was killed, or the file was cut off; the end is missing"
                    .to_owned(),
            );
        }
        problems
    }
}
