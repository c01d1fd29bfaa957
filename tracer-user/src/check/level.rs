//! What a rule's findings do to a run.

use crate::{
    event::Hook,
    finding::{RuleInfo, Severity},
    rules::{RuleSet, UnknownRule},
};

/// What a rule's findings do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The rule is not applied.
    Off,
    /// Findings fail the run from the policy's `fail-on` on.
    On,
    /// Findings are reported and never fail the run.
    Warn,
    /// Every finding fails the run, however mild.
    Fail,
}

impl Level {
    /// The words for them, in a policy.
    pub(super) const NAMES: [&'static str; 4] = ["off", "on", "warn", "fail"];

    /// The level of this name.
    #[must_use]
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "on" => Some(Self::On),
            "warn" => Some(Self::Warn),
            "fail" => Some(Self::Fail),
            _ => None,
        }
    }
}

/// The levels of all rules.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    /// Of the rules that the policy names.
    named: Vec<(&'static str, Level)>,
    others: Others,
}

/// Which of the rules that the policy doesn't name are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Others {
    /// Those that a trace applies by default.
    #[default]
    Default,
    /// All.
    All,
    /// None.
    Off,
}

impl Others {
    /// The words for them, in a policy.
    pub(super) const NAMES: [&'static str; 3] = ["default", "all", "off"];

    /// The choice of this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "all" => Some(Self::All),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::new(Vec::new(), Others::Default)
    }
}

impl Levels {
    /// Levels of the rules with these ids, and what becomes of the others.
    pub(super) fn new(named: Vec<(&'static str, Level)>, others: Others) -> Self {
        Self { named, others }
    }

    /// Sets a rule's level unless the policy has done so.
    pub(super) fn set_if_unnamed(&mut self, id: &'static str, level: Level) {
        if !self.names(id) {
            self.named.push((id, level));
        }
    }

    /// Whether the policy names the rule with this id.
    #[must_use]
    pub(super) fn names(&self, id: &str) -> bool {
        self.named.iter().any(|(named, _)| *named == id)
    }

    /// The level of the rule with this id.
    #[must_use]
    pub(super) fn of(&self, id: &str) -> Level {
        if let Some((_, level)) = self.named.iter().find(|(named, _)| *named == id) {
            return *level;
        }
        let applied = match self.others {
            Others::All => true,
            Others::Off => false,
            Others::Default => RuleSet::checked().infos().any(|info| info.id == id),
        };
        if applied { Level::On } else { Level::Off }
    }

    /// The rules that are applied.
    pub(super) fn rules(&self) -> RuleSet {
        let all = RuleSet::all();
        let (wanted, unwanted): (Vec<&str>, Vec<&str>) = all
            .infos()
            .map(|info| info.id)
            .partition(|id| self.of(id) != Level::Off);
        // That one was asked for which needs more than is observed by default is a gap if that is missing.
        let asks_for_more = all
            .infos()
            .any(|info| info.optional && self.asks_for(info.id));
        let rules = if asks_for_more {
            all.only(&wanted)
        } else {
            all.without(&unwanted)
        };
        // The names come from the set itself.
        rules.unwrap_or_else(|UnknownRule(_)| RuleSet::none())
    }

    /// Whether the policy asks for the rule with this id, and for what it needs.
    fn asks_for(&self, id: &str) -> bool {
        self.of(id) != Level::Off && (self.names(id) || self.others == Others::All)
    }

    /// The hooks that are not attached unless wanted, and that rules want which the policy asks for.
    pub(super) fn optional_hooks(&self) -> Vec<Hook> {
        let all = RuleSet::all();
        let infos = all.infos().filter(|info| self.asks_for(info.id));
        let hooks = infos.flat_map(|info| {
            let needs = info.needs.iter().copied().flatten();
            needs.chain(info.sharpened_by)
        });
        hooks.copied().filter(|hook| hook.is_optional()).collect()
    }

    /// Whether a finding of this rule and severity fails the run.
    pub(super) fn fails(&self, id: &str, severity: Severity, fail_on: Severity) -> bool {
        match self.of(id) {
            Level::Off | Level::Warn => false,
            Level::On => severity >= fail_on,
            Level::Fail => true,
        }
    }

    /// Whether what this rule can't decide leaves the verdict open. A rule that needs hooks which are not
    /// attached unless wanted does so only where the policy names it.
    pub(super) fn matters(&self, info: &RuleInfo, missing_hooks: bool, fail_on: Severity) -> bool {
        let excused = missing_hooks && info.optional && !self.asks_for(info.id);
        !excused && self.fails(info.id, info.worst(), fail_on)
    }
}
