//! DR008 add-during-release: the release of a resource adds another to the same device, which that run of
//! releases leaves behind.

use hashbrown::HashMap;

use super::{Rule, blame};
use crate::{
    event::Hook,
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Kind, Left, Model, Node, NodeId, State},
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
    additions: HashMap<DeviceId, Addition>,
    /// What each device has released last, where the kernel says so.
    running: HashMap<DeviceId, Node>,
}

#[derive(Debug)]
struct Addition {
    /// Its place in the order of everything seen.
    sequence: u64,
    /// What was being released.
    within: Option<Node>,
}

impl Rule for AddDuringRelease {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => self.added(*id, model),
            Change::NodeReleased {
                node,
                concluded: false,
            } => {
                // Giving memory back adds nothing.
                if let Some(node) = model.node(*node)
                    && node.kind() != Kind::Memory
                    && let Some(device) = model.owner(node)
                {
                    self.running.insert(device.id(), node.outline());
                }
            }
            Change::Left(
                left @ Left {
                    hook: Hook::ReleaseAll,
                    device: Some(id),
                    ..
                },
            ) => {
                self.running.remove(id);
                if self.additions.is_empty() || blame::runs(model, Hook::ReleaseAll, *id) {
                    return;
                }
                if let Some(addition) = self.additions.remove(id)
                    && !left.inferred
                    && let Some(device) = model.device_by_id(*id)
                {
                    left_behind(device, &addition, left, model, report);
                }
            }
            Change::Left(Left {
                hook: Hook::ReleaseGroup,
                device: Some(id),
                ..
            }) => {
                self.running.remove(id);
            }
            Change::DeviceGone { device, .. } => {
                self.additions.remove(device);
                self.running.remove(device);
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
            let within = self.running.get(&device.id());
            self.additions
                .entry(device.id())
                .or_insert_with(|| Addition {
                    sequence: node.sequence(),
                    within: within.map(Node::outline),
                });
        }
    }
}

fn left_behind(
    device: Device<'_>,
    addition: &Addition,
    left: &Left,
    model: &Model,
    report: &mut Report,
) {
    let since = addition.sequence;
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
    let within = addition.within.as_ref().map(finding::label);
    let mark = match within {
        // Where the addition is the release's last call, no frame of it is left.
        Some(within) if first.stack().is_some() && finding::asker(first).is_none() => {
            format!("{}/{within}", finding::mark(first))
        }
        _ => finding::mark(first),
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
                format!(
                    "{} adds {}",
                    within.map_or_else(
                        || "a release".to_owned(),
                        |within| format!("the release of {within}")
                    ),
                    finding::label(first)
                ),
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
        ..subject.finding(&INFO, severity, &mark, model.now())
    });
}
