//! The table of all forms of a report's first line.

use super::{
    complaint, fault,
    forms::{Form, Header},
    memory, stuck, warning,
};

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

/// Reads a line, if it is the first one of a report.
pub(super) fn read(line: &[u8]) -> Option<Header> {
    all().find_map(|form| {
        let at = memchr::memmem::find(line, form.words.as_bytes())?;
        let (before, found) = line.split_at_checked(at)?;
        (form.read)(before, found.get(form.words.len()..)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_its_own_example() {
        for form in all() {
            let header = read(form.example.as_bytes());
            assert!(header.is_some(), "{}", form.example);
            assert!(!form.seen.is_empty(), "{}", form.example);
        }
    }
}
