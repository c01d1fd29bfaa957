//! DR024 power-off-before-quiesce: a clock or regulator goes off by hand in remove, or in a probe that fails, while a
//! managed interrupt or interface is still live.

use hashbrown::HashMap;

use super::{
    Rule, blame,
    interrupt::{self, Interrupt},
};
use crate::{
    event::{Function, Hook, Text, Time, switched},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Hazard, Model, Node, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR024",
    name: "power-off-before-quiesce",
    severities: &[Severity::Warn, Severity::Info],
    description: "A clock or regulator goes off by hand while a managed interrupt or interface is live.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::Unbind],
        &[Hook::ReleaseAll],
        &[Hook::ClkDisable, Hook::RegulatorDisable],
        &[Hook::ClkEnable, Hook::RegulatorEnable],
    ],
    details: super::CONTENTS,
    sharpened_by: &[
        Hook::Remove,
        Hook::ClkUnprepare,
        Hook::ClkPrepare,
        Hook::IrqHandler,
    ],
    optional: true,
    page: include_str!("dr024.md"),
};

/// The rule. It keeps what went off in each remove or probe that runs, and what was live then and has gone since.
#[derive(Debug, Default)]
pub(super) struct PowerOffBeforeQuiesce {
    devices: HashMap<DeviceId, Dark>,
    /// When each interrupt was last handled while something was off.
    handled: HashMap<Interrupt, Time>,
}

/// A device part of which has no power.
#[derive(Debug, Default)]
struct Dark {
    off: Vec<Off>,
    gone: Vec<Gone>,
    /// What was off before the unbind and went on in it: when it goes off again, that is as it was.
    borrowed: Vec<(Hook, Text)>,
}

/// A clock or regulator that went off.
#[derive(Debug)]
struct Off {
    hook: Hook,
    supply: Text,
    time: Time,
    /// Its place in the order of everything seen.
    sequence: u64,
    /// Who called for it.
    caller: Option<Function>,
    /// The caller's name, where it is the same in every run.
    caller_name: Option<Text>,
    /// In which function.
    within: Hook,
}

/// What was live when something went off, and has gone.
#[derive(Debug)]
struct Gone {
    node: Node,
    time: Time,
    /// The place of its going in the order of everything seen.
    sequence: u64,
    handled: Option<Time>,
}

impl Gone {
    /// Whether it was live when this went off.
    fn outlived(&self, off: &Off) -> bool {
        self.node.sequence() < off.sequence && off.sequence < self.sequence
    }
}

impl Rule for PowerOffBeforeQuiesce {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook,
                device: Some(id),
                detail: Detail::Supply(supply),
            }) => {
                if undone_by(*hook).is_some() {
                    self.goes_off(*hook, *id, supply, model, report);
                } else {
                    self.goes_on(*hook, *id, supply, model);
                }
            }
            _ if self.devices.is_empty() => {}
            Change::Entered(Entered {
                hook: Hook::IrqHandler,
                detail: Detail::Irq { number, dev_id },
                ..
            }) => {
                self.handled.insert((*number, *dev_id), model.now());
            }
            Change::NodeReleased { node, .. } | Change::NodeRemoved(node) => {
                self.went(*node, model);
            }
            Change::BindingEnded { device, .. } => {
                if let Some(dark) = self.forget(*device)
                    && let Some(device) = model.device_by_id(*device)
                {
                    found(device, &dark, model, report);
                }
            }
            // What a probe that succeeds has switched off is none of this.
            Change::BindingBegan(device)
            | Change::Bound(device)
            | Change::DeviceGone { device, .. } => {
                self.forget(*device);
            }
            Change::Lost(_) => {
                self.devices.clear();
                self.handled.clear();
            }
            _ => {}
        }
    }
}

/// What undoes it, where something goes off with this.
const fn undone_by(hook: Hook) -> Option<Hook> {
    match hook {
        Hook::ClkDisable => Some(Hook::ClkEnable),
        Hook::ClkUnprepare => Some(Hook::ClkPrepare),
        Hook::RegulatorDisable => Some(Hook::RegulatorEnable),
        _ => None,
    }
}

impl PowerOffBeforeQuiesce {
    fn goes_off(
        &mut self,
        hook: Hook,
        id: DeviceId,
        supply: &Text,
        model: &Model,
        report: &mut Report,
    ) {
        let Some(within) = by_hand(id, model) else {
            return;
        };
        let stack = model.current_stack();
        let dark = self.devices.get(&id);
        if dark.is_some_and(|dark| dark.has_borrowed(hook, supply))
            || stack.is_some_and(blame::in_interrupt)
            // Before 5.18 only the stack distinguishes what remove does from the suspend that comes with an unbind.
            || within == Hook::Unbind && stack.is_some_and(blame::in_runtime_pm_of_unbind)
        {
            return;
        }
        let doubt = if undone_by(hook).is_some_and(|hook| !model.coverage().sees(hook)) {
            Some(Doubt::SwitchedBackUnseen)
        } else if within == Hook::Unbind && stack.is_none() {
            Some(Doubt::SwitchedInUnbindWithoutStack)
        } else {
            None
        };
        if let Some(doubt) = doubt {
            if let Some(device) = model.device_by_id(id) {
                report.stay_silent(INFO.id, device.key(), doubt);
            }
            return;
        }
        let caller = stack.and_then(|stack| {
            let own = blame::functions(stack).find(|function| function.module.is_some());
            let function = own.or_else(|| blame::caller(stack, hook.symbol()))?;
            Some((
                function.clone(),
                stack.lasting_name(function).map(Text::from),
            ))
        });
        let (caller, caller_name) = caller.unzip();
        self.devices.entry(id).or_default().off.push(Off {
            hook,
            supply: Text::clone(supply),
            time: model.now(),
            sequence: model.sequence(),
            caller,
            caller_name: caller_name.flatten(),
            within,
        });
    }

    fn goes_on(&mut self, hook: Hook, id: DeviceId, supply: &Text, model: &Model) {
        let dark = self.devices.entry(id).or_default();
        let before = dark.off.len();
        dark.off
            .retain(|off| undone_by(off.hook) != Some(hook) || off.supply != *supply);
        if dark.off.len() == before && blame::runs(model, Hook::Unbind, id) {
            dark.borrowed.push((hook, Text::clone(supply)));
        }
        if dark.is_empty() {
            self.forget(id);
        }
    }

    fn went(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id).filter(|node| lets_in(node).is_some()) else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        let Some(dark) = self.devices.get_mut(&device.id()) else {
            return;
        };
        let Some(off) = dark.off.iter().find(|off| off.sequence > node.sequence()) else {
            return;
        };
        let handled = interrupt::of(node)
            .and_then(|interrupt| self.handled.get(&interrupt))
            .filter(|handled| **handled >= off.time);
        dark.gone.push(Gone {
            node: node.outline(),
            time: model.now(),
            sequence: model.sequence(),
            handled: handled.copied(),
        });
    }

    fn forget(&mut self, id: DeviceId) -> Option<Dark> {
        let dark = self.devices.remove(&id);
        if self.devices.is_empty() {
            self.handled.clear();
        }
        dark
    }
}

impl Dark {
    fn is_empty(&self) -> bool {
        self.off.is_empty() && self.gone.is_empty() && self.borrowed.is_empty()
    }

    fn has_borrowed(&self, hook: Hook, supply: &Text) -> bool {
        self.borrowed
            .iter()
            .any(|(on, known)| undone_by(hook) == Some(*on) && known == supply)
    }
}

/// The function for this device that switches something by hand: what a release or a PM domain does inside it is not.
fn by_hand(id: DeviceId, model: &Model) -> Option<Hook> {
    let frame = model.frames(model.current_task()).last()?;
    let within = frame.hook();
    let is_by_hand = match within {
        Hook::Remove | Hook::Probe => true,
        Hook::Unbind => !model.coverage().sees(Hook::Remove),
        _ => false,
    };
    (is_by_hand && frame.device() == Some(id)).then_some(within)
}

/// How the driver can be called until this goes.
fn lets_in(node: &Node) -> Option<Hazard> {
    let hazard = node.kind().hazard();
    hazard.filter(|hazard| {
        matches!(
            hazard,
            Hazard::Interrupt | Hazard::Interface | Hazard::Thermal
        )
    })
}

fn switching_off(off: &Off) -> Step {
    let what = switched(off.hook, &off.supply).unwrap_or_default();
    let by = off.caller.as_ref();
    let by = by.map_or_else(String::new, |caller| format!(", by {caller}"));
    Step::at(off.time, format!("{what}{by}"))
}

fn found(device: Device<'_>, dark: &Dark, model: &Model, report: &mut Report) {
    let outlived = |off: &&Off| dark.gone.iter().any(|gone| gone.outlived(off));
    let is_late = |gone: &&Gone| dark.off.iter().any(|off| gone.outlived(off));
    let gone: Vec<&Gone> = dark.gone.iter().filter(is_late).collect();
    let (Some(off), Some(first)) = (dark.off.iter().find(outlived), gone.first()) else {
        return;
    };
    let subject = Subject::of(device);
    if !device.is_whole() {
        report.stay_silent(INFO.id, subject.key, Doubt::SwitchedAfterMiss);
        return;
    }
    let handled = gone.iter().find_map(|gone| gone.handled);
    // In a probe a clock may be on only for a moment, and others manage it afterwards.
    let is_open =
        |gone: &Gone| off.within != Hook::Probe && lets_in(&gone.node) != Some(Hazard::Interrupt);
    let is_called = handled.is_some() || gone.iter().any(|gone| is_open(gone));
    let severity = if is_called {
        Severity::Warn
    } else {
        Severity::Info
    };
    let what = if off.hook == Hook::RegulatorDisable {
        "Regulator"
    } else {
        "Clock"
    };
    let within = match off.within {
        Hook::Probe => "the failed probe",
        _ => "remove",
    };
    let (label, name) = (finding::label(&first.node), subject.name());
    let live = match gone.len() {
        1 => format!("{label} was"),
        count => format!("{label} and {} more were", count - 1),
    };
    let off_then = dark.off.iter().filter(outlived).map(switching_off);
    let handled_then = handled.map(|time| Step::at(time, "an interrupt's handler runs"));
    let gone_then = gone.iter().map(|gone| {
        let label = finding::label(&gone.node);
        Step::at(gone.time, format!("{label} is released"))
    });
    let meaning = if handled.is_some() {
        "The handler ran without what was switched off. If it touches registers, the access fails or hangs."
    } else if is_called {
        "Until it goes others can call the driver through it. If that touches registers, the access fails or hangs."
    } else if gone
        .iter()
        .any(|gone| lets_in(&gone.node) != Some(Hazard::Interrupt))
    {
        "Until it goes others can call the driver through it. If that touches registers, the access fails or hangs. \
         Harmless if the probe had it on only for a moment, and others manage it."
    } else {
        "Until it is freed the interrupt's handler can run, and if it touches registers, the access fails or hangs. \
         Harmless if the device can't raise it any more and no other shares the line."
    };
    let mark = off.caller_name.as_ref().unwrap_or(&off.supply);
    report.submit(Finding {
        summary: format!(
            "{what} {} went off in {within} of {name} while {live} still live.",
            off.supply
        ),
        meaning: meaning.to_owned(),
        order: off_then.chain(handled_then).chain(gone_then).collect(),
        expected: vec![
            "what can call the driver is released or disabled".to_owned(),
            "clocks and regulators go off".to_owned(),
        ],
        resources: gone
            .iter()
            .map(|gone| finding::resource(&gone.node, Some(gone.time), off.time))
            .collect(),
        delay_since: "the switch-off",
        ..subject.finding(&INFO, severity, mark, model.now())
    });
}
