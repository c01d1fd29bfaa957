//! What a sink has told of each finding, so that it need not tell it again.

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity};

/// The findings that were told, by fingerprint: how bad they were then, and their summary.
pub(super) struct Told(BTreeMap<String, (Severity, String)>);

impl Told {
    /// Nothing was told yet.
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether a finding is new, or worse than when it was told.
    pub(super) fn is_worse(&self, finding: &Finding) -> bool {
        self.0
            .get(&finding.fingerprint)
            .is_none_or(|(severity, _)| finding.severity > *severity)
    }

    /// Whether a finding was told as it is now, but for its count.
    pub(super) fn knows(&self, finding: &Finding) -> bool {
        self.0
            .get(&finding.fingerprint)
            .is_some_and(|(severity, summary)| {
                finding.severity == *severity && *summary == finding.summary
            })
    }

    /// The finding is told as it is now.
    pub(super) fn remember(&mut self, finding: &Finding) {
        let told = (finding.severity, finding.summary.clone());
        self.0.insert(finding.fingerprint.clone(), told);
    }
}
