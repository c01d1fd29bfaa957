//! DR023 enabled-at-put: a managed regulator is released while it is still enabled.

use super::{
    Rule, blame,
    splat::{self, Proof},
};
use crate::{
    event::Message,
    finding::{Doubt, Report, RuleInfo, Severity},
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
        if let Change::KernelMessage { device, message } = change
            && let Message::Splat(splat) = &**message
        {
            let subject = blame::told_of(*device, model);
            if splat::proof(splat) == Proof::EnabledAtPut {
                report.submit(splat::enabled_at_put(&INFO, splat, &subject, model));
            } else if splat::leaves_open(splat, Proof::EnabledAtPut) {
                report.stay_silent(INFO.id, subject.key, Doubt::FaultUnexplained);
            }
        }
    }
}
