//! DR010 add-in-remove: a driver's remove adds resources to its device.

use hashbrown::HashSet;

use super::{Rule, blame, bus_group::is_of_bus};
use crate::{
    event::Hook,
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Left, Model, Node, NodeId, Origin, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR010",
    name: "add-in-remove",
    severities: &[Severity::Warn],
    description: "A driver's remove adds resources to its device.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Remove, Hook::Unbind],
        &[Hook::ReleaseAll],
    ],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr010.md"),
};

/// The rule. The nodes know in what phase they were added; it keeps the devices whose bus is releasing its group.
#[derive(Debug, Default)]
pub(super) struct AddInRemove {
    releasing: HashSet<DeviceId>,
}

impl Rule for AddInRemove {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook: Hook::ReleaseGroup,
                device: Some(id),
                detail:
                    Detail::Group {
                        selected: Some(open),
                        ..
                    },
            }) => {
                if let (Some(device), Some(marker)) = (model.device_by_id(*id), model.node(*open))
                    && device.state() == State::Removing
                    && marker.binding() == device.binding()
                    && marker.phase() == State::Probing
                    && is_of_bus(marker, device)
                {
                    self.releasing.insert(*id);
                }
            }
            Change::Left(Left {
                hook: Hook::ReleaseGroup,
                device: Some(id),
                ..
            })
            | Change::DeviceGone { device: id, .. }
                if !self.releasing.is_empty() =>
            {
                self.releasing.remove(id);
            }
            // What remove adds and gives back itself is its own affair: only what it leaves is released here.
            Change::NodeReleased { node, .. } => released(*node, &self.releasing, model, report),
            _ => {}
        }
    }
}

fn released(id: NodeId, releasing: &HashSet<DeviceId>, model: &Model, report: &mut Report) {
    let Some(node) = model
        .node(id)
        .filter(|node| node.phase() == State::Removing)
    else {
        return;
    };
    let Some(device) = model.owner(node) else {
        return;
    };
    // Where remove can't be seen by itself, it is what an unbind does before it releases.
    let within = if model.coverage().sees(Hook::Remove) {
        Hook::Remove
    } else {
        Hook::Unbind
    };
    let remove_is_over = device.state() == State::Cleanup
        || device.state() == State::Removing && releasing.contains(&device.id());
    if !remove_is_over || !is_its_own(node, device, within) {
        return;
    }
    let subject = Subject::of(device);
    if within == Hook::Unbind {
        // Before 5.18 only the stack distinguishes what remove does from the resume and suspend that come with an unbind.
        let Some(stack) = node.stack() else {
            report.stay_silent(INFO.id, subject.key, Doubt::AddedInUnbindWithoutStack);
            return;
        };
        if blame::in_runtime_pm_of_unbind(stack) {
            return;
        }
    }
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::AddedInRemoveAfterMiss);
        return;
    }
    let what = finding::label(node);
    report.submit(Finding {
        summary: format!("The remove of {} added {what} to its device.", subject.name()),
        meaning: "It is released right after remove, before everything that probe added. An action added here \
                  runs at once; memory used only by remove needs no devm_ allocation."
            .to_owned(),
        order: vec![
            Step::at(node.added(), format!("remove adds {what}")),
            Step::at(model.now(), "it is released with the rest"),
        ],
        expected: vec!["remove only releases what probe acquired".to_owned()],
        resources: vec![finding::live_resource(node)],
        ..subject.finding(&INFO, Severity::Warn, &finding::mark(node), model.now())
    });
}

/// Whether it was added by the remove itself, rather than by another task meanwhile or by a release.
fn is_its_own(node: &Node, device: Device<'_>, within: Hook) -> bool {
    node.origin() == Origin::Seen
        && !node.kind().is_marker()
        && node.binding() == device.binding()
        && node
            .context()
            .is_some_and(|context| context.device == device.key() && context.hook == within)
}
