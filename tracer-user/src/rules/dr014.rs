//! DR014 irq-after-remove: a managed interrupt is still requested when its driver's remove has returned.

use hashbrown::HashMap;

use super::{
    Rule, blame,
    interrupt::{self, Interrupt},
    known::{self, Observed},
};
use crate::{
    event::{Hook, Time},
    finding::{
        self, Adders, Certainty, Doubt, Finding, Repeat, Report, RuleInfo, Severity, Step, Subject,
    },
    model::{Change, Detail, Device, DeviceId, Entered, Left, Model, Node, NodeId, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR014",
    name: "irq-after-remove",
    severities: &[Severity::Warn, Severity::Info],
    description: "A managed interrupt outlives its driver's remove.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Unbind],
        &[Hook::ReleaseAll],
    ],
    details: super::CONTENTS,
    sharpened_by: &[Hook::Remove, Hook::IrqHandler],
    page: include_str!("dr014.md"),
    ..RuleInfo::PLAIN
};

const RELEASE: &str = "devm_irq_release";

/// The rule. Where handlers are observed it keeps the interrupts that are live between the end of a remove
/// and their release.
#[derive(Debug, Default)]
pub(super) struct IrqAfterRemove {
    windows: HashMap<Interrupt, Window>,
    /// Where releases are concluded: the interrupts that a release still running has taken off.
    going: HashMap<Interrupt, Going>,
}

/// An interrupt that is being released with others, the kernel does not say when.
#[derive(Debug)]
struct Going {
    device: DeviceId,
    node: Node,
    removed: Time,
}

/// An interrupt between the end of remove and its release.
#[derive(Debug)]
struct Window {
    device: DeviceId,
    removed: Time,
    handled: Option<Time>,
}

impl Rule for IrqAfterRemove {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Left(Left {
                hook: Hook::Remove,
                device: Some(id),
                inferred: false,
                ..
            }) if model.coverage().sees(Hook::IrqHandler) => {
                if let Some(device) = model.device_by_id(*id) {
                    self.open_windows(device, model.now());
                }
            }
            Change::Entered(Entered {
                hook: Hook::IrqHandler,
                detail: Detail::Irq { number, dev_id },
                ..
            }) => {
                let interrupt = (*number, *dev_id);
                if let Some(window) = self.windows.get_mut(&interrupt) {
                    window.handled.get_or_insert(model.now());
                }
                if let Some(going) = self.going.remove(&interrupt)
                    && let Some(device) = model.device_by_id(going.device)
                {
                    let handled = Some((going.removed, model.now()));
                    found(device, &going.node, handled, model, report);
                }
            }
            Change::NodeReleased { node, concluded } => {
                self.released(*node, *concluded, model, report);
            }
            Change::Left(Left {
                hook: Hook::ReleaseAll,
                device: Some(id),
                ..
            }) if !self.going.is_empty() => self.going.retain(|_, going| going.device != *id),
            Change::NodeRemoved(id) | Change::NodeVanished(id) if !self.windows.is_empty() => {
                if let Some(interrupt) = model.node(*id).and_then(interrupt::of) {
                    self.windows.remove(&interrupt);
                }
            }
            Change::BindingEnded { device, .. } | Change::DeviceGone { device, .. }
                if !self.windows.is_empty() =>
            {
                self.windows.retain(|_, window| window.device != *device);
            }
            Change::Lost(_) => {
                self.windows.clear();
                self.going.clear();
            }
            _ => {}
        }
    }
}

impl IrqAfterRemove {
    fn open_windows(&mut self, device: Device<'_>, now: Time) {
        for interrupt in device.resources().filter_map(interrupt::of) {
            let window = Window {
                device: device.id(),
                removed: now,
                handled: None,
            };
            self.windows.insert(interrupt, window);
        }
    }

    fn released(&mut self, id: NodeId, concluded: bool, model: &Model, report: &mut Report) {
        let Some(node) = model
            .node(id)
            .filter(|node| node.name().is_some_and(|name| &**name == RELEASE))
        else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        let interrupt = interrupt::of(node);
        let window = interrupt.and_then(|interrupt| self.windows.remove(&interrupt));
        let after_remove = device.state() == State::Cleanup
            && node.phase() != State::Cleanup
            && blame::runs(model, Hook::Unbind, device.id())
            && !blame::runs(model, Hook::Probe, device.id());
        if !after_remove {
            return;
        }
        if let Some(interrupt) = interrupt.filter(|_| concluded) {
            let going = Going {
                device: device.id(),
                node: node.outline(),
                removed: model.now(),
            };
            self.going.insert(interrupt, going);
        }
        let handled = window
            .as_ref()
            .filter(|window| window.device == device.id())
            .and_then(|window| Some((window.removed, window.handled?)));
        found(device, node, handled, model, report);
    }
}

/// The interrupt outlived remove; `handled` says when that returned and its handler ran, if it did.
fn found(
    device: Device<'_>,
    node: &Node,
    handled: Option<(Time, Time)>,
    model: &Model,
    report: &mut Report,
) {
    let subject = Subject::of(device);
    let severity = if handled.is_some() {
        Severity::Warn
    } else {
        Severity::Info
    };
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::InterruptAfterMiss);
        return;
    }
    // Who asked for it is left out: of what was there before the trace began nobody knows, and the next binding's is
    // the same.
    let mark = finding::label(node);
    let again = Repeat {
        subject: &subject,
        fingerprint: &subject.fingerprint(&INFO, mark),
        severity,
        certainty: Certainty::Confirmed,
        adders: Adders::of_nodes(&[node]),
        now: model.now(),
    };
    if report.repeat(&again) {
        return;
    }
    let name = subject.name();
    let mut order = Vec::new();
    if let Some((removed, handled)) = handled {
        order.push(Step::at(removed, "remove returns"));
        order.push(Step::at(handled, "the interrupt's handler runs"));
    }
    order.push(Step::at(model.now(), "the interrupt is freed"));
    let summary = match handled {
        Some(_) => {
            format!("An interrupt of {name} was handled after its driver's remove had returned.")
        }
        None => {
            format!("An interrupt of {name} was freed only after its driver's remove had returned.")
        }
    };
    let meaning = match handled {
        Some(_) => {
            "The handler ran after remove had torn down the driver. Harmless if remove left everything the handler uses."
        }
        None => {
            "Until then the handler can run after remove has torn down the driver. Most drivers can cope; a remove \
                 that frees or powers off what the handler uses must free the interrupt first."
        }
    };
    report.submit(Finding {
        summary,
        meaning: meaning.to_owned(),
        order,
        expected: vec![
            "the interrupt is freed or disabled before remove tears down what its handler uses"
                .to_owned(),
        ],
        resources: vec![finding::live_resource(node)],
        known: known::of(INFO.id, Observed::driver(subject.driver())),
        ..subject.finding(&INFO, severity, mark, model.now())
    });
}
