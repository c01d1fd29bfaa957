//! What a run is judged by: a policy, read from TOML.

mod error;
mod file;
mod read;

use std::time::Duration;

use jiff::civil::Date;
use tracer_ebpf::Hook;

use super::{
    assertion::Assertion,
    expectation::{Excuse, Expectation},
    level::Levels,
    limits::Limits,
    selection::{Place, Selection},
};
use crate::{
    event::DeviceIdentity,
    filter::DeviceFilter,
    finding::{Finding, Severity},
    glob::GlobList,
    rules::RuleSet,
};

pub use error::PolicyError;

/// What a run is judged by. The default one applies the rules that a trace applies, and nothing else.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From which severity on findings of rules at the level `on` fail the run.
    pub fail_on: Severity,
    pub(super) levels: Levels,
    pub(super) selection: Selection,
    /// What the command line wants of it.
    pub(super) filter: DeviceFilter,
    pub(super) limits: Limits,
    pub(super) required: Required,
    /// Where the source of which driver lies, by glob over the driver's name.
    pub(super) sources: Vec<(GlobList, String)>,
    pub(super) expectations: Vec<Expectation>,
    pub(super) assertions: Vec<Assertion>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fail_on: Severity::Error,
            levels: Levels::default(),
            selection: Selection::default(),
            filter: DeviceFilter::default(),
            limits: Limits::default(),
            required: Required::default(),
            sources: Vec::new(),
            expectations: Vec::new(),
            assertions: Vec::new(),
        }
    }
}

/// What must have been seen for the run to be conclusive.
#[derive(Debug, Clone, Default)]
pub(super) struct Required {
    /// Hooks that must deliver events.
    pub hooks: Vec<Hook>,
    /// Rules that must be able to decide.
    pub rules: Vec<&'static str>,
    /// Drivers that must have bound or unbound a device.
    pub drivers: Vec<(String, GlobList)>,
    /// What existed before must be known.
    pub snapshot: bool,
    /// Stacks must be taken.
    pub stacks: bool,
    /// Every expectation must have had its opportunity.
    pub expectations: bool,
}

impl Policy {
    /// Reads a policy; `name` is what errors call it.
    pub fn read(name: &str, text: &str) -> Result<Self, PolicyError> {
        read::policy(name, text)
    }

    /// Adds the expectations of a file that has nothing else.
    pub fn add_expectations(&mut self, name: &str, text: &str) -> Result<(), PolicyError> {
        self.expectations.extend(read::expectations(name, text)?);
        Ok(())
    }

    /// The policy for those devices only that fit this filter as well.
    #[must_use]
    pub fn narrowed(mut self, filter: DeviceFilter) -> Self {
        self.filter = filter;
        self
    }

    /// The rules that are applied.
    #[must_use]
    pub fn rules(&self) -> RuleSet {
        let rules = self.levels.rules();
        match self.limits.slow_release {
            Some(limit) => rules.with_slow_release(limit),
            None => rules,
        }
    }

    /// The hooks that are not attached unless wanted, and that this policy wants.
    #[must_use]
    pub fn optional_hooks(&self) -> Vec<Hook> {
        let required = self.required.hooks.iter().copied();
        let mut hooks = self.levels.optional_hooks();
        hooks.extend(required.filter(|hook| hook.is_optional()));
        hooks
    }

    /// Whether a device is judged at all.
    #[must_use]
    pub fn wants(&self, place: &Place) -> bool {
        fn known(name: &str) -> Option<&str> {
            (!name.is_empty()).then_some(name)
        }
        self.selection.wants(place)
            && self
                .filter
                .wants_names(&place.device, known(&place.driver), known(&place.bus))
    }

    /// Whether an expectation that still holds on this day excuses a finding on a device.
    pub(super) fn excuses(&self, finding: &Finding, place: &Place, today: Date) -> bool {
        self.expectations.iter().any(|expectation| {
            expectation.fits(&finding.fingerprint, Some(finding.rule), place)
                && matches!(expectation.excuse(today), Excuse::Excused { .. })
        })
    }

    /// How much there is in it, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let rules = self.rules().infos().count();
        let count = |number: usize, one: &str, more: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {more}"),
        };
        format!(
            "{}, {}, {}",
            count(rules, "rule", "rules"),
            count(self.assertions.len(), "assertion", "assertions"),
            count(self.expectations.len(), "expectation", "expectations"),
        )
    }

    /// Where the source of a driver lies.
    #[must_use]
    pub fn source_of(&self, driver: &str) -> Option<&str> {
        self.sources
            .iter()
            .find(|(glob, _)| glob.is_match(driver))
            .map(|(_, path)| path.as_str())
    }
}

impl Place {
    /// Where a device of this identity is.
    #[must_use]
    pub fn of(identity: &DeviceIdentity, last_driver: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            bus: text(identity.bus.as_deref()),
            device: text(identity.name.as_deref()),
            driver: text(identity.driver.as_deref().or(last_driver)),
        }
    }
}

/// The shortest limit on a release that makes sense.
const SHORTEST_RELEASE: Duration = Duration::from_micros(1);
