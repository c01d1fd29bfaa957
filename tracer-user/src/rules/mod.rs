//! Rules: each looks at what changes in the model and reports what it finds wrong.

mod blame;
mod bus_group;
mod dr001;
mod dr002;
mod dr003;
mod dr003_lines;
mod dr003_unopened;
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
mod dr013_devices;
mod dr014;
mod dr015;
mod dr016;
mod dr017;
mod dr018;
mod dr019;
mod dr020;
mod dr021;
mod dr022;
mod interrupt;
mod splat;
mod wish;

use std::{fmt, time::Duration};

use crate::{
    coverage::{Coverage, Gap, NodeEvents},
    event::{Hook, Role, Time},
    finding::{Report, Severity},
    model::{Change, Model},
};

pub use dr001::PmDetachBeforeRelease;
pub use dr002::PmDomainLeak;
pub use dr003::ForeignGroupRelease;
pub use dr004::GroupOpenAtBound;
pub use dr005::GroupMisuse;
pub use dr006::NullIdPicksOther;
pub use dr007::ResourcesBeforeProbe;
pub use dr008::AddDuringRelease;
pub use dr009::AddAfterUnbind;
pub use dr010::AddInRemove;
pub use dr011::UnboundOwnerLeak;
pub use dr012::OutlivesCreator;
pub use dr013::DanglingData;
pub use dr014::IrqAfterRemove;
pub use dr015::ExplicitOutOfOrder;
pub use dr016::ManagedFreeMiss;
pub use dr017::RuntimeGrowth;
pub use dr018::DeferralChurn;
pub use dr019::SlowRelease;
pub use dr020::ReleaseFunctionUnloaded;
pub use dr021::DoubleFreeManaged;
pub use dr022::KernelReport;

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
    /// What it needs to be told of their calls besides what makes them of use at all.
    pub details: &'static [(Hook, Role)],
    /// The hooks with which it can say more. Where one is missing, it says less, and that is no gap.
    pub sharpened_by: &'static [Hook],
    /// Whether it needs hooks that are not attached unless wanted. Without them it is off, and that is a gap
    /// only if the rule was asked for by name.
    pub optional: bool,
    /// What it means, what to do about it and how it can be wrong, in Markdown.
    pub page: &'static str,
}

impl RuleInfo {
    /// How bad its findings can be at most.
    #[must_use]
    pub fn worst(&self) -> Severity {
        let worst = self.severities.iter().max();
        worst.copied().unwrap_or(Severity::Info)
    }

    /// What it needs and doesn't have: hooks, or what they should tell.
    pub fn missing<'c>(&self, coverage: &'c Coverage) -> impl Iterator<Item = Gap> + use<'c> {
        let hooks = self.needs.iter().copied();
        let hooks = hooks.filter(move |any| !any.iter().any(|hook| coverage.serves(*hook)));
        let by_functions = coverage.nodes == NodeEvents::Concluded
            && self.needs.iter().any(|any| any.contains(&Hook::AddDr));
        let concluded: &[_] = if by_functions { CONCLUDED } else { &[] };
        let details = self.details.iter().chain(concluded);
        let details = details
            .filter(move |(hook, role)| coverage.sees(*hook) && !coverage.tells(*hook, *role));
        hooks
            .map(|any| Gap { any, role: None })
            .chain(details.map(|(hook, role)| Gap {
                any: std::slice::from_ref(hook),
                role: Some(*role),
            }))
    }
}

/// The contents of resources: of which a rule tells what they stand for.
const CONTENTS: &[(Hook, Role)] = &[
    (Hook::DevresLog, Role::Contents),
    (Hook::AddDr, Role::Contents),
];

/// What must be told for what a device holds to be concluded from calls.
const CONCLUDED: &[(Hook, Role)] = &[
    (Hook::ReleaseAll, Role::Device),
    (Hook::ReleaseGroup, Role::Device),
    (Hook::RemoveGroup, Role::Device),
    (Hook::Kfree, Role::Device),
    (Hook::ReleaseAction, Role::Device),
    (Hook::RemoveAction, Role::Device),
    (Hook::ReleaseGroup, Role::Group),
    (Hook::RemoveGroup, Role::Group),
    (Hook::DevresRemove, Role::Returned),
    (Hook::Kfree, Role::Payload),
    (Hook::ReleaseAction, Role::Action),
    (Hook::RemoveAction, Role::Action),
];

/// A rule.
pub trait Rule: fmt::Debug + Send {
    /// What is known of it before it has seen anything.
    fn info(&self) -> &'static RuleInfo;

    /// Looks at one change. The model is as it is after the whole event; what the event removed can still
    /// be looked up in it.
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report);

    /// Nothing has happened until `now`, and something might have. What the model says of the current event is of
    /// no meaning here.
    fn pass(&mut self, _now: Time, _model: &Model, _report: &mut Report) {}

    /// Nothing comes any more: reports what is left to say.
    fn finish(&mut self, _model: &Model, _report: &mut Report) {}
}

/// The rules that are applied.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Box<dyn Rule>>,
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
            rules: vec![
                Box::<PmDetachBeforeRelease>::default(),
                Box::<PmDomainLeak>::default(),
                Box::<ForeignGroupRelease>::default(),
                Box::<GroupOpenAtBound>::default(),
                Box::<GroupMisuse>::default(),
                Box::<NullIdPicksOther>::default(),
                Box::<ResourcesBeforeProbe>::default(),
                Box::<AddDuringRelease>::default(),
                Box::<AddAfterUnbind>::default(),
                Box::<AddInRemove>::default(),
                Box::<UnboundOwnerLeak>::default(),
                Box::<OutlivesCreator>::default(),
                Box::<DanglingData>::default(),
                Box::<IrqAfterRemove>::default(),
                Box::<ExplicitOutOfOrder>::default(),
                Box::<ManagedFreeMiss>::default(),
                Box::<RuntimeGrowth>::default(),
                Box::<DeferralChurn>::default(),
                Box::<SlowRelease>::default(),
                Box::<ReleaseFunctionUnloaded>::default(),
                Box::<DoubleFreeManaged>::default(),
                Box::<KernelReport>::default(),
            ],
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
            .retain(|rule| wanted.iter().any(|name| is(rule.info(), name.as_ref())));
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
            .retain(|rule| !unwanted.iter().any(|name| is(rule.info(), name.as_ref())));
        Ok(self)
    }

    fn known<S: AsRef<str>>(&self, names: &[S]) -> Result<(), UnknownRule> {
        let unknown = names
            .iter()
            .find(|name| !self.infos().any(|info| is(info, name.as_ref())));
        unknown.map_or(Ok(()), |name| Err(UnknownRule(name.as_ref().to_owned())))
    }

    /// The rules that can't decide with this coverage, each with what it misses. Optional rules
    /// count only where they were asked for by name.
    pub fn undecided<'c>(
        &self,
        coverage: &'c Coverage,
    ) -> impl Iterator<Item = (&'static RuleInfo, Gap)> + use<'_, 'c> {
        self.infos()
            .filter(|info| self.named || !info.optional)
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
        self.rules.iter().map(|rule| rule.info())
    }

    /// Shows every rule a change.
    pub fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        for rule in &mut self.rules {
            rule.observe(change, model, report);
        }
    }

    /// Tells every rule that time has passed.
    pub fn pass(&mut self, now: Time, model: &Model, report: &mut Report) {
        for rule in &mut self.rules {
            rule.pass(now, model, report);
        }
    }

    /// Lets DR019, where it is applied, find releases that take longer than this.
    #[must_use]
    pub fn with_slow_release(mut self, limit: Duration) -> Self {
        if let Some(rule) = self.rules.iter_mut().find(|rule| rule.info().id == "DR019") {
            *rule = Box::new(SlowRelease::with_limit(limit));
        }
        self
    }

    /// Tells every rule that nothing comes any more.
    pub fn finish(&mut self, model: &Model, report: &mut Report) {
        for rule in &mut self.rules {
            rule.finish(model, report);
        }
    }
}

/// The word for one or for several.
const fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn is(info: &RuleInfo, name: &str) -> bool {
    info.id.eq_ignore_ascii_case(name) || info.name == name
}
