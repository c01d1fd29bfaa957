//! Rules: each looks at what changes in the model and reports what it finds wrong.

mod attribution;
mod blame;
mod bus_group;
mod dr001;
mod dr002;
mod dr003;
mod dr004;
mod dr005;
mod dr006;
mod dr007;
mod dr008;
mod dr009;
mod dr010;
mod dr011;
mod dr012;
mod dr013;
mod dr014;
mod dr015;
mod dr016;
mod dr017;
mod dr018;
mod dr019;
mod dr020;
mod dr021;
mod dr022;
mod dr023;
mod dr024;
mod dr025;
mod dr026;
mod interrupt;
pub mod known;
mod pointer;
mod splat;

use std::{fmt, time::Duration};

use crate::{
    event::{Hook, Role, Time},
    evidence::{Coverage, Gap},
    finding::{Report, RuleInfo, Severity},
    model::{Change, Model},
};

/// The contents of resources: of which a rule says what they stand for.
const CONTENTS: &[(Hook, Role)] = &[
    (Hook::DevresLog, Role::Contents),
    (Hook::AddDr, Role::Contents),
];

/// A rule.
trait Rule: fmt::Debug + Send {
    /// Looks at one change. The model is as it is after the whole event; what the event removed can still
    /// be looked up in it.
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report);

    /// Nothing has happened until `now`, and something might have. What the model says of the current event is of
    /// no meaning here.
    fn pass(&mut self, _now: Time, _model: &Model, _report: &mut Report) {}

    /// Nothing comes any more: reports what is left to say.
    fn finish(&mut self, _model: &Model, _report: &mut Report) {}
}

/// A rule that is applied, and what is known of it before it has seen anything.
#[derive(Debug)]
struct Applied {
    info: &'static RuleInfo,
    rule: Box<dyn Rule>,
}

/// Lists the rules.
macro_rules! rules {
    ($($module:ident::$rule:ident,)*) => {
        /// Every rule, as it is before it has seen anything.
        fn every() -> Vec<Applied> {
            vec![$(Applied {
                info: &$module::INFO,
                rule: Box::<$module::$rule>::default(),
            }),*]
        }
    };
}

rules! {
    dr001::PmDetachBeforeRelease,
    dr002::PmDomainLeak,
    dr003::ForeignGroupRelease,
    dr004::GroupOpenAtBound,
    dr005::GroupMisuse,
    dr006::NullIdPicksOther,
    dr007::ResourcesBeforeProbe,
    dr008::AddDuringRelease,
    dr009::AddAfterUnbind,
    dr010::AddInRemove,
    dr011::UnboundOwnerLeak,
    dr012::OutlivesCreator,
    dr013::DanglingData,
    dr014::IrqAfterRemove,
    dr015::ExplicitOutOfOrder,
    dr016::ManagedFreeMiss,
    dr017::RuntimeGrowth,
    dr018::DeferralChurn,
    dr019::SlowRelease,
    dr020::ReleaseFunctionUnloaded,
    dr021::DoubleFreeManaged,
    dr022::KernelReport,
    dr023::EnabledAtPut,
    dr024::PowerOffBeforeQuiesce,
    dr025::FreedUnderLive,
    dr026::RegisteredInManagedMemory,
}

/// The rules that are applied.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Applied>,
    /// Whether the rules were asked for by name.
    named: bool,
}

/// A rule was named that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rule is called {0:?}: `devres-tracer rules` lists them")]
pub struct UnknownRule(pub String);

impl RuleSet {
    /// Every rule.
    #[must_use]
    pub fn all() -> Self {
        Self {
            rules: every(),
            named: false,
        }
    }

    /// The rules that are applied unless others are asked for: those whose findings have been compared with what stock
    /// kernels do, which by now is all of them.
    #[must_use]
    pub fn checked() -> Self {
        Self::all()
    }

    /// The optional hooks that rules asked for by name want.
    pub fn optional_hooks(&self) -> impl Iterator<Item = Hook> + use<'_> {
        self.infos()
            .filter(|_| self.named)
            .flat_map(|info| {
                info.needs
                    .iter()
                    .copied()
                    .flatten()
                    .chain(info.sharpened_by)
            })
            .copied()
            .filter(|hook| hook.is_optional())
    }

    /// No rule.
    #[must_use]
    pub fn none() -> Self {
        Self {
            rules: Vec::new(),
            named: false,
        }
    }

    /// Only the rules with these ids or names.
    pub fn only<S: AsRef<str>>(mut self, wanted: &[S]) -> Result<Self, UnknownRule> {
        self.known(wanted)?;
        self.rules
            .retain(|rule| wanted.iter().any(|name| is(rule.info, name.as_ref())));
        self.named = true;
        Ok(self)
    }

    /// The rule with this id or name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static RuleInfo> {
        self.infos().find(|info| is(info, name))
    }

    /// All but the rules with these ids or names.
    pub fn without<S: AsRef<str>>(mut self, unwanted: &[S]) -> Result<Self, UnknownRule> {
        self.known(unwanted)?;
        self.rules
            .retain(|rule| !unwanted.iter().any(|name| is(rule.info, name.as_ref())));
        Ok(self)
    }

    fn known<S: AsRef<str>>(&self, names: &[S]) -> Result<(), UnknownRule> {
        let unknown = names
            .iter()
            .find(|name| !self.infos().any(|info| is(info, name.as_ref())));
        unknown.map_or(Ok(()), |name| Err(UnknownRule(name.as_ref().to_owned())))
    }

    /// The rules that can't decide with this coverage, each with what it misses. Optional rules
    /// count only where they were asked for by name, or where their optional hooks are there.
    pub fn undecided<'c>(
        &self,
        coverage: &'c Coverage,
    ) -> impl Iterator<Item = (&'static RuleInfo, Gap)> + use<'_, 'c> {
        self.infos()
            .filter(|info| self.named || !info.optional || info.is_on(coverage))
            .flat_map(|info| info.missing(coverage).map(move |gap| (info, gap)))
    }

    /// How bad findings of the rule with this id can be at most.
    #[must_use]
    pub fn worst(&self, id: &str) -> Severity {
        let info = self.infos().find(|info| info.id == id);
        info.map_or(Severity::Error, RuleInfo::worst)
    }

    /// What is known of each rule.
    pub fn infos(&self) -> impl Iterator<Item = &'static RuleInfo> {
        self.rules.iter().map(|rule| rule.info)
    }

    /// Shows every rule a change.
    pub fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        for applied in &mut self.rules {
            applied.rule.observe(change, model, report);
        }
    }

    /// Tells every rule that time has passed.
    pub fn pass(&mut self, now: Time, model: &Model, report: &mut Report) {
        for applied in &mut self.rules {
            applied.rule.pass(now, model, report);
        }
    }

    /// Lets DR019, where it is applied, find releases that take longer than this.
    #[must_use]
    pub fn with_slow_release(mut self, limit: Duration) -> Self {
        if let Some(applied) = self.rules.iter_mut().find(|rule| rule.info.id == "DR019") {
            applied.rule = Box::new(dr019::SlowRelease::with_limit(limit));
        }
        self
    }

    /// Tells every rule that nothing comes any more.
    pub fn finish(&mut self, model: &Model, report: &mut Report) {
        for applied in &mut self.rules {
            applied.rule.finish(model, report);
        }
    }
}

fn is(info: &RuleInfo, name: &str) -> bool {
    info.id.eq_ignore_ascii_case(name) || info.name == name
}
