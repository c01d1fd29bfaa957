//! What the rules have reported so far.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{Finding, Severity, subject::UNNAMED};
use crate::{event::Time, model::InstanceKey};

/// Findings with different fingerprints that are kept; the rest is counted.
pub const MOST_FINDINGS: usize = 10_000;

/// Devices on which one rule stayed silent whose names are kept.
const MOST_SILENT: usize = 10_000;

/// That a rule had to stay silent on some devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Silence {
    /// The devices, with the reason of the last time.
    pub devices: BTreeMap<InstanceKey, (String, String)>,
    /// How many times, on whatever device.
    pub count: u64,
}

/// Takes what rules report: findings, counted where they repeat, and where a rule had to stay silent.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    by_fingerprint: HashMap<String, usize>,
    updates: Vec<Finding>,
    /// Findings on devices that had no name yet.
    unnamed: Vec<usize>,
    silence: BTreeMap<&'static str, Silence>,
    dropped: u64,
}

impl Report {
    /// Reports a finding. One with a known fingerprint is counted, and replaces what is known where it is
    /// worse.
    pub fn submit(&mut self, finding: Finding) {
        if let Some(known) = self
            .by_fingerprint
            .get(&finding.fingerprint)
            .and_then(|index| self.findings.get_mut(*index))
        {
            let (count, first) = (known.count.saturating_add(finding.count), known.first);
            let last = finding.last;
            if finding.severity > known.severity {
                *known = finding;
                known.first = first;
            }
            known.count = count;
            known.last = last;
            self.updates.push(known.clone());
            return;
        }
        if self.findings.len() >= MOST_FINDINGS {
            self.dropped += 1;
            return;
        }
        self.by_fingerprint
            .insert(finding.fingerprint.clone(), self.findings.len());
        if finding.device == UNNAMED {
            self.unnamed.push(self.findings.len());
        }
        self.updates.push(finding.clone());
        self.findings.push(finding);
    }

    /// Reports what has become of a finding: it takes the place of the known one with its fingerprint, unless that
    /// is worse, and is not counted once more.
    pub fn update(&mut self, finding: Finding) {
        let Some(known) = self
            .by_fingerprint
            .get(&finding.fingerprint)
            .and_then(|index| self.findings.get_mut(*index))
        else {
            self.submit(finding);
            return;
        };
        let (count, first) = (known.count.max(finding.count), known.first);
        let last = finding.last;
        if finding.severity >= known.severity {
            *known = finding;
            known.first = first;
        }
        known.count = count;
        known.last = last;
        self.updates.push(known.clone());
    }

    /// Counts a finding that is known and at least as bad; whether that was so. Spares a rule the making of
    /// what would only be counted.
    pub fn repeat(&mut self, fingerprint: &str, severity: Severity, now: Time) -> bool {
        let known = self
            .by_fingerprint
            .get(fingerprint)
            .and_then(|index| self.findings.get_mut(*index))
            .filter(|known| known.severity >= severity);
        if let Some(known) = known {
            known.count = known.count.saturating_add(1);
            known.last = now;
            return true;
        }
        false
    }

    /// A device has its name at last: so what was found on it before can be chosen by it.
    pub fn name(&mut self, device: InstanceKey, name: &str) {
        let (findings, updates) = (&mut self.findings, &mut self.updates);
        self.unnamed.retain(|index| {
            let Some(finding) = findings.get_mut(*index) else {
                return false;
            };
            if finding.instance != device || finding.device != UNNAMED {
                return finding.device == UNNAMED;
            }
            name.clone_into(&mut finding.device);
            updates.push(finding.clone());
            false
        });
    }

    /// Reports that `rule` could not judge something on a device, and why.
    pub fn stay_silent(&mut self, rule: &'static str, device: InstanceKey, name: &str, why: &str) {
        let silence = self.silence.entry(rule).or_default();
        silence.count += 1;
        if silence.devices.len() < MOST_SILENT || silence.devices.contains_key(&device) {
            silence
                .devices
                .insert(device, (name.to_owned(), why.to_owned()));
        }
    }

    /// All findings, in the order of their first report.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was new or changed since [`forget_updates`](Self::forget_updates).
    #[must_use]
    pub fn updates(&self) -> &[Finding] {
        &self.updates
    }

    /// What is reported from now on is new.
    pub fn forget_updates(&mut self) {
        self.updates.clear();
    }

    /// Where rules had to stay silent, by rule.
    #[must_use]
    pub fn silence(&self) -> &BTreeMap<&'static str, Silence> {
        &self.silence
    }

    /// Findings that were not kept because there were too many different ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
