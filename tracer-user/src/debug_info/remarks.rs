//! What there is to say of lines that are not known.

use std::{collections::BTreeSet, path::Path};

use crate::event::{Function, Text};

/// So many names are listed.
const MOST_NAMES: usize = 8;

/// Why lines are missing, or not certain.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Files that are not used, and why.
    refused: BTreeSet<String>,
    /// Of what no debug file was found.
    missing: BTreeSet<String>,
    /// Whose build is not known, so that the file may be of another.
    unchecked: BTreeSet<String>,
    /// Functions of which there are several.
    ambiguous: BTreeSet<String>,
}

impl Remarks {
    pub(super) fn refused(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        self.refused
            .insert(format!("{} is not used: {why}", path.display()));
    }

    pub(super) fn several(&mut self, module: Option<&Text>, paths: [&Path; 2]) {
        let [one, other] = paths.map(Path::display);
        self.refused.insert(format!(
            "the recording does not say which build of {} it is of, and {one} and {other} differ: neither is used",
            named(module)
        ));
    }

    pub(super) fn missing(&mut self, module: Option<&Text>) {
        self.missing.insert(named(module));
    }

    pub(super) fn unchecked(&mut self, module: Option<&Text>) {
        self.unchecked.insert(named(module));
    }

    pub(super) fn ambiguous(&mut self, function: &Function) {
        self.ambiguous.insert(function.to_string());
    }

    /// One sentence for each.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.refused.iter().cloned().collect();
        if !self.missing.is_empty() {
            sentences.push(format!("no debug info for {}", list(&self.missing)));
        }
        if !self.unchecked.is_empty() {
            sentences.push(format!(
                "the recording has no build id of {}: the lines are right only if the debug info is of the same build",
                list(&self.unchecked)
            ));
        }
        if !self.ambiguous.is_empty() {
            sentences.push(format!(
                "no line for {}: several functions have the name",
                list(&self.ambiguous)
            ));
        }
        sentences
    }
}

fn named(module: Option<&Text>) -> String {
    module.map_or_else(
        || "the kernel".to_owned(),
        |module| format!("module {module}"),
    )
}

/// The names, or the first of them.
fn list(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    let shown = shown.join(", ");
    match names.len().checked_sub(MOST_NAMES) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
