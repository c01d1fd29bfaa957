//! What is known of a rule before it has seen anything.

use super::Severity;
use crate::{
    event::{Hook, Role},
    evidence::{Coverage, Gap, NodeEvents},
};

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
    /// What it needs of their calls besides what makes them usable at all.
    pub details: &'static [(Hook, Role)],
    /// The hooks with which it can say more. Where one is missing, it says less, and that is no gap.
    pub sharpened_by: &'static [Hook],
    /// Whether it needs hooks that are not attached unless wanted. Without them it is off, and that is a gap
    /// only if the rule was asked for by name; with them it is like any other rule.
    pub optional: bool,
    /// What it means, what to do about it and how it can be wrong, in Markdown.
    pub page: &'static str,
}

impl RuleInfo {
    /// A rule that needs nothing special; the rest is to be said of each.
    pub(crate) const PLAIN: Self = Self {
        id: "",
        name: "",
        severities: &[],
        description: "",
        needs: &[],
        details: &[],
        sharpened_by: &[],
        optional: false,
        page: "",
    };

    /// How bad its findings can be at most.
    #[must_use]
    pub fn worst(&self) -> Severity {
        let worst = self.severities.iter().max();
        worst.copied().unwrap_or(Severity::Info)
    }

    /// Whether the optional hooks that it needs are there.
    #[must_use]
    pub fn is_on(&self, coverage: &Coverage) -> bool {
        let optional = |any: &&&[Hook]| any.iter().any(|hook| hook.is_optional());
        let served = |any: &&[Hook]| any.iter().any(|hook| coverage.serves(*hook));
        self.needs.iter().filter(optional).all(served)
    }

    /// What it needs and doesn't have: hooks, or what they should report.
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

/// What must be known to conclude from calls what a device holds.
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
