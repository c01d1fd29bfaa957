//! DR008 add-during-release: the release of a resource adds another to the same device, which that run of
//! releases leaves behind.

use hashbrown::HashMap;

use super::{Rule, blame};
use crate::{
    event::Hook,
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Left, Model, NodeId, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR008",
    name: "add-during-release",
    severities: &[Severity::Error, Severity::Warn],
    description: "A release function adds a resource to the device being released; it stays behind.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::ReleaseAll]],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr008.md"),
};

/// The rule. It keeps something only of devices whose resources are being released.
#[derive(Debug, Default)]
pub(super) struct AddDuringRelease {
    /// The oldest addition of each release, by its place in the order of everything seen.
    additions: HashMap<DeviceId, u64>,
}

impl Rule for AddDuringRelease {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => self.added(*id, model),
            Change::Left(
                left @ Left {
                    hook: Hook::ReleaseAll,
                    device: Some(id),
                    ..
                },
            ) if !self.additions.is_empty() => {
                if blame::runs(model, Hook::ReleaseAll, *id) {
                    return;
                }
                if let Some(since) = self.additions.remove(id)
                    && !left.inferred
                    && let Some(device) = model.device_by_id(*id)
                {
                    left_behind(device, since, left, model, report);
                }
            }
            Change::DeviceGone { device, .. } => {
                self.additions.remove(device);
            }
            _ => {}
        }
    }
}

impl AddDuringRelease {
    fn added(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id) else { return };
        if matches!(
            node.phase(),
            State::Unknown | State::Probing | State::Bound | State::Initialised
        ) || node.kind().is_marker()
        {
            return;
        }
        if let Some(device) = model.owner(node)
            && blame::runs(model, Hook::ReleaseAll, device.id())
        {
            self.additions.entry(device.id()).or_insert(node.sequence());
        }
    }
}

fn left_behind(device: Device<'_>, since: u64, left: &Left, model: &Model, report: &mut Report) {
    let tid = model.current_task().tid;
    let behind: Vec<_> = device
        .nodes()
        .map(|(_, node)| node)
        .filter(|node| {
            node.sequence() >= since && node.task().tid == tid && !node.kind().is_marker()
        })
        .collect();
    let Some(first) = behind.first() else { return };
    let subject = Subject::of(device);
    let name = subject.name();
    if !device.is_whole() || !device.is_whole_since(since) {
        report.stay_silent(INFO.id, subject.key, Doubt::AddedInReleaseAfterMiss);
        return;
    }
    // A device that is going is not probed again: what is left goes with it.
    let going = matches!(device.state(), State::Deleted | State::Dead)
        || blame::runs(model, Hook::Delete, device.id())
        || blame::runs(model, Hook::FinalPut, device.id());
    let (severity, meaning) = if going {
        (
            Severity::Warn,
            "The device is being deleted: the new resource is released later, or never if this was the last release.",
        )
    } else {
        (
            Severity::Error,
            "The kernel takes the list once. A resource added by a release function stays on a device without a \
             driver, and the next probe is refused with -EBUSY.",
        )
    };
    report.submit(Finding {
        summary: format!(
            "Releasing the resources of {name} added {}, which stayed behind.",
            match behind.len() {
                1 => finding::label(first).to_owned(),
                count => format!("{count} resources"),
            }
        ),
        meaning: meaning.to_owned(),
        order: vec![
            Step::at(left.entered, "devres_release_all() begins"),
            Step::at(
                first.added(),
                format!("a release adds {}", finding::label(first)),
            ),
            Step::at(
                model.now(),
                "devres_release_all() returns; it is still on the device",
            ),
        ],
        expected: vec![
            "no release function or action calls a devm_*() function on its own device".to_owned(),
        ],
        resources: behind
            .iter()
            .map(|node| finding::live_resource(node))
            .collect(),
        ..subject.finding(&INFO, severity, &finding::mark(first), model.now())
    });
}
