//! What the rules have reported so far.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{
    Adders, Certainty, Doubt, Evidence, Finding, Occurrence, Severity, Subject, subject::UNNAMED,
};
use crate::{event::Time, evidence::Coverage, model::InstanceKey};

/// Findings with different fingerprints that are kept; the rest is counted.
pub const MOST_FINDINGS: usize = 10_000;

/// Occurrences of all findings that are kept. Beyond it no finding keeps more than it has already.
const MOST_OCCURRENCES_IN_ALL: usize = 100_000;

/// Devices on which one rule stayed silent that are kept.
const MOST_SILENT: usize = 10_000;

/// That a rule had to stay silent on some devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Silence {
    /// The devices, with the reason of the last time.
    pub devices: BTreeMap<InstanceKey, Doubt>,
    /// How many times, on whatever device.
    pub count: u64,
    /// What could not be judged can be as bad as anything, not only as the rule's own findings.
    pub open: bool,
}

/// What a rule knows of a finding before it makes it.
#[derive(Debug, Clone, Copy)]
pub struct Repeat<'a> {
    /// The device that it is on.
    pub subject: &'a Subject,
    /// Its fingerprint.
    pub fingerprint: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who added the resources that it would name.
    pub adders: Adders,
    /// When it is found.
    pub now: Time,
}

/// Takes what rules report: findings, counted where they repeat, and where a rule had to stay silent.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// How much evidence each finding has.
    evidence: Vec<Evidence>,
    by_fingerprint: HashMap<String, usize>,
    updates: Vec<Finding>,
    occurred: Vec<(usize, Occurrence)>,
    /// Occurrences that are kept, of all findings.
    occurrences: usize,
    /// Findings on devices that had no name yet.
    unnamed: Vec<usize>,
    silence: BTreeMap<&'static str, Silence>,
    dropped: u64,
    /// Whether times count events.
    numbered: bool,
}

impl Report {
    /// A report of nothing, on events of a source that has times, or else numbers.
    #[must_use]
    pub fn new(coverage: &Coverage) -> Self {
        Self {
            numbered: !coverage.times,
            ..Self::default()
        }
    }

    /// Reports a finding. One with a known fingerprint is counted, and takes the place of the known one where it is
    /// worse, or as bad with more evidence.
    pub fn submit(&mut self, finding: Finding) {
        let finding = self.marked(finding);
        let occurrence = Occurrence::of(&finding);
        let Some(index) = self.by_fingerprint.get(&finding.fingerprint).copied() else {
            self.begin(finding, occurrence);
            return;
        };
        let evidence = Evidence::of(&finding);
        if let Some(known) = self.findings.get_mut(index) {
            let count = known.count.saturating_add(finding.count);
            let is_better = match self.evidence.get(index) {
                Some(told) => (finding.severity, evidence) > (known.severity, *told),
                None => true,
            };
            take_in(known, finding, is_better);
            known.count = count;
            if is_better && let Some(told) = self.evidence.get_mut(index) {
                *told = evidence;
            }
        }
        self.occurs(index, occurrence);
        self.updates.extend(self.findings.get(index).cloned());
    }

    /// The finding, which knows whether its times count events.
    fn marked(&self, finding: Finding) -> Finding {
        Finding {
            numbered: self.numbered,
            ..finding
        }
    }

    fn begin(&mut self, finding: Finding, occurrence: Occurrence) {
        if self.findings.len() >= MOST_FINDINGS {
            self.dropped += 1;
            return;
        }
        let index = self.findings.len();
        self.by_fingerprint
            .insert(finding.fingerprint.clone(), index);
        self.evidence.push(Evidence::of(&finding));
        if finding.device == UNNAMED {
            self.unnamed.push(index);
        }
        self.findings.push(finding);
        self.occurs(index, occurrence);
        self.updates.extend(self.findings.get(index).cloned());
    }

    /// Reports what has become of a finding: it takes the place of the known one with its fingerprint, unless that
    /// is worse or has more evidence, and is not counted again.
    pub fn update(&mut self, finding: Finding) {
        let Some(index) = self.by_fingerprint.get(&finding.fingerprint).copied() else {
            self.submit(finding);
            return;
        };
        let finding = self.marked(finding);
        let (occurrence, evidence) = (Occurrence::of(&finding), Evidence::of(&finding));
        let Some(known) = self.findings.get_mut(index) else {
            return;
        };
        // A rule that counts itself says so with a greater count.
        let is_new = finding.count > known.count;
        let count = known.count.max(finding.count);
        let is_better = match self.evidence.get(index) {
            // What was reported about this device is out of date.
            Some(_) if finding.instance == known.instance => finding.severity >= known.severity,
            Some(told) => (finding.severity, evidence) >= (known.severity, *told),
            None => true,
        };
        take_in(known, finding, is_better);
        known.count = count;
        if is_better && let Some(told) = self.evidence.get_mut(index) {
            *told = evidence;
        }
        if is_new || !known.occurrences.replace_last(&occurrence) {
            self.occurs(index, occurrence);
        }
        self.updates.extend(self.findings.get(index).cloned());
    }

    /// Counts a finding that is known, at least as bad, with at least as much evidence; whether that was so. Spares a
    /// rule the making of what would only be counted.
    pub fn repeat(&mut self, again: &Repeat<'_>) -> bool {
        let Some(index) = self.by_fingerprint.get(again.fingerprint).copied() else {
            return false;
        };
        let (Some(known), Some(told)) = (self.findings.get_mut(index), self.evidence.get(index))
        else {
            return false;
        };
        let would_be_better = again.severity > known.severity
            || (again.severity == known.severity && told.would_grow(again.certainty, again.adders));
        if would_be_better {
            return false;
        }
        known.count = known.count.saturating_add(1);
        known.last = known.last.max(again.now);
        let occurrence = Occurrence {
            time: again.now,
            device: again.subject.text(),
            instance: again.subject.key,
            severity: again.severity,
            certainty: again.certainty,
            cause: None,
            moments: Vec::new(),
        };
        self.occurs(index, occurrence);
        true
    }

    /// A finding was made once more.
    fn occurs(&mut self, index: usize, occurrence: Occurrence) {
        let Some(known) = self.findings.get_mut(index) else {
            return;
        };
        let may_grow = self.occurrences < MOST_OCCURRENCES_IN_ALL;
        let grown = known.occurrences.push(occurrence.clone(), may_grow);
        self.occurrences += usize::from(grown);
        known.count = known.count.max(known.occurrences.total());
        self.occurred.push((index, occurrence));
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
    pub fn stay_silent(&mut self, rule: &'static str, device: InstanceKey, doubt: Doubt) {
        let silence = self.silence.entry(rule).or_default();
        silence.count += 1;
        if silence.devices.len() < MOST_SILENT || silence.devices.contains_key(&device) {
            silence.devices.insert(device, doubt);
        }
    }

    /// Reports that something happened on a device whose cause is open: whatever any rule can find.
    pub fn leave_open(&mut self, rule: &'static str, device: InstanceKey, doubt: Doubt) {
        self.stay_silent(rule, device, doubt);
        if let Some(silence) = self.silence.get_mut(rule) {
            silence.open = true;
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

    /// What occurred since [`forget_updates`](Self::forget_updates), with the finding's place among
    /// [`findings`](Self::findings).
    #[must_use]
    pub fn occurred(&self) -> &[(usize, Occurrence)] {
        &self.occurred
    }

    /// What is reported from now on is new.
    pub fn forget_updates(&mut self) {
        self.updates.clear();
        self.occurred.clear();
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

/// A known finding was made once more; where that is better it is shown from now on. Its count is left as it is.
fn take_in(known: &mut Finding, finding: Finding, is_better: bool) {
    let (first, last) = (known.first.min(finding.first), known.last.max(finding.last));
    if is_better {
        let occurrences = std::mem::take(&mut known.occurrences);
        let count = known.count;
        *known = Finding {
            count,
            occurrences,
            ..finding
        };
    }
    known.first = first;
    known.last = last;
}
