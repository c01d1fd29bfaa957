//! Known findings: expected to be there, or to come and go, or not looked for.

use jiff::civil::Date;

use super::selection::{Place, Selection};

/// A known finding.
#[derive(Debug, Clone)]
pub(super) struct Expectation {
    /// File and line.
    pub place: String,
    /// Which findings it is about.
    pub matcher: Matcher,
    /// What is expected.
    pub outcome: Expected,
    /// Why.
    pub reason: String,
    /// The last day on which it excuses anything.
    pub until: Option<Date>,
}

/// Which findings an expectation is about.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    /// The one with this fingerprint.
    Fingerprint(String),
    /// All of a rule on some devices.
    Rule {
        /// The rule's id.
        rule: &'static str,
        /// The devices.
        selection: Selection,
    },
}

/// What is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// That it is found: a run in which it could have been and was not fails.
    Fail,
    /// That it is found now and then.
    Flake,
    /// It is not looked for.
    Skip,
}

impl Expected {
    /// The words for them, in a policy.
    pub(super) const NAMES: [&'static str; 3] = ["fail", "flake", "skip"];

    /// In one word.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Flake => "flake",
            Self::Skip => "skip",
        }
    }

    /// The one of this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Fail, Self::Flake, Self::Skip]
            .into_iter()
            .find(|expected| expected.name() == name)
    }
}

/// What an expectation says of something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Excuse {
    /// It is excused.
    Excused {
        /// What was expected.
        expected: Expected,
        /// Why.
        reason: String,
    },
    /// It was, until the last day.
    Ended(String),
}

impl Expectation {
    /// What it is about, in words.
    #[must_use]
    pub(super) fn subject(&self) -> String {
        match &self.matcher {
            Matcher::Fingerprint(fingerprint) => fingerprint.clone(),
            Matcher::Rule { rule, .. } => format!("{rule} ({})", self.place),
        }
    }

    /// Whether it is about what has this fingerprint, was found by this rule and is there.
    pub(super) fn fits(&self, fingerprint: &str, rule: Option<&str>, place: &Place) -> bool {
        match &self.matcher {
            Matcher::Fingerprint(own) => own == fingerprint,
            Matcher::Rule {
                rule: own,
                selection,
            } => rule == Some(own) && selection.wants(place),
        }
    }

    /// The rule whose findings it is about, if it is about a rule's.
    pub(super) fn rule(&self) -> Option<&str> {
        match &self.matcher {
            Matcher::Fingerprint(fingerprint) => fingerprint
                .split('/')
                .next()
                .filter(|first| !matches!(*first, "assert" | "limit" | "exercise")),
            Matcher::Rule { rule, .. } => Some(rule),
        }
    }

    /// Whether findings about what is there could be meant.
    pub(super) fn concerns(&self, place: &Place) -> bool {
        match &self.matcher {
            Matcher::Fingerprint(fingerprint) => {
                // As `Subject::fingerprint` makes them.
                let mut parts = fingerprint.split('/').skip(1);
                let or_unknown = |name: &str| {
                    if name.is_empty() {
                        "?".to_owned()
                    } else {
                        name.to_owned()
                    }
                };
                parts.next() == Some(or_unknown(&place.bus).as_str())
                    && parts.next() == Some(or_unknown(&place.driver).as_str())
            }
            Matcher::Rule { selection, .. } => selection.wants(place),
        }
    }

    /// What it says on this day of something that fits.
    pub(super) fn excuse(&self, today: Date) -> Excuse {
        match self.until {
            Some(until) if today > until => Excuse::Ended(format!(
                "the expectation in {} expired on {until}: {}",
                self.place, self.reason
            )),
            _ => Excuse::Excused {
                expected: self.outcome,
                reason: self.reason.clone(),
            },
        }
    }
}
