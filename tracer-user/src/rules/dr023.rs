//! DR023 enabled-at-put: a managed clock or regulator is released while it is still enabled.

use hashbrown::HashMap;

use super::{
    Rule, blame,
    splat::{self, Proof, Put},
};
use crate::{
    event::{Hook, Role, Text, splat::Phase},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, DeviceId, Entered, Frame, Model, Node, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR023",
    name: "enabled-at-put",
    severities: &[Severity::Warn],
    description: "A managed clock or regulator is released while it is still enabled.",
    needs: &[
        &[Hook::Unbind],
        &[Hook::ReleaseAll],
        &[Hook::ClkPut, Hook::RegulatorPut],
    ],
    details: &[
        (Hook::ClkPut, Role::Supply),
        (Hook::RegulatorPut, Role::Supply),
    ],
    sharpened_by: &[Hook::DevresLog, Hook::ClkEnable],
    optional: true,
    page: include_str!("dr023.md"),
};

/// The rule. It keeps which clock or regulator each task releases, and when each went on.
#[derive(Debug, Default)]
pub(super) struct EnabledAtPut {
    /// By the task's thread id: what it has begun to release last, of what can be enabled.
    released: HashMap<u32, (DeviceId, Node)>,
    /// What went on in the binding of each device, and has not gone off in it.
    on: HashMap<DeviceId, Vec<(Text, Step)>>,
}

impl Rule for EnabledAtPut {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::KernelMessage { device, message } => {
                splat::judge(&INFO, Proof::EnabledAtPut, *device, message, model, report);
            }
            Change::Entered(Entered {
                hook,
                device: Some(id),
                detail: Detail::Supply(name),
            }) => match hook {
                Hook::ClkPut | Hook::RegulatorPut => self.put(*hook, name, model, report),
                Hook::ClkEnable => self.goes_on(*id, name, model),
                Hook::ClkDisable => {
                    if let Some(on) = self.on.get_mut(id) {
                        on.retain(|(known, _)| known != name);
                    }
                }
                _ => {}
            },
            // Where releases are concluded, it is not known which of them runs.
            Change::NodeReleased {
                node,
                concluded: false,
            } => self.is_released(*node, model),
            Change::BindingBegan(device) | Change::DeviceGone { device, .. } => {
                self.on.remove(device);
            }
            Change::BindingEnded { device, .. } => {
                self.on.remove(device);
                self.released.retain(|_, (known, _)| known != device);
            }
            Change::Lost(_) => {
                self.released.clear();
                self.on.clear();
            }
            _ => {}
        }
    }
}

impl EnabledAtPut {
    fn goes_on(&mut self, id: DeviceId, name: &Text, model: &Model) {
        let own = model
            .current_stack()
            .and_then(|stack| blame::functions(stack).find(|function| function.module.is_some()));
        let by = own.map_or_else(String::new, |own| format!(", by {own}"));
        let step = Step::at(model.now(), format!("clock {name} goes on{by}"));
        let on = self.on.entry(id).or_default();
        on.retain(|(known, _)| known != name);
        on.push((Text::clone(name), step));
    }

    fn is_released(&mut self, id: NodeId, model: &Model) {
        let Some((node, device)) = model
            .node(id)
            .and_then(|node| Some((node, model.owner(node)?)))
        else {
            return;
        };
        let tid = model.current_task().tid;
        if node
            .name()
            .is_some_and(|name| name.contains("clk") || name.contains("regulator"))
        {
            self.released.insert(tid, (device.id(), node.outline()));
        } else {
            self.released.remove(&tid);
        }
    }

    /// The kernel gives back what is still enabled. It counts if a managed release does so, and none of it by hand.
    fn put(&mut self, hook: Hook, name: &Text, model: &Model, report: &mut Report) {
        let frame = model.frames(model.current_task()).last();
        let Some((id, frame)) = frame.and_then(|frame| Some((frame.device()?, frame))) else {
            return;
        };
        if !releases(frame) {
            return;
        }
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let subject = Subject::of(device);
        if !device.is_whole() {
            report.stay_silent(INFO.id, subject.key, Doubt::SwitchedAfterMiss);
            return;
        }
        let task = model.current_task().tid;
        let node = self.released.get(&task).filter(|(known, _)| *known == id);
        let node = node.map(|(_, node)| node);
        let what = match hook {
            Hook::ClkPut => "clock",
            _ => "regulator",
        };
        let put = Put {
            what,
            name: Some(name),
            who: node.map_or_else(
                || "a release".to_owned(),
                |node| format!("the release {}", finding::label(node)),
            ),
            phase: if blame::runs(model, Hook::Unbind, id) {
                Phase::Unbind
            } else if blame::runs(model, Hook::Probe, id) {
                Phase::FailedProbe
            } else {
                Phase::Unknown
            },
            seen: "it is still enabled",
        };
        let mut finding = put.finding(&INFO, &subject, name, model);
        let on = self.on.get(&id).into_iter().flatten();
        let on = on.filter(|(known, _)| hook == Hook::ClkPut && known == name);
        finding.order.splice(0..0, on.map(|(_, step)| step.clone()));
        report.submit(Finding {
            resources: node.map(finding::live_resource).into_iter().collect(),
            caused_by: blame::caller_as_cause(&subject, model),
            ..finding
        });
    }
}

/// Whether the function releases what is managed.
fn releases(frame: &Frame) -> bool {
    matches!(
        frame.hook(),
        Hook::ReleaseAll | Hook::ReleaseGroup | Hook::Release | Hook::ReleaseAction
    )
}
