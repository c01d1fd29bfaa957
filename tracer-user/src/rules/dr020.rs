//! DR020 release-fn-unloaded: a module goes while a resource lives whose release is a function of it.

use super::Rule;
use crate::{
    event::{Hook, ModuleCode},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, Model, Node},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR020",
    name: "release-fn-unloaded",
    severities: &[Severity::Error],
    description: "A module is unloaded while a live resource's release function is in it.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::ModuleFree]],
    page: include_str!("dr020.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps nothing: all resources are looked at when a module goes.
#[derive(Debug, Default)]
pub(super) struct ReleaseFunctionUnloaded;

impl Rule for ReleaseFunctionUnloaded {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::ModuleFreed { module, code } = change {
            for device in model.devices() {
                let left: Vec<&Node> = device
                    .resources()
                    .filter(|node| is_in(node, module, *code))
                    .collect();
                if let Some(first) = left.first() {
                    unloaded(module, device, first, &left, model, report);
                }
            }
        }
    }
}

/// Whether what runs on the node's release is a function of the module: by where its code is, and by the module's
/// name where the source does not say that.
fn is_in(node: &Node, module: &str, code: Option<ModuleCode>) -> bool {
    let Some(function) = node.function() else {
        return false;
    };
    match code {
        Some(code) if function.address != 0 => code.holds(function.address),
        _ => function
            .module
            .as_deref()
            .is_some_and(|known| known == module),
    }
}

fn unloaded(
    module: &str,
    device: Device<'_>,
    first: &Node,
    left: &[&Node],
    model: &Model,
    report: &mut Report,
) {
    let subject = Subject::of(device);
    let oldest = left.iter().map(|node| node.sequence()).min();
    if !device.is_whole_since(oldest.unwrap_or_default()) || device.is_tainted() {
        report.stay_silent(INFO.id, subject.key, Doubt::UnloadedAfterMiss);
        return;
    }
    let what = finding::label(first);
    report.submit(Finding {
        summary: format!(
            "The module {module} was unloaded while {what} of {}, one of its functions, is still to be called.",
            subject.name()
        ),
        meaning: "When the device's resources are released, the kernel calls freed memory."
            .to_owned(),
        order: vec![
            Step::at(first.added(), format!("{what} is added to {}", subject.name())),
            Step::at(model.now(), format!("the module {module} is freed")),
        ],
        expected: vec![
            format!("{what} is released"),
            format!("the module {module} is unloaded"),
        ],
        resources: left.iter().take(100).map(|node| finding::live_resource(node)).collect(),
        ..subject.finding(&INFO, Severity::Error, &format!("{module}/{what}"), model.now())
    });
}
