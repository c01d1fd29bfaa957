//! DR015 explicit-out-of-order: a single resource is given up while younger ones live that may use it.

use super::{Rule, blame};
use crate::{
    event::Hook,
    finding::{
        self, Adders, Certainty, Doubt, Finding, Repeat, Report, RuleInfo, Severity, Step, Subject,
    },
    model::{Change, Device, Hazard, Kind, Model, Node, NodeId, Origin, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR015",
    name: "explicit-out-of-order",
    severities: &[Severity::Warn, Severity::Info],
    description: "A resource is freed explicitly while newer ones are live.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::DevresLog, Hook::DevresRemove],
        &[Hook::Probe],
        &[Hook::Bound],
    ],
    page: include_str!("dr015.md"),
    ..RuleInfo::PLAIN
};

/// Younger resources that are looked at for one that may use what is given up.
const MOST_YOUNGER: usize = 64;

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub(super) struct ExplicitOutOfOrder;

impl Rule for ExplicitOutOfOrder {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::NodeRemoved(id) = change {
            removed(*id, model, report);
        }
    }
}

fn removed(id: NodeId, model: &Model, report: &mut Report) {
    let Some(node) = model.node(id).filter(|node| concerns(node)) else {
        return;
    };
    let Some(device) = model.owner(node) else {
        return;
    };
    // Remove and the releases themselves take down by hand what they know; in probe scratch memory and pin
    // control come and go.
    let in_probe = device.state() == State::Probing && node.kind() != Kind::Memory;
    if !in_probe && device.state() != State::Bound {
        return;
    }
    let Some(youngest) = younger(node, device).next() else {
        return;
    };
    let user = younger(node, device)
        .take(MOST_YOUNGER)
        .find(|younger| may_use(younger, node));
    let severity = match user {
        Some(_) if device.state() == State::Bound => Severity::Warn,
        _ => Severity::Info,
    };
    let subject = Subject::of(device);
    let what = finding::label(node);
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::FreedAloneAfterMiss);
        return;
    }
    // Who asked for it is left out: of what was there before the trace began nobody knows, and the next binding's is
    // the same.
    let mark = finding::label(node);
    let user = user.unwrap_or(youngest);
    let again = Repeat {
        subject: &subject,
        fingerprint: &subject.fingerprint(&INFO, mark),
        severity,
        certainty: Certainty::Confirmed,
        adders: Adders::of_nodes(&[node, user]),
        now: model.now(),
    };
    if report.repeat(&again) {
        return;
    }
    let meaning = if severity == Severity::Warn {
        "The driver is bound, and an interrupt or power management set up later may still use it."
    } else {
        "Newer resources often use older ones. Freeing an older one explicitly is right only if no newer one uses \
         it."
    };
    report.submit(Finding {
        summary: format!(
            "{what} of {} was freed explicitly while the newer {} was still live.",
            subject.name(),
            finding::label(user)
        ),
        meaning: meaning.to_owned(),
        order: vec![
            Step::at(node.added(), format!("{what} is added")),
            Step::at(user.added(), format!("{} is added", finding::label(user))),
            Step::at(model.now(), format!("{what} is freed explicitly")),
        ],
        expected: vec![
            format!("{} is freed", finding::label(user)),
            format!("{what} is freed"),
        ],
        resources: vec![finding::live_resource(node), finding::live_resource(user)],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, severity, mark, model.now())
    });
}

fn concerns(node: &Node) -> bool {
    let name = node.name().map_or("", |name| &**name);
    // Rust drops a Devres whenever its owner goes, which is what it is for.
    node.origin() != Origin::Unknown
        && !name.is_empty()
        && !node.kind().is_marker()
        && name != "devm_pinctrl_release"
        && !name.starts_with("Devres<")
}

/// What was added after `node`, the youngest first.
fn younger<'m>(node: &Node, device: Device<'m>) -> impl Iterator<Item = &'m Node> {
    let sequence = node.sequence();
    device
        .nodes()
        .rev()
        .map(|(_, node)| node)
        .take_while(move |younger| younger.sequence() > sequence)
        .filter(|younger| !younger.kind().is_marker())
}

/// Whether an interrupt or power management may need what is given up.
fn may_use(younger: &Node, node: &Node) -> bool {
    let needs = matches!(
        younger.kind().hazard(),
        Some(Hazard::Interrupt | Hazard::Power)
    );
    let is_needed = matches!(
        node.kind().hazard(),
        Some(Hazard::Power | Hazard::Clock | Hazard::Regulator | Hazard::Mapping | Hazard::Driver)
    );
    needs && is_needed
}
