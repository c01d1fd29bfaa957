//! The table of all forms of a report's first line.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{
    complaint, fault,
    forms::{Form, Header},
    memory, stuck, warning,
};
use crate::source::text::scan::automaton;

/// One search for the words of all forms: hardly a line has any of them.
static ANY: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| automaton(all().map(|form| form.words)));

/// Every form. Of several that fit, the first one counts.
pub(super) fn all() -> impl Iterator<Item = &'static Form> {
    [
        complaint::FORMS,
        memory::FORMS,
        stuck::FORMS,
        fault::FORMS,
        warning::FORMS,
    ]
    .into_iter()
    .flatten()
}

/// What a line is of a report.
pub(super) enum First {
    /// Its first line.
    Whole(Header),
    /// It has the words of one, and lacks something.
    Begun,
    /// Nothing that begins one.
    No,
}

/// Reads a line, if it is the first one of a report.
pub(super) fn read(line: &[u8]) -> First {
    let mut first = First::No;
    if ANY.as_ref().is_some_and(|any| !any.is_match(line)) {
        return first;
    }
    for form in all() {
        let Some(at) = memchr::memmem::find(line, form.words.as_bytes()) else {
            continue;
        };
        first = First::Begun;
        let (before, found) = line.split_at(at);
        let rest = found.get(form.words.len()..).unwrap_or_default();
        if let Some(header) = (form.read)(before, rest) {
            return First::Whole(header);
        }
    }
    first
}

impl First {
    /// What it says.
    pub(super) fn header(self) -> Option<Header> {
        match self {
            Self::Whole(header) => Some(header),
            Self::Begun | Self::No => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_its_own_example() {
        for form in all() {
            let header = read(form.example.as_bytes()).header();
            assert!(header.is_some(), "{}", form.example);
            assert!(!form.seen.is_empty(), "{}", form.example);
        }
    }
}
