//! Rules: each looks at what changes in the model and reports what it finds wrong.

mod dr001;

use std::fmt;

use crate::{
    event::Hook,
    finding::{Report, Severity},
    model::{Change, Model},
};

pub use dr001::PmDetachBeforeRelease;

/// What is known of a rule before it has seen anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its id, such as `DR001`.
    pub id: &'static str,
    /// Its name, such as `pm-detach-before-release`.
    pub name: &'static str,
    /// How bad its findings can be.
    pub severities: &'static [Severity],
    /// What it finds, in one line.
    pub description: &'static str,
    /// The hooks without which it can't decide: of each group one must be there.
    pub needs: &'static [&'static [Hook]],
}

/// A rule.
pub trait Rule: fmt::Debug + Send {
    /// What is known of it before it has seen anything.
    fn info(&self) -> &'static RuleInfo;

    /// Looks at one change. The model is as it is after the whole event; what the event removed can still
    /// be looked up in it.
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report);

    /// Nothing comes any more: reports what is left to say.
    fn finish(&mut self, _model: &Model, _report: &mut Report) {}
}

/// The rules that are applied.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Box<dyn Rule>>,
}

/// A rule was named that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule {0:?}: `devres-tracer rules` lists them")]
pub struct UnknownRule(pub String);

impl RuleSet {
    /// Every rule.
    #[must_use]
    pub fn all() -> Self {
        Self {
            rules: vec![Box::<PmDetachBeforeRelease>::default()],
        }
    }

    /// No rule.
    #[must_use]
    pub fn none() -> Self {
        Self { rules: Vec::new() }
    }

    /// Only the rules with these ids or names.
    pub fn only<S: AsRef<str>>(mut self, wanted: &[S]) -> Result<Self, UnknownRule> {
        self.known(wanted)?;
        self.rules
            .retain(|rule| wanted.iter().any(|name| is(rule.info(), name.as_ref())));
        Ok(self)
    }

    /// All but the rules with these ids or names.
    pub fn without<S: AsRef<str>>(mut self, unwanted: &[S]) -> Result<Self, UnknownRule> {
        self.known(unwanted)?;
        self.rules
            .retain(|rule| !unwanted.iter().any(|name| is(rule.info(), name.as_ref())));
        Ok(self)
    }

    fn known<S: AsRef<str>>(&self, names: &[S]) -> Result<(), UnknownRule> {
        let unknown = names
            .iter()
            .find(|name| !self.infos().any(|info| is(info, name.as_ref())));
        unknown.map_or(Ok(()), |name| Err(UnknownRule(name.as_ref().to_owned())))
    }

    /// What is known of each rule.
    pub fn infos(&self) -> impl Iterator<Item = &'static RuleInfo> {
        self.rules.iter().map(|rule| rule.info())
    }

    /// Shows every rule a change.
    pub fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        for rule in &mut self.rules {
            rule.observe(change, model, report);
        }
    }

    /// Tells every rule that nothing comes any more.
    pub fn finish(&mut self, model: &Model, report: &mut Report) {
        for rule in &mut self.rules {
            rule.finish(model, report);
        }
    }
}

fn is(info: &RuleInfo, name: &str) -> bool {
    info.id.eq_ignore_ascii_case(name) || info.name == name
}
