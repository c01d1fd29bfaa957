//! DR025 freed-by-hand-under-live-action: memory is freed to which the data of an action or the `dev_id` of an interrupt
//! points, and the action then runs, or the interrupt is still requested.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    Rule, blame,
    interrupt::{self, Interrupt},
    pointer::{Holder, held},
};
use crate::{
    event::{Hook, Time},
    finding::{self, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Model, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR025",
    name: "freed-by-hand-under-live-action",
    severities: &[Severity::Error, Severity::Warn],
    description: "kfree() frees what a live action or interrupt is called with.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::Free]],
    details: super::CONTENTS,
    sharpened_by: &[Hook::Remove, Hook::IrqHandler],
    optional: true,
    page: include_str!("dr025.md"),
};

/// The rule. Where frees are observed it keeps what each live action and interrupt points to, and of those whose memory was
/// freed what there is to say if they run: one that is removed does no harm.
#[derive(Debug, Default)]
pub(super) struct FreedUnderLive {
    live: HashMap<u64, SmallVec<[Holder; 1]>>,
    freed: HashMap<Holder, Freed>,
}

/// Memory was freed to which a resource points.
#[derive(Debug)]
struct Freed {
    finding: Box<Finding>,
    /// When. Frees are not among the events by which a task's order is checked, since interrupts free as well.
    at: Time,
    interrupt: Option<Interrupt>,
    /// When the interrupt's handler ran after that.
    handled: Option<Time>,
}

impl Rule for FreedUnderLive {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) if model.coverage().sees(Hook::Free) => {
                if let Some((pointer, holder)) = held(*id, model) {
                    self.live.entry(pointer).or_default().push(holder);
                }
            }
            Change::NodeReleased { node, .. } if !self.live.is_empty() => {
                if let Some(freed) = self.freed_before(*node, model, report) {
                    report.submit(used(freed, "is released", model));
                }
            }
            Change::NodeRemoved(node) if !self.live.is_empty() => {
                if let Some(freed) = self.freed_before(*node, model, report) {
                    if freed.interrupt.is_some() {
                        report.submit(used(freed, "is freed", model));
                    } else if blame::runs_removed(model) {
                        report.submit(used(freed, "is released", model));
                    }
                }
            }
            Change::NodeVanished(node) if !self.live.is_empty() => {
                if let Some(freed) = self.forget(*node, model) {
                    doubt(&freed, Doubt::FreedUnderAfterMiss, report);
                }
            }
            Change::DeviceGone { device, .. } if !self.live.is_empty() => {
                for (node, _) in model
                    .device_by_id(*device)
                    .into_iter()
                    .flat_map(Device::owned)
                {
                    if let Some(freed) = self.forget(node, model) {
                        doubt(&freed, Doubt::FreedUnderAfterMiss, report);
                    }
                }
            }
            Change::Tainted { device, .. } if !self.freed.is_empty() => {
                self.doubt_all(report, |owner| owner == *device);
            }
            Change::Lost(_) if !self.freed.is_empty() => self.doubt_all(report, |_| true),
            Change::Entered(Entered {
                hook: Hook::Free,
                device: Some(within),
                detail: Detail::Memory(memory),
            }) => self.is_freed(*memory, *within, model, report),
            Change::Entered(Entered {
                hook: Hook::IrqHandler,
                detail: Detail::Irq { number, dev_id },
                ..
            }) => {
                let interrupt = Some((*number, *dev_id));
                for freed in self.freed.values_mut() {
                    if freed.interrupt == interrupt {
                        freed.handled.get_or_insert(model.now());
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        for (_, freed) in self.freed.drain() {
            doubt(&freed, Doubt::FreedUnderAtEnd, report);
        }
    }
}

fn doubt(freed: &Freed, doubt: Doubt, report: &mut Report) {
    report.stay_silent(INFO.id, freed.finding.instance, doubt);
}

impl FreedUnderLive {
    /// The resource goes, or its release runs from now on. Returns what there is to say if its memory was freed.
    fn forget(&mut self, id: NodeId, model: &Model) -> Option<Freed> {
        let (pointer, holder) = held(id, model)?;
        if let Some(holders) = self.live.get_mut(&pointer) {
            holders.retain(|known| *known != holder);
            if holders.is_empty() {
                self.live.remove(&pointer);
            }
        }
        self.freed.remove(&holder)
    }

    /// As [`forget`](Self::forget), but what was freed later than the resource goes is in the wrong place: it proves nothing.
    fn freed_before(&mut self, id: NodeId, model: &Model, report: &mut Report) -> Option<Freed> {
        let freed = self.forget(id, model)?;
        if model.now() < freed.at {
            doubt(&freed, Doubt::FreedUnderAfterMiss, report);
            return None;
        }
        Some(freed)
    }

    /// Something that was missed may explain what was freed.
    fn doubt_all(&mut self, report: &mut Report, mut concerns: impl FnMut(DeviceId) -> bool) {
        self.freed.retain(|Holder { device: owner, .. }, freed| {
            let doubted = concerns(*owner);
            if doubted {
                doubt(freed, Doubt::FreedUnderAfterMiss, report);
            }
            !doubted
        });
    }

    fn is_freed(&mut self, memory: u64, within: DeviceId, model: &Model, report: &mut Report) {
        // An interrupt that comes in between has nothing to do with the task.
        if model.current_stack().is_some_and(blame::in_interrupt) {
            return;
        }
        let holders = self.live.get(&memory).into_iter().flatten();
        for holder in holders.copied() {
            if self.freed.contains_key(&holder) {
                continue;
            }
            if let Some(freed) = freed(holder, within, model, report) {
                self.freed.insert(holder, freed);
            }
        }
    }
}

/// Memory to which a live resource points was freed. What there is to say, as long as the resource is live.
fn freed(
    Holder {
        device: owner,
        sequence,
    }: Holder,
    within: DeviceId,
    model: &Model,
    report: &mut Report,
) -> Option<Freed> {
    let device = model.device_by_id(owner)?;
    let subject = Subject::of(device);
    let nodes = device.releasing().chain(device.nodes());
    let node = nodes
        .map(|(_, node)| node)
        .find(|node| node.sequence() == sequence);
    let Some(node) = node.filter(|_| device.is_whole_since(sequence)) else {
        report.stay_silent(INFO.id, subject.key, Doubt::FreedUnderAfterMiss);
        return None;
    };
    let interrupt = interrupt::of(node);
    let (what, name) = (finding::label(node), subject.name());
    let (holds, passed) = if interrupt.is_some() {
        ("the interrupt's dev_id", "dev_id")
    } else {
        ("the action's data", "data")
    };
    let caller = model.current_stack().and_then(|stack| {
        let own = blame::functions(stack).find(|function| function.module.is_some());
        own.or_else(|| blame::caller(stack, Hook::Free.symbol()))
    });
    let by = caller.map_or_else(String::new, |caller| format!(", by {caller}"));
    let place = place(within, model);
    let caused_by = if within == owner {
        blame::caller_as_cause(&subject, model)
    } else {
        blame::foreign(model, owner).and_then(|frame| blame::cause(model, frame))
    };
    let finding = Finding {
        certainty: Certainty::Confirmed,
        summary: format!(
            "{place} freed the {passed} of {what} on {name} with kfree() while {what} was still live."
        ),
        order: vec![
            Step::at(node.added(), format!("{what} is added to {name}")),
            Step::at(
                model.now(),
                format!("{place} frees {holds} with kfree(){by}"),
            ),
        ],
        expected: vec![
            format!("{what} is released or removed"),
            "the memory it is called with is freed".to_owned(),
        ],
        resources: vec![finding::live_resource(node)],
        caused_by,
        ..subject.finding(&INFO, Severity::Error, &finding::mark(node), model.now())
    };
    Some(Freed {
        finding: Box::new(finding),
        at: model.now(),
        interrupt,
        handled: None,
    })
}

/// Where the current task frees, as the beginning of a sentence.
fn place(within: DeviceId, model: &Model) -> String {
    let frame = model.frames(model.current_task()).last();
    let function = match frame.map(crate::model::Frame::hook) {
        Some(Hook::Probe) => "The probe",
        Some(Hook::Remove) => "The remove",
        Some(Hook::ReleaseAll | Hook::ReleaseGroup | Hook::Release | Hook::ReleaseAction) => {
            "Another release"
        }
        _ => "The unbind",
    };
    let device = model.device_by_id(within).map(Subject::of);
    let name = device.as_ref().map_or(finding::UNKNOWN, Subject::name);
    format!("{function} of {name}")
}

/// The resource goes: its action runs now, or its handler could until now.
fn used(freed: Freed, how: &str, model: &Model) -> Finding {
    let Freed {
        mut finding,
        interrupt,
        handled,
        ..
    } = freed;
    let what = finding
        .resources
        .first()
        .map_or_else(|| "it".to_owned(), |resource| resource.label().to_owned());
    let meaning = if interrupt.is_none() {
        "The action then ran with the address of freed memory, which somebody else may have had by then. It is harmless \
         only if it never looks there."
    } else if handled.is_some() {
        "The interrupt's handler ran after that, with the address of freed memory."
    } else {
        "Until it went, the interrupt's handler could run with the address of freed memory. It is harmless only if the \
         interrupt was disabled before."
    };
    if interrupt.is_some() && handled.is_none() {
        finding.severity = Severity::Warn;
    }
    meaning.clone_into(&mut finding.meaning);
    finding
        .order
        .extend(handled.map(|time| Step::at(time, "the interrupt's handler runs")));
    finding
        .order
        .push(Step::at(model.now(), format!("{what} {how}")));
    for resource in &mut finding.resources {
        resource.released = Some(model.now());
    }
    finding.last = model.now();
    *finding
}
