//! DR017 runtime-growth: a bound driver adds the same resource again and again.

use hashbrown::HashMap;

use super::{
    Rule,
    known::{self, Observed},
};
use crate::{
    event::{Hook, Time},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, DeviceId, Model, Node, NodeId, Origin, SiteId, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR017",
    name: "runtime-growth",
    severities: &[Severity::Warn, Severity::Info],
    description: "A bound driver adds the same resource again and again (a leak until unbind).",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::DevresLog, Hook::DevresRemove],
        &[Hook::Probe],
        &[Hook::Bound],
    ],
    page: include_str!("dr017.md"),
    ..RuleInfo::PLAIN
};

/// Live resources from one place between two looks at whether there are ever more.
const STEP: u32 = 16;
/// Looks in a row at which there must be more than ever before.
const LOOKS: u32 = 3;
/// Growth within less than this may be a single operation that needs many: nanoseconds.
const LASTING: u64 = 1_000_000_000;

/// The rule. It keeps something for each place from which a bound driver has added what is live.
#[derive(Debug, Default)]
pub(super) struct RuntimeGrowth {
    sites: HashMap<DeviceId, HashMap<SiteId, Growth>>,
}

#[derive(Debug)]
struct Growth {
    live: u32,
    most: u32,
    /// Looks in a row at which there were more than ever.
    grown: u32,
    since: Time,
    reported: bool,
    /// The oldest addition of which events are all known.
    sequence: u64,
}

impl Growth {
    /// Counts one more. Whether there are more than ever for several looks in a row, at this one too.
    fn adds(&mut self) -> bool {
        self.live += 1;
        if self.live <= self.most {
            return false;
        }
        self.most = self.live;
        if !self.most.is_multiple_of(STEP) {
            return false;
        }
        self.grown += 1;
        self.grown >= LOOKS
    }
}

impl Rule for RuntimeGrowth {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => self.added(*id, model, report),
            Change::NodeRemoved(id)
            | Change::NodeVanished(id)
            | Change::NodeReleased { node: id, .. }
                if !self.sites.is_empty() =>
            {
                self.gone(*id, model);
            }
            Change::DeviceGone { device, .. } if !self.sites.is_empty() => {
                self.sites.remove(device);
            }
            // It counts on under the name that it has from now on.
            Change::NodeReplaced { node, site, .. } => {
                self.gone_from(*node, *site, model);
                self.added(*node, model, report);
            }
            _ => {}
        }
    }
}

fn concerns(node: &Node) -> bool {
    node.phase() == State::Bound && node.origin() == Origin::Seen && !node.kind().is_marker()
}

/// Whether the node was added by a resume: what one adds, the next adds again.
fn resumes(node: &Node) -> bool {
    node.stack().is_some_and(|stack| {
        stack
            .frames
            .iter()
            .filter_map(|frame| frame.function.as_deref())
            .filter(|function| function.module.is_none())
            .any(|function| {
                matches!(
                    function.name.as_deref(),
                    Some(
                        "rpm_resume"
                            | "device_resume"
                            | "device_resume_early"
                            | "device_resume_noirq"
                    )
                )
            })
    })
}

impl RuntimeGrowth {
    fn added(&mut self, id: NodeId, model: &Model, report: &mut Report) {
        let Some(node) = model.node(id).filter(|node| concerns(node)) else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        let growth = self
            .sites
            .entry(device.id())
            .or_default()
            .entry(node.site())
            .or_insert_with(|| Growth {
                live: 0,
                most: 0,
                grown: 0,
                since: node.added(),
                reported: false,
                sequence: node.sequence(),
            });
        if !growth.adds() {
            return;
        }
        let lasted = model.now().since(growth.since);
        let lasting = lasted >= LASTING && model.coverage().times || resumes(node);
        let severity = if lasting {
            Severity::Warn
        } else {
            Severity::Info
        };
        let subject = Subject::of(device);
        let what = finding::label(node);
        if !device.is_whole_since(growth.sequence) || !device.is_whole() {
            report.stay_silent(INFO.id, subject.key, Doubt::GrowthAfterMiss);
            return;
        }
        let (live, name) = (growth.live, subject.name());
        let meaning = if lasting {
            "All of them stay until the unbind. Whatever adds them, a resume, an open or an ioctl, must release them \
             again, or resources run out."
        } else {
            "It may have been a single operation that needs many. If each resume, open or ioctl adds some, they \
             accumulate until the unbind."
        };
        let finding = Finding {
            summary: format!(
                "{what} leaks: {live} live allocations from one call site on bound device {name}."
            ),
            meaning: meaning.to_owned(),
            order: vec![
                Step::at(growth.since, "the first is added"),
                Step::at(
                    model.now(),
                    format!("number {live} is added; none but the newest was released"),
                ),
            ],
            expected: vec!["resources added for an operation are released when it ends".to_owned()],
            resources: vec![finding::live_resource(node)],
            known: known::of(INFO.id, Observed::driver(subject.driver())),
            ..subject.finding(&INFO, severity, &finding::mark(node), model.now())
        };
        // The same growth is found once, however long it goes on.
        if std::mem::replace(&mut growth.reported, true) {
            report.update(finding);
        } else {
            report.submit(finding);
        }
    }

    fn gone(&mut self, id: NodeId, model: &Model) {
        if let Some(node) = model.node(id) {
            self.gone_from(id, node.site(), model);
        }
    }

    /// A node is no longer one of those from this place.
    fn gone_from(&mut self, id: NodeId, site: SiteId, model: &Model) {
        let Some(node) = model.node(id).filter(|node| concerns(node)) else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        let Some(sites) = self.sites.get_mut(&device.id()) else {
            return;
        };
        let Some(growth) = sites.get_mut(&site) else {
            return;
        };
        growth.live = growth.live.saturating_sub(1);
        if growth.live == 0 {
            sites.remove(&site);
            if sites.is_empty() {
                self.sites.remove(&device.id());
            }
        } else if growth.live < growth.most / 2 {
            // It does fall: begin anew from here.
            growth.most = growth.live;
            growth.grown = 0;
            growth.since = model.now();
        }
    }
}
