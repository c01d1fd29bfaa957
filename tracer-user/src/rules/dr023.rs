//! DR023 enabled-at-put: a managed regulator is released while it is still enabled.

use super::{
    Rule,
    splat::{self, Proof},
};
use crate::{
    finding::{Report, RuleInfo, Severity},
    model::{Change, Model},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR023",
    name: "enabled-at-put",
    severities: &[Severity::Warn],
    description: "A managed regulator is released while it is still enabled.",
    needs: &[],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr023.md"),
};

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub struct EnabledAtPut;

impl Rule for EnabledAtPut {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::KernelMessage { device, message } = change {
            splat::judge(&INFO, Proof::EnabledAtPut, *device, message, model, report);
        }
    }
}
