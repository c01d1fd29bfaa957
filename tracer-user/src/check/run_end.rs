//! How a run ended, and what of it was not seen.

use jiff::civil::Date;

use super::{exercise::Exercised, results::Test, selection::Place};
use crate::{
    engine::Outcome,
    evidence::{CommandEnd, LostBy},
};

/// How a run ended, beside what its events say.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// The day, for expectations that end.
    pub today: Date,
    /// How the command ended, if one was run.
    pub command: Option<CommandEnd>,
    /// Why the run is not whole, if it isn't: it was interrupted, or the input is damaged.
    pub cut_short: Option<String>,
    /// Why the run was not recorded, though that was asked for.
    pub unrecorded: Option<String>,
    /// Where events were lost, as far as the kernel side reports it.
    pub lost_by: Vec<LostBy>,
    /// What the exercise did, if there was one.
    pub exercised: Option<Exercised>,
    /// What the exercise of each of several devices came to.
    pub exercised_each: Vec<(Place, Test)>,
    /// How many of these an earlier run has judged.
    pub judged_before: usize,
}

impl RunEnd {
    /// A run that came to its end on this day, with nothing else to say.
    #[must_use]
    pub fn on(today: Date) -> Self {
        Self {
            today,
            command: None,
            cut_short: None,
            unrecorded: None,
            lost_by: Vec::new(),
            exercised: None,
            exercised_each: Vec::new(),
            judged_before: 0,
        }
    }
}

/// That so many events were lost.
pub(super) fn lost(events: u64) -> String {
    match events {
        1 => "1 event was lost".to_owned(),
        events => format!("{events} events were lost"),
    }
}

/// That so many events don't fit those before them.
pub(super) fn misfits(events: u64) -> String {
    let events = match events {
        1 => "1 event does not".to_owned(),
        events => format!("{events} events do not"),
    };
    format!("{events} fit the events before: events are missing, duplicated or out of order")
}

/// Why what was not found may have been missed, whatever it is.
pub(super) fn gap(outcome: &Outcome, ending: &RunEnd) -> Option<String> {
    if outcome.lost > 0 {
        Some(lost(outcome.lost))
    } else if outcome.desyncs > 0 {
        Some("the tracer's model and the kernel disagreed".to_owned())
    } else if let Some(silent) = outcome.silent_hooks.first() {
        Some(silent.to_string())
    } else if outcome.misfits > 0 {
        Some(misfits(outcome.misfits))
    } else {
        ending.cut_short.clone()
    }
}
