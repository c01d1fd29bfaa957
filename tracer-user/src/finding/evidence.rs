//! How much evidence a finding has, so that of several the one with the most is shown.

use super::{Certainty, Finding};
use crate::model::{Node, Origin};

/// How many of several things are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Share {
    /// None of them, or there are none.
    #[default]
    None,
    /// Some, not all.
    Some,
    /// All.
    All,
}

impl Share {
    fn of(known: usize, all: usize) -> Self {
        match known {
            0 => Self::None,
            known if known < all => Self::Some,
            _ => Self::All,
        }
    }
}

/// What is known of those who added the resources of a finding. More is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Adders {
    /// Their call stacks.
    stacks: Share,
    /// When it was and which task.
    times: Share,
}

impl Adders {
    /// Those of the resources that a finding would name.
    #[must_use]
    pub fn of_nodes(nodes: &[&Node]) -> Self {
        let stacks = nodes.iter().filter(|node| node.stack().is_some()).count();
        let seen = |node: &&&Node| node.origin() == Origin::Seen;
        Self {
            stacks: Share::of(stacks, nodes.len()),
            times: Share::of(nodes.iter().filter(seen).count(), nodes.len()),
        }
    }

    fn of_finding(finding: &Finding) -> Self {
        let adders = || finding.resources.iter().map(|resource| &resource.added);
        let all = finding.resources.len();
        Self {
            stacks: Share::of(
                adders().filter(|added| !added.stack.is_empty()).count(),
                all,
            ),
            times: Share::of(adders().filter(|added| added.time.is_some()).count(), all),
        }
    }
}

/// How much evidence a finding has. More is greater; of the same severity the greatest is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Every step of it was seen.
    confirmed: bool,
    /// Its order is complete: the release of each of its resources was observed, if it is about that.
    ended: bool,
    /// Who added the resources.
    adders: Adders,
    /// Whose doing it was: nobody's, somebody's, somebody's with a call stack.
    cause: Share,
}

impl Evidence {
    /// The evidence of a finding.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let ended = finding.delay_since.is_empty()
            || finding.resources.iter().all(|one| one.delay.is_some());
        Self {
            confirmed: finding.certainty == Certainty::Confirmed,
            ended: ended && !finding.order.is_empty(),
            adders: Adders::of_finding(finding),
            cause: match &finding.caused_by {
                None => Share::None,
                Some(cause) if cause.stack.is_empty() => Share::Some,
                Some(_) => Share::All,
            },
        }
    }

    /// Whether the same finding, with these adders and this certainty, would have more evidence.
    pub(super) fn would_grow(self, certainty: Certainty, adders: Adders) -> bool {
        let offered = Self {
            confirmed: certainty == Certainty::Confirmed,
            adders,
            ..self
        };
        offered > self
    }
}
