//! What is typed behind `/`: words that all must fit a device.

use hashbrown::HashMap;

use super::row::Row;
use crate::{
    escape::escape,
    event::DeviceAddress,
    finding::label,
    model::{InstanceKey, Model},
};

/// Where a word must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Any,
    Name,
    Driver,
    Bus,
    State,
    Resource,
    Finding,
}

const FIELDS: [(&str, Field); 6] = [
    ("name:", Field::Name),
    ("driver:", Field::Driver),
    ("bus:", Field::Bus),
    ("state:", Field::State),
    ("resource:", Field::Resource),
    ("finding:", Field::Finding),
];

/// Words that all must fit; upper and lower case are the same.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    text: String,
    words: Vec<(Field, String)>,
    /// For each device with findings, their rules' ids and names.
    findings: HashMap<InstanceKey, Vec<String>>,
}

impl Filter {
    /// The filter that was typed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let words = text
            .split_whitespace()
            .map(|word| {
                let word = word.to_lowercase();
                FIELDS
                    .iter()
                    .find_map(|(prefix, field)| {
                        Some((*field, word.strip_prefix(prefix)?.to_owned()))
                    })
                    .unwrap_or((Field::Any, word))
            })
            .collect();
        Self {
            text: text.trim().to_owned(),
            words,
            findings: HashMap::new(),
        }
    }

    /// As it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether everything fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Tells it what was found: the device and the rule's id and name.
    pub(super) fn know_findings(&mut self, findings: Vec<(InstanceKey, String)>) {
        self.findings.clear();
        for (key, rule) in findings {
            self.findings.entry(key).or_default().push(rule);
        }
    }

    /// Whether a device fits.
    #[must_use]
    pub fn fits(&self, row: &Row, model: &Model) -> bool {
        self.words
            .iter()
            .all(|(field, word)| self.word_fits(*field, word, row, model))
    }

    fn word_fits(&self, field: Field, word: &str, row: &Row, model: &Model) -> bool {
        let contains = |text: &str| text.to_lowercase().contains(word);
        let in_resources = || {
            let DeviceAddress(address) = row.key.address;
            model
                .device(DeviceAddress(address))
                .filter(|device| device.key() == row.key)
                .is_some_and(|device| {
                    device
                        .resources()
                        .any(|node| contains(&escape(label(node))))
                })
        };
        let in_findings = || {
            let rules = self.findings.get(&row.key);
            rules.is_some_and(|rules| rules.iter().any(|rule| contains(rule)))
        };
        match field {
            Field::Name => contains(&row.name),
            Field::Driver => contains(&row.driver),
            Field::Bus => contains(&row.bus),
            Field::State => contains(row.state.name()),
            Field::Resource => in_resources(),
            Field::Finding => in_findings(),
            Field::Any => {
                contains(&row.name)
                    || contains(&row.driver)
                    || contains(&row.bus)
                    || in_findings()
                    || in_resources()
            }
        }
    }
}
