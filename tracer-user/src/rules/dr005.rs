//! DR005 group-misuse: groups closed twice, opened twice under one identifier, overlapping, or not there.

use super::{Rule, blame};
use crate::{
    event::{GroupId, Hook, Message},
    evidence::Addresses,
    finding::{self, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Kind, Model, Node, NodeId, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR005",
    name: "group-misuse",
    severities: &[Severity::Error, Severity::Warn],
    description: "A group is closed twice, shares its identifier with another, overlaps another, or does not exist.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::CloseGroup],
    ],
    page: include_str!("dr005.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps only what was called a moment ago.
#[derive(Debug, Default)]
pub(super) struct GroupMisuse {
    unfound: Vec<Unfound>,
}

/// A group function was called on a group that was not seen to be opened. What follows on the task shows
/// whether the kernel has it.
#[derive(Debug)]
struct Unfound {
    hook: Hook,
    device: DeviceId,
    tid: u32,
    /// The place of the call in the order of everything seen.
    sequence: u64,
    finding: Box<Finding>,
}

impl Rule for GroupMisuse {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if !self.unfound.is_empty() {
            self.follow(change, model, report);
        }
        match change {
            Change::Entered(Entered {
                hook: hook @ (Hook::CloseGroup | Hook::RemoveGroup | Hook::ReleaseGroup),
                device: Some(device),
                detail:
                    Detail::Group {
                        id,
                        selected,
                        closed,
                    },
            }) => {
                let unfound = called(*hook, *device, (*id, *selected, *closed), model, report);
                self.unfound.extend(unfound);
            }
            Change::KernelMessage { device, message } => {
                let Message::Warning { function, line } = &**message else {
                    return;
                };
                match function.as_deref() {
                    Some(function) if is_of_groups(function) => {
                        let certainty = blame::certainty_of_warning(*line);
                        warned(*device, function, certainty, model, report);
                    }
                    Some(_) => {}
                    None => {
                        let subject = blame::told_of(*device, model);
                        report.stay_silent(INFO.id, subject.key, Doubt::FaultUnexplained);
                    }
                }
            }
            Change::NodeAdded(id) => {
                if let Some(node) = model.node(*id)
                    && node.kind().is_marker()
                    && let Some(device) = model.owner(node)
                {
                    match node.kind() {
                        Kind::GroupOpen => opened(*id, node, device, model, report),
                        _ => closed(*id, node, device, model, report),
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        for unfound in self.unfound.drain(..) {
            report.submit(*unfound.finding);
        }
    }
}

impl GroupMisuse {
    /// Looks whether a change shows that a group that was not found is there, or that it is not.
    fn follow(&mut self, change: &Change, model: &Model, report: &mut Report) {
        let mut index = 0;
        while let Some(unfound) = self.unfound.get(index) {
            match unfound.shown_by(change, model) {
                None => index += 1,
                Some(exists) => {
                    let unfound = self.unfound.swap_remove(index);
                    if exists {
                        unfound.stay_silent(report);
                    } else {
                        report.submit(*unfound.finding);
                    }
                }
            }
        }
    }
}

impl Unfound {
    /// Whether a change shows that the group is there; `None` if it shows neither.
    fn shown_by(&self, change: &Change, model: &Model) -> Option<bool> {
        let marker = |id: &NodeId| model.node(*id).is_some_and(|node| node.kind().is_marker());
        match change {
            // Whatever was missed may have been its opening.
            Change::Lost(_) => return Some(true),
            Change::Tainted { device, .. } if *device == self.device => return Some(true),
            _ => {}
        }
        if model.current_task().tid != self.tid || model.sequence() == self.sequence {
            return None;
        }
        match change {
            Change::NodeAdded(node) if self.hook == Hook::CloseGroup => Some(marker(node)),
            Change::NodeRemoved(node) if self.hook == Hook::RemoveGroup => Some(marker(node)),
            Change::NodeReleased { .. } if self.hook == Hook::ReleaseGroup => Some(true),
            Change::Left(left) if left.hook == self.hook && left.device == Some(self.device) => {
                Some(left.value.is_some_and(|count| count > 0))
            }
            Change::NodeAdded(_)
            | Change::NodeRemoved(_)
            | Change::NodeReleased { .. }
            | Change::Entered(_)
            | Change::Left(_) => Some(false),
            _ => None,
        }
    }

    fn stay_silent(self, report: &mut Report) {
        report.stay_silent(INFO.id, self.finding.instance, Doubt::GroupNotSeenOpened);
    }
}

/// Functions of drivers/base/devres.c that complain only of groups.
pub(super) fn is_of_groups(function: &str) -> bool {
    adds(function)
        || matches!(
            function,
            "devres_close_group" | "devres_remove_group" | "devres_release_group" | "remove_nodes"
        )
}

/// Whether a function adds a node, and stops the kernel if that is on a list already: `add_dr()`, or one that the
/// compiler has made it a part of. None of them warns of anything.
fn adds(function: &str) -> bool {
    matches!(
        function,
        "add_dr"
            | "devres_add"
            | "devres_node_add"
            | "devres_get"
            | "devres_open_group"
            | "devm_kmalloc"
            | "devm_add_action"
            | "__devm_add_action"
            | "devm_get_free_pages"
            | "__devm_alloc_percpu"
    )
}

/// The kernel itself warned.
fn warned(
    id: Option<DeviceId>,
    function: &str,
    told: Certainty,
    model: &Model,
    report: &mut Report,
) {
    let subject = blame::told_of(id, model);
    let caller = blame::reported_caller(function, model);
    let who = caller.map_or_else(String::new, |caller| format!(", called by {caller}"));
    let stopped = adds(function);
    let passes = |function| {
        let stack = model.current_stack();
        stack.is_some_and(|stack| blame::passes(stack, function))
    };
    let closing = passes("devres_close_group");
    let (severity, sort, meaning) = if stopped && closing {
        (
            Severity::Error,
            "added-twice",
            "A group was closed twice: its closing marker is already on the list.",
        )
    } else if stopped {
        (
            Severity::Warn,
            "added-twice",
            "The node to be added is already on a list, or its memory was overwritten.",
        )
    } else if function == "devres_release_group" && passes("devres_release_all") {
        (
            Severity::Warn,
            "not-found",
            "A device's resources are being released around it: if the group is of that device, it went with them, and \
             nothing is wrong. Else it was released before, is on another device, or opening it failed. The kernel does \
             nothing.",
        )
    } else {
        (
            Severity::Warn,
            "not-found",
            "The device has no such group: it was released before, is on another device, or opening it failed. The \
             kernel does nothing: the intended group stays as it is.",
        )
    };
    let lasting = model
        .current_stack()
        .and_then(|stack| blame::caller_name(stack, function));
    let what = blame::reported_as(sort, function, lasting);
    let (certainty, did, expected) = match (stopped, closing) {
        (true, false) => (Certainty::Likely, "stopped", "a node is added once"),
        (stopped, _) => (
            told,
            if stopped { "stopped" } else { "warned" },
            "each open group is closed or released once, by its own identifier",
        ),
    };
    report.submit(Finding {
        certainty,
        summary: format!("The kernel {did} in {function}(){who}."),
        meaning: meaning.to_owned(),
        order: vec![Step::at(
            model.now(),
            format!("the kernel {did} in {function}()"),
        )],
        expected: vec![expected.to_owned()],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, severity, &what, model.now())
    });
}

/// A group function was called on a group that is not there, or closes one that is closed.
/// Whether a group of the device goes by its own address, and it is not known that it was opened with NULL, or what its
/// address is.
fn has_group_of_unknown_id(device: Device<'_>, model: &Model) -> bool {
    let coverage = model.coverage();
    let told = coverage.serves(Hook::OpenGroup) && coverage.node_addresses == Addresses::Real;
    !told
        && device.groups().any(|(id, open, _)| {
            id.0 == 0
                || model
                    .node(open)
                    .is_some_and(|marker| marker.address().0 == id.0)
        })
}

fn called(
    hook: Hook,
    id: DeviceId,
    (group, selected, is_closed): (GroupId, Option<NodeId>, bool),
    model: &Model,
    report: &mut Report,
) -> Option<Unfound> {
    let device = model.device_by_id(id)?;
    let Some(open) = selected else {
        let misuse = not_found(hook, device, group, model)?;
        if has_group_of_unknown_id(device, model) {
            let subject = Subject::of(device);
            report.stay_silent(INFO.id, subject.key, Doubt::GroupIdUntold);
            return None;
        }
        let finding = misuse.judge(device, device.is_whole(), model, report)?;
        return Some(Unfound {
            hook,
            device: id,
            tid: model.current_task().tid,
            sequence: model.sequence(),
            finding: Box::new(finding),
        });
    };
    if hook == Hook::CloseGroup
        && is_closed
        && let Some(marker) = model.node(open)
    {
        let (call, caller) = call(hook, model);
        let misuse = Misuse {
            severity: Severity::Error,
            mark: blame::reported_as("closed-twice", "", caller),
            summary: format!(
                "{}() was called on {} for a group that is already closed.",
                hook.symbol(),
                device.name()
            ),
            meaning: "The closing marker is already on the list: the kernel stops with a BUG.",
            order: vec![step("the group is opened", marker), call],
            expected: "each group is closed once",
            groups: vec![marker],
        };
        misuse.report(device, is_seen(marker, device), model, report);
    }
    None
}

/// That a group function is called just now, and by whom.
fn call(hook: Hook, model: &Model) -> (Step, Option<&str>) {
    let function = hook.symbol();
    let caller = model
        .current_stack()
        .and_then(|stack| blame::caller_name(stack, function));
    let call = Step::at(model.now(), format!("{function}() is called"));
    (call, caller)
}

/// A group function was called on a group that was not seen to be opened.
fn not_found<'m>(
    hook: Hook,
    device: Device<'_>,
    group: GroupId,
    model: &'m Model,
) -> Option<Misuse<'m>> {
    // A device that is going has been emptied, and the kernel takes that for an answer.
    if hook == Hook::ReleaseGroup && device.node_count() == 0 {
        return None;
    }
    let function = hook.symbol();
    let (call, caller) = call(hook, model);
    let wanted = if group.0 == 0 {
        "NULL"
    } else {
        "an identifier"
    };
    Some(Misuse {
        severity: Severity::Warn,
        mark: blame::reported_as("not-found", function, caller),
        summary: format!(
            "{function}() was called for {wanted} on {}, which has no such group.",
            device.name()
        ),
        meaning: "The kernel warns and does nothing: the intended group stays as it is.",
        order: vec![call],
        expected: "the open group is named by its own identifier",
        groups: Vec::new(),
    })
}

fn step(what: &str, marker: &Node) -> Step {
    Step::at(marker.added(), what.to_owned())
}

/// Whether nothing was missed since the marker was added.
fn is_seen(marker: &Node, device: Device<'_>) -> bool {
    device.is_whole_since(marker.sequence())
}

/// Who called the function that added a marker.
fn caller(marker: &Node, function: Hook) -> Option<&str> {
    blame::caller_name(marker.stack()?, function.symbol())
}

/// A group was opened: is there another with its identifier?
fn opened(id: NodeId, node: &Node, device: Device<'_>, model: &Model, report: &mut Report) {
    let named = node
        .group()
        .is_some_and(|group| group.0 != 0 && group.0 != node.address().0);
    let twin = node
        .group()
        .and_then(|group| device.oldest_group(group))
        .filter(|twin| *twin != id)
        .and_then(|twin| model.node(twin));
    if let Some(twin) = twin.filter(|_| named) {
        let misuse = Misuse {
            severity: Severity::Error,
            mark: blame::reported_as("same-identifier", "", caller(node, Hook::OpenGroup)),
            summary: format!(
                "A group was opened on {} with the identifier of another of its groups.",
                device.name()
            ),
            meaning: "The kernel finds the newer one for either: closing or releasing the older one affects the wrong \
                      resources.",
            order: vec![
                step("a group is opened", twin),
                step("another is opened with the same identifier", node),
            ],
            expected: "each live group has its own identifier",
            groups: vec![twin, node],
        };
        misuse.report(device, is_seen(twin, device), model, report);
    }
}

/// A group was closed: does it end behind the end of a group in which it began?
fn closed(id: NodeId, node: &Node, device: Device<'_>, model: &Model, report: &mut Report) {
    let Some(opening) = device.opening(id).filter(|opening| *opening != id) else {
        return;
    };
    let Some(begin) = model.node(opening) else {
        return;
    };
    let overlapped = device.overlapped(opening);
    if let Some((open, close)) = overlapped
        && let (Some(open), Some(close)) = (model.node(open), model.node(close))
    {
        let misuse = Misuse {
            severity: Severity::Warn,
            mark: blame::reported_as("overlapping", "", caller(node, Hook::CloseGroup)),
            summary: format!(
                "A group of {} that was opened within another was closed after it: the two overlap.",
                device.name()
            ),
            meaning: "Releasing the outer one also releases what is in both, and the inner one keeps the rest.",
            order: vec![
                step("a group is opened", open),
                step("another is opened in it", begin),
                step("the first is closed", close),
                step("the second is closed", node),
            ],
            expected: "the group opened last is closed first",
            groups: vec![open, begin],
        };
        misuse.report(device, is_seen(begin, device), model, report);
    }
}

struct Misuse<'m> {
    severity: Severity,
    /// What tells it apart in fingerprints.
    mark: String,
    summary: String,
    meaning: &'static str,
    order: Vec<Step>,
    expected: &'static str,
    /// The opening markers of the groups that it is about.
    groups: Vec<&'m Node>,
}

impl Misuse<'_> {
    fn report(self, device: Device<'_>, seen: bool, model: &Model, report: &mut Report) {
        if let Some(finding) = self.judge(device, seen, model, report) {
            report.submit(finding);
        }
    }

    /// The finding, unless something was missed of the device.
    fn judge(
        self,
        device: Device<'_>,
        seen: bool,
        model: &Model,
        report: &mut Report,
    ) -> Option<Finding> {
        let subject = Subject::of(device);
        if !seen || device.is_tainted() || device.state() == State::Unknown {
            report.stay_silent(INFO.id, subject.key, Doubt::GroupUsedAfterMiss);
            return None;
        }
        let caused_by = blame::caller_as_cause(&subject, model);
        Some(Finding {
            summary: self.summary,
            meaning: self.meaning.to_owned(),
            order: self.order,
            expected: vec![self.expected.to_owned()],
            resources: self
                .groups
                .into_iter()
                .map(finding::live_resource)
                .collect(),
            caused_by,
            ..subject.finding(&INFO, self.severity, &self.mark, model.now())
        })
    }
}
