//! DR022 kernel-report: the kernel reported a fault, and devres occurs in its stacks.

use super::{
    Rule, blame,
    splat::{self, Proof},
};
use crate::{
    event::Message,
    finding::{Doubt, Report, RuleInfo, Severity},
    model::{Change, Model},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR022",
    name: "kernel-report",
    severities: &[Severity::Info],
    description: "The kernel reported a fault in a release or a devm_*() function; the report does not show the cause.",
    needs: &[],
    page: include_str!("dr022.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub(super) struct KernelReport;

impl Rule for KernelReport {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        let Change::KernelMessage { device, message } = change else {
            return;
        };
        let Message::Splat(splat) = &**message else {
            return;
        };
        if splat::proof(splat) != Proof::Nothing {
            return;
        }
        let subject = blame::told_of(*device, model);
        report.submit(splat::open(&INFO, splat, &subject, model));
        report.leave_open(INFO.id, subject.key, Doubt::FaultUnexplained);
    }
}
