//! What a device owns at one moment, in a form that can be kept and compared.

use std::{fmt, sync::Arc};

use crate::{
    escape::Escaped,
    event::Text,
    finding,
    model::{Device, Node},
};

/// One resource, or a marker of a group: what must be the same each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name that the kernel logs, or the function where it names all actions alike.
    pub name: Text,
    /// Payload size in bytes, where the kernel keeps it.
    pub size: Option<u64>,
}

impl Entry {
    /// A node's entry.
    #[must_use]
    pub(super) fn of(node: &Node) -> Self {
        Self {
            name: Arc::from(finding::label(node)),
            size: node.size(),
        }
    }

    /// Whether the two can be the same resource. That of one the name is not known, because its module went before
    /// its symbols could be read, is no difference.
    fn is_like(&self, other: &Self) -> bool {
        let nameless = |entry: &Self| finding::is_nameless(&entry.name);
        self.size == other.size && (self.name == other.name || nameless(self) || nameless(other))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Escaped(&self.name))?;
        match self.size {
            Some(size) => write!(formatter, " ({size} bytes)"),
            None => Ok(()),
        }
    }
}

/// What a device owns, oldest first, with the markers of groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stack {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many of them are resources, and no markers.
    pub resources: usize,
}

impl Stack {
    /// What a device owns now.
    #[must_use]
    pub(super) fn of(device: Device<'_>) -> Self {
        let mut stack = Self::default();
        for (_, node) in device.nodes() {
            stack.resources += usize::from(!node.kind().is_marker());
            stack.entries.push(Entry::of(node));
        }
        stack
    }

    /// In what `other` differs from this, in words; `None` if in nothing.
    #[must_use]
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let same_at_bottom = self
            .entries
            .iter()
            .zip(&other.entries)
            .take_while(|(one, two)| one.is_like(two))
            .count();
        let before = self.entries.get(same_at_bottom..).unwrap_or_default();
        let after = other.entries.get(same_at_bottom..).unwrap_or_default();
        let same_on_top = before
            .iter()
            .rev()
            .zip(after.iter().rev())
            .take_while(|(one, two)| one.is_like(two))
            .count();
        let gone = before.get(..before.len() - same_on_top).unwrap_or_default();
        let new = after.get(..after.len() - same_on_top).unwrap_or_default();
        let counts = format!(
            "{} resources instead of {}",
            other.resources, self.resources
        );
        let counts = if other.resources == self.resources {
            "same number of resources"
        } else {
            &counts
        };
        let place = same_at_bottom + 1;
        Some(match (gone, new) {
            ([], []) => return None,
            ([], new) => format!(
                "{counts}; first new one, number {place} from the bottom: {}",
                list(new)
            ),
            (gone, []) => {
                format!(
                    "{counts}; first missing one, number {place} from the bottom: {}",
                    list(gone)
                )
            }
            (gone, new) => format!(
                "{counts}; number {place} from the bottom is {} instead of {}",
                list(new),
                list(gone)
            ),
        })
    }
}

/// Entries in words, not too many.
#[must_use]
pub(super) fn list(entries: &[Entry]) -> String {
    /// Entries that are listed one by one.
    const MOST: usize = 6;
    let mut words: Vec<String> = entries.iter().take(MOST).map(ToString::to_string).collect();
    if entries.len() > MOST {
        words.push(format!("{} more", entries.len() - MOST));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(entries: &[(&str, u64)]) -> Stack {
        Stack {
            entries: entries
                .iter()
                .map(|(name, size)| Entry {
                    name: Arc::from(*name),
                    size: Some(*size),
                })
                .collect(),
            resources: entries.len(),
        }
    }

    #[test]
    fn the_difference_says_what_and_where() {
        let first = stack(&[("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(first.difference(&first.clone()), None);
        for (other, words) in [
            (
                stack(&[("a", 1), ("b", 2), ("x", 9), ("c", 3)]),
                "4 resources instead of 3; first new one, number 3 from the bottom: x (9 bytes)",
            ),
            (
                stack(&[("a", 1), ("c", 3)]),
                "2 resources instead of 3; first missing one, number 2 from the bottom: b (2 bytes)",
            ),
            (
                stack(&[("a", 1), ("b", 4), ("c", 3)]),
                "same number of resources; number 2 from the bottom is b (4 bytes) instead of b (2 bytes)",
            ),
            (
                stack(&[("b", 2), ("a", 1), ("c", 3)]),
                "as many resources; number 1 from the bottom on is b (2 bytes), a (1 bytes) instead of \
                 a (1 bytes), b (2 bytes)",
            ),
            (
                stack(&[("a", 1), ("a", 1), ("b", 2), ("c", 3)]),
                "4 resources instead of 3; first new one, number 2 from the bottom: a (1 bytes)",
            ),
        ] {
            assert_eq!(first.difference(&other).as_deref(), Some(words));
        }
    }

    #[test]
    fn what_has_no_known_name_differs_only_by_its_size() {
        let first = stack(&[("a", 1), ("lm75_remove", 16), ("c", 3)]);
        let nameless = stack(&[("a", 1), ("devm_action_release", 16), ("c", 3)]);
        assert_eq!(first.difference(&nameless), None);
        assert_eq!(nameless.difference(&first), None);
        let larger = stack(&[("a", 1), ("devm_action_release", 24), ("c", 3)]);
        assert!(first.difference(&larger).is_some());
    }
}
