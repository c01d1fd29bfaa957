//! The device that a finding is about.

use super::{Certainty, Finding, Occurrences, Severity};
use crate::{
    event::{Text, Time},
    finding::RuleInfo,
    model::{Device, InstanceKey},
};

/// How a device without a name is called.
pub(super) const UNNAMED: &str = "an unnamed device";
/// How a device is called of which nothing is known.
pub const UNKNOWN: &str = "an unknown device";

/// What identifies a device in findings, kept for when the device has changed or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which instance.
    pub key: InstanceKey,
    name: Option<Text>,
    driver: Option<Text>,
    bus: Option<Text>,
}

impl Subject {
    /// The device as it is now; its driver is the last one that it had.
    #[must_use]
    pub fn of(device: Device<'_>) -> Self {
        let identity = device.identity();
        Self {
            key: device.key(),
            name: identity.name.clone(),
            driver: device.last_driver().cloned(),
            bus: identity.bus.clone(),
        }
    }

    /// A device of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            key: InstanceKey::default(),
            name: Some(Text::from(UNKNOWN)),
            driver: None,
            bus: None,
        }
    }

    /// Its name, for a sentence.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(UNNAMED)
    }

    /// Its name, to be kept.
    #[must_use]
    pub(super) fn text(&self) -> Text {
        self.name.clone().unwrap_or_else(|| Text::from(UNNAMED))
    }

    /// Its driver's name, or that of the last one.
    #[must_use]
    pub fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    /// Its bus's name, or its class's where it has none.
    #[must_use]
    pub fn bus(&self) -> Option<&str> {
        self.bus.as_deref()
    }

    /// What makes findings of `rule` on this bus and driver, about `what`, the same in every run.
    #[must_use]
    pub fn fingerprint(&self, rule: &RuleInfo, what: &str) -> String {
        let bus = self.bus.as_deref().unwrap_or("?");
        let driver = self.driver.as_deref().unwrap_or("?");
        if what.is_empty() {
            format!("{}/{bus}/{driver}", rule.id)
        } else {
            format!("{}/{bus}/{driver}/{what}", rule.id)
        }
    }

    /// A confirmed finding about it, which so far only says where.
    #[must_use]
    pub fn finding(&self, rule: &RuleInfo, severity: Severity, what: &str, now: Time) -> Finding {
        Finding {
            rule: rule.id,
            severity,
            certainty: Certainty::Confirmed,
            device: self.name().to_owned(),
            instance: self.key,
            driver: self.driver.as_deref().map(str::to_owned),
            bus: self.bus.as_deref().map(str::to_owned),
            fingerprint: self.fingerprint(rule, what),
            count: 1,
            caused_by: None,
            summary: String::new(),
            meaning: String::new(),
            known: None,
            resources: Vec::new(),
            delay_since: "",
            order: Vec::new(),
            expected: Vec::new(),
            next: Vec::new(),
            first: now,
            last: now,
            numbered: false,
            occurrences: Occurrences::default(),
        }
    }
}
