//! DR005 group-misuse: groups closed twice, opened twice under one identifier, overlapping, or not there.

use super::{Rule, RuleInfo, blame};
use crate::{
    event::{GroupId, Hook, Message},
    finding::{Certainty, Finding, Report, Severity, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Kind, Model, Node, NodeId, State},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR005",
    name: "group-misuse",
    severities: &[Severity::Error, Severity::Warn],
    description: "A group is closed twice, shares its identifier, overlaps another, or does not exist.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::CloseGroup],
    ],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr005.md"),
};

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub struct GroupMisuse;

impl Rule for GroupMisuse {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
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
            }) => called(*hook, *device, (*id, *selected, *closed), model, report),
            Change::Told { device, message } => {
                if let Message::Warning { function, .. } = &**message
                    && let Some(function) = function.as_deref()
                    && is_of_groups(function)
                {
                    warned(*device, function, model, report);
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
}

/// Functions of drivers/base/devres.c that complain only of groups.
pub(super) fn is_of_groups(function: &str) -> bool {
    matches!(
        function,
        "add_dr"
            | "devres_close_group"
            | "devres_remove_group"
            | "devres_release_group"
            | "remove_nodes"
    )
}

/// The kernel itself warned.
fn warned(id: Option<DeviceId>, function: &str, model: &Model, report: &mut Report) {
    let subject = blame::told_of(id, model);
    let caller = blame::reported_caller(function, model);
    let who = caller.map_or_else(String::new, |caller| format!(", called by {caller}"));
    let stopped = function == "add_dr";
    let closing = model
        .current_stack()
        .is_some_and(|stack| blame::passes(stack, "devres_close_group"));
    let (severity, sort, meaning) = if stopped && closing {
        (
            Severity::Error,
            "added-twice",
            "A group was closed twice: its closing marker is on the list already.",
        )
    } else if stopped {
        (
            Severity::Warn,
            "added-twice",
            "A node that was to be added is on a list already, or its memory was overwritten.",
        )
    } else {
        (
            Severity::Warn,
            "not-found",
            "There is no such group on the device: it was released before, is on another device, or its opener \
             failed. The kernel does nothing: what was meant to be closed or released is not.",
        )
    };
    let what = blame::reported_as(sort, function, caller);
    let (certainty, did, expected) = match (stopped, closing) {
        (true, false) => (Certainty::Likely, "stopped", "a node is added once"),
        (stopped, _) => (
            Certainty::Confirmed,
            if stopped { "stopped" } else { "warned" },
            "the group that was opened is named by its own identifier, once",
        ),
    };
    report.submit(Finding {
        certainty,
        summary: format!("The kernel {did} in {function}(){who}."),
        meaning: meaning.to_owned(),
        expected: vec![expected.to_owned()],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, severity, &what, model.now())
    });
}

/// A group function was called on a group that is not there, or closes one that is closed.
fn called(
    hook: Hook,
    id: DeviceId,
    (group, selected, is_closed): (GroupId, Option<NodeId>, bool),
    model: &Model,
    report: &mut Report,
) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let function = hook.symbol();
    let Some(open) = selected else {
        // A device that is going has been emptied, and the kernel takes that for an answer.
        if hook == Hook::ReleaseGroup && device.node_count() == 0 {
            return;
        }
        let wanted = if group.0 == 0 {
            "NULL"
        } else {
            "an identifier"
        };
        let misuse = Misuse {
            severity: Severity::Warn,
            what: "not-found",
            summary: format!(
                "{function}() was called for {wanted} on {}, which has no such group.",
                device.name()
            ),
            meaning: "The kernel warns and does nothing: what was meant to be closed or released is not.",
            expected: "the group that was opened is named by its own identifier",
        };
        return misuse.report(device, device.is_whole(), model, report);
    };
    if hook == Hook::CloseGroup && is_closed {
        let misuse = Misuse {
            severity: Severity::Error,
            what: "closed-twice",
            summary: format!(
                "{function}() was called on {} for a group that is closed.",
                device.name()
            ),
            meaning: "The closing marker is on the list already: the kernel stops with a BUG.",
            expected: "each group is closed once",
        };
        let seen = marker_seen(device, open, model);
        misuse.report(device, seen, model, report);
    }
}

/// Whether nothing was missed since the marker was added.
fn marker_seen(device: Device<'_>, marker: NodeId, model: &Model) -> bool {
    model
        .node(marker)
        .is_some_and(|node| device.is_whole_since(node.sequence()))
}

/// A group was opened: is there another with its identifier?
fn opened(id: NodeId, node: &Node, device: Device<'_>, model: &Model, report: &mut Report) {
    let named = node
        .group()
        .is_some_and(|group| group.0 != 0 && group.0 != node.address().0);
    let twin = device
        .groups()
        .find(|(group, marker, _)| *marker != id && Some(*group) == node.group());
    if let Some((_, twin, _)) = twin.filter(|_| named) {
        let misuse = Misuse {
            severity: Severity::Error,
            what: "same-identifier",
            summary: format!(
                "A group was opened on {} under an identifier that another of its groups has.",
                device.name()
            ),
            meaning: "The kernel takes the younger for either: closing or releasing the older one hits the wrong \
                      resources.",
            expected: "each group that lives has an identifier of its own",
        };
        misuse.report(device, marker_seen(device, twin, model), model, report);
    }
}

/// A group was closed: does it end behind the end of a group in which it began?
fn closed(id: NodeId, node: &Node, device: Device<'_>, model: &Model, report: &mut Report) {
    let Some(begin) = device
        .groups()
        .find(|(_, _, close)| *close == Some(id))
        .and_then(|(_, open, _)| model.node(open))
        .map(Node::sequence)
    else {
        return;
    };
    let overlapped = device.groups().any(|(_, open, close)| {
        let (Some(open), Some(close)) = (model.node(open), close.and_then(|id| model.node(id)))
        else {
            return false;
        };
        open.sequence() < begin && begin < close.sequence() && close.sequence() < node.sequence()
    });
    if overlapped {
        let misuse = Misuse {
            severity: Severity::Warn,
            what: "overlapping",
            summary: format!(
                "A group of {} was closed that began within another and ends behind it.",
                device.name()
            ),
            meaning: "Releasing the outer one takes what lies in both, and leaves the inner one with the rest.",
            expected: "the group that was opened last is closed first",
        };
        misuse.report(device, device.is_whole_since(begin), model, report);
    }
}

struct Misuse {
    severity: Severity,
    what: &'static str,
    summary: String,
    meaning: &'static str,
    expected: &'static str,
}

impl Misuse {
    fn report(self, device: Device<'_>, seen: bool, model: &Model, report: &mut Report) {
        let subject = Subject::of(device);
        if !seen || device.is_tainted() || device.state() == State::Unknown {
            report.stay_silent(
                INFO.id,
                subject.key,
                subject.name(),
                "a group was used on a device of which something was missed",
            );
            return;
        }
        let caused_by = blame::caller_as_cause(&subject, model);
        report.submit(Finding {
            summary: self.summary,
            meaning: self.meaning.to_owned(),
            expected: vec![self.expected.to_owned()],
            caused_by,
            ..subject.finding(&INFO, self.severity, self.what, model.now())
        });
    }
}
