//! What a sink has said of each finding, so that it need not repeat it.

use std::collections::BTreeMap;

use crate::finding::{Evidence, Finding, Severity};

/// The findings that were reported, by fingerprint.
pub(super) struct Reported(BTreeMap<String, Version>);

/// What was said about a finding.
#[derive(PartialEq)]
struct Version {
    severity: Severity,
    /// How much it reported.
    evidence: Evidence,
    summary: String,
}

impl Version {
    fn of(finding: &Finding) -> Self {
        Self {
            severity: finding.severity,
            evidence: Evidence::of(finding),
            summary: finding.summary.clone(),
        }
    }
}

impl Reported {
    /// Nothing was reported yet.
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether a finding is new, or worse than when it was reported.
    pub(super) fn is_worse(&self, finding: &Finding) -> bool {
        self.0
            .get(&finding.fingerprint)
            .is_none_or(|told| finding.severity > told.severity)
    }

    /// Whether a finding was reported as it is now, but for its count.
    pub(super) fn knows(&self, finding: &Finding) -> bool {
        self.0
            .get(&finding.fingerprint)
            .is_some_and(|told| *told == Version::of(finding))
    }

    /// The finding is reported as it is now.
    pub(super) fn remember(&mut self, finding: &Finding) {
        let told = Version::of(finding);
        self.0.insert(finding.fingerprint.clone(), told);
    }
}
