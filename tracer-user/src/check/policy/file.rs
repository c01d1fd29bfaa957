//! A policy as it stands in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, value::Datetime};

/// A text with its place in the file.
pub(super) type Word = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicyFile {
    pub(super) fail_on: Option<Word>,
    pub(super) rules: BTreeMap<Word, Word>,
    pub(super) devices: Globs,
    pub(super) drivers: Globs,
    pub(super) buses: Globs,
    pub(super) limits: LimitsTable,
    pub(super) require: RequireTable,
    pub(super) sources: BTreeMap<Word, String>,
    pub(super) expect: Vec<Spanned<ExpectTable>>,
    pub(super) assert: Vec<Spanned<AssertTable>>,
}

/// A file of expectations.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectationsFile {
    pub(super) expect: Vec<Spanned<ExpectTable>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Globs {
    pub(super) include: Vec<Word>,
    pub(super) exclude: Vec<Word>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LimitsTable {
    pub(super) resources_per_device: Option<usize>,
    pub(super) growth_per_rebind: Option<usize>,
    pub(super) slow_release: Option<Word>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RequireTable {
    pub(super) hooks: Vec<Word>,
    pub(super) rules: Vec<Word>,
    pub(super) drivers: Vec<Word>,
    pub(super) snapshot: bool,
    pub(super) stacks: bool,
    pub(super) expectations: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectTable {
    pub(super) fingerprint: Option<Word>,
    pub(super) rule: Option<Word>,
    pub(super) device: Option<Word>,
    pub(super) driver: Option<Word>,
    pub(super) bus: Option<Word>,
    pub(super) outcome: Option<Word>,
    pub(super) reason: Option<Word>,
    pub(super) until: Option<Spanned<Datetime>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AssertTable {
    pub(super) name: Option<Word>,
    pub(super) device: Option<Word>,
    pub(super) driver: Option<Word>,
    pub(super) bus: Option<Word>,
    pub(super) optional: bool,
    pub(super) nothing_left_after_unbind: Option<Spanned<bool>>,
    pub(super) released_before_pm_detach: Option<Spanned<bool>>,
    pub(super) released_in_order: Option<Vec<Word>>,
    pub(super) same_stack_on_rebind: Option<Spanned<u32>>,
    pub(super) most_resources: Option<usize>,
}
