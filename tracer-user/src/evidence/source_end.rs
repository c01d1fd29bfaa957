//! What a source says when its events have come to an end.

use super::{LineCounts, LostBy};
use crate::event::Time;

/// What a source says when its events have come to an end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceEnd {
    /// Where events found no room, as far as the kernel side says.
    pub lost_by: Vec<LostBy>,
    /// How much was recognised, where it is a text.
    pub lines: Option<LineCounts>,
    /// What keeps the events from being all there were, one sentence each. Each is a loss among the events too.
    pub problems: Vec<String>,
    /// Why it could not be read to its end, if it couldn't: what came behind is not known.
    pub damage: Option<String>,
    /// Until when nothing more had happened, where that is reported.
    pub until: Option<Time>,
}

impl SourceEnd {
    /// The running kernel was no longer traced; what found no room until then.
    #[must_use]
    pub fn of_kernel(lost_by: Vec<LostBy>) -> Self {
        Self {
            lost_by,
            ..Self::default()
        }
    }

    /// All that keeps the events from being all there were.
    pub fn gaps(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(&self.damage)
    }
}
