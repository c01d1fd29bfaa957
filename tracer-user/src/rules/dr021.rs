//! DR021 double-free-managed: a managed interrupt is freed by `free_irq()`, and will be again by its release.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    Rule, blame,
    interrupt::{self, Interrupt},
    splat::{self, Proof},
};
use crate::{
    event::Hook,
    finding::{self, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Model, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR021",
    name: "double-free-managed",
    severities: &[Severity::Error, Severity::Warn],
    description: "free_irq() frees a managed interrupt, which its release then frees again.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::FreeIrq]],
    details: super::CONTENTS,
    optional: true,
    page: include_str!("dr021.md"),
    ..RuleInfo::PLAIN
};

/// The place of a resource in the order of everything seen, and whose it is.
type Holder = (DeviceId, u64);

/// The rule. It keeps each live managed interrupt, where `free_irq` is observed, and of those that were freed what there
/// is to say once their release runs, too: before that, `devm_free_irq()` may have called it, and its removal of the
/// resource was not seen.
#[derive(Debug, Default)]
pub(super) struct DoubleFreeManaged {
    live: HashMap<Interrupt, SmallVec<[Holder; 1]>>,
    freed: HashMap<Holder, Box<Finding>>,
    /// Whose resource a task has just released or removed while another has the same number and `dev_id`: its `free_irq()`
    /// is still to come.
    due: HashMap<u32, Interrupt>,
}

impl Rule for DoubleFreeManaged {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => {
                if model.coverage().sees(Hook::FreeIrq)
                    && let Some((interrupt, holder)) = held(*id, model)
                {
                    self.live.entry(interrupt).or_default().push(holder);
                }
            }
            Change::NodeReleased { node, .. } if !self.live.is_empty() => {
                self.frees_its_own(*node, model);
                if let Some(finding) = self.forget(*node, model) {
                    report.submit(confirmed(*finding, model));
                }
            }
            // devm_free_irq() takes the resource off before it calls free_irq().
            Change::NodeRemoved(node) if !self.live.is_empty() => {
                self.frees_its_own(*node, model);
                self.forget(*node, model);
            }
            Change::NodeVanished(node) if !self.live.is_empty() => {
                if let Some(finding) = self.forget(*node, model) {
                    report.stay_silent(INFO.id, finding.instance, Doubt::FreedIrqAfterMiss);
                }
            }
            Change::DeviceGone { device, .. } if !self.live.is_empty() => {
                for (node, _) in model
                    .device_by_id(*device)
                    .into_iter()
                    .flat_map(Device::owned)
                {
                    if let Some(finding) = self.forget(node, model) {
                        report.stay_silent(INFO.id, finding.instance, Doubt::FreedIrqAfterMiss);
                    }
                }
            }
            Change::Tainted { device, .. } if !self.freed.is_empty() => {
                self.doubt(report, |owner| owner == *device);
            }
            Change::Lost(_) => {
                self.due.clear();
                self.doubt(report, |_| true);
            }
            Change::Entered(Entered {
                hook: Hook::FreeIrq,
                detail: Detail::Irq { number, dev_id },
                ..
            }) => {
                let interrupt = (*number, *dev_id);
                if self.due.remove(&model.current_task().tid) == Some(interrupt) {
                    return;
                }
                let holders = self.live.get(&interrupt).into_iter().flatten();
                for holder in holders.copied() {
                    if let Some(finding) = freed(holder, *number, model, report) {
                        self.freed.insert(holder, Box::new(finding));
                    }
                }
            }
            Change::KernelMessage { device, message } => {
                splat::judge(&INFO, Proof::FreedTwice, *device, message, model, report);
            }
            _ => {}
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        let mut open: Vec<_> = self.freed.drain().collect();
        open.sort_by_key(|((_, sequence), _)| *sequence);
        for (_, finding) in open {
            report.stay_silent(INFO.id, finding.instance, Doubt::FreedIrqAtEnd);
            report.submit(*finding);
        }
    }
}

fn held(id: NodeId, model: &Model) -> Option<(Interrupt, Holder)> {
    let node = model.node(id)?;
    let interrupt = interrupt::of(node)?;
    Some((interrupt, (model.owner(node)?.id(), node.sequence())))
}

impl DoubleFreeManaged {
    /// Whoever releases or removes one of several that are alike frees that one.
    fn frees_its_own(&mut self, id: NodeId, model: &Model) {
        let Some((interrupt, _)) = held(id, model) else {
            return;
        };
        let alike = self.live.get(&interrupt).map_or(0, SmallVec::len);
        if alike > 1 {
            self.due.insert(model.current_task().tid, interrupt);
        }
    }

    /// The interrupt is no longer managed. Returns what there is to say if it was freed meanwhile.
    fn forget(&mut self, id: NodeId, model: &Model) -> Option<Box<Finding>> {
        let (interrupt, holder) = held(id, model)?;
        if let Some(holders) = self.live.get_mut(&interrupt) {
            holders.retain(|known| *known != holder);
            if holders.is_empty() {
                self.live.remove(&interrupt);
            }
        }
        self.freed.remove(&holder)
    }

    /// Something that was missed may explain what was freed on these devices.
    fn doubt(&mut self, report: &mut Report, mut concerns: impl FnMut(DeviceId) -> bool) {
        self.freed.retain(|(owner, _), finding| {
            let doubted = concerns(*owner);
            if doubted {
                report.stay_silent(INFO.id, finding.instance, Doubt::FreedIrqAfterMiss);
            }
            !doubted
        });
    }
}

/// `free_irq()` was called for an interrupt that is managed. What there is to say, as long as its release has not run.
fn freed(
    (owner, sequence): Holder,
    number: u32,
    model: &Model,
    report: &mut Report,
) -> Option<Finding> {
    let device = model.device_by_id(owner)?;
    let subject = Subject::of(device);
    let node = device.resources().find(|node| node.sequence() == sequence);
    let Some(node) = node.filter(|_| device.is_whole_since(sequence)) else {
        report.stay_silent(INFO.id, subject.key, Doubt::FreedIrqAfterMiss);
        return None;
    };
    Some(Finding {
        certainty: Certainty::Likely,
        summary: format!("free_irq({number}) was called for a managed interrupt of {}.", subject.name()),
        meaning: "The devres node is still on the device, and unbind frees the interrupt again: the kernel warns, or \
                  frees somebody else's handler. Use devm_free_irq(), or leave it to the unbind."
            .to_owned(),
        order: vec![
            Step::at(node.added(), "devm_request_irq() requests it and adds its resource"),
            Step::at(model.now(), "free_irq() frees it; the resource stays"),
        ],
        expected: vec!["devm_free_irq() or the unbind frees it, once".to_owned()],
        resources: vec![finding::live_resource(node)],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, Severity::Warn, &finding::mark(node), model.now())
    })
}

/// The release of the interrupt runs now.
fn confirmed(mut finding: Finding, model: &Model) -> Finding {
    finding.severity = Severity::Error;
    finding.certainty = Certainty::Confirmed;
    "The unbind freed the interrupt again: the kernel warned, or freed somebody else's handler. Use devm_free_irq(), or \
     leave it to the unbind."
        .clone_into(&mut finding.meaning);
    finding
        .order
        .push(Step::at(model.now(), "its release frees it again"));
    for resource in &mut finding.resources {
        resource.released = Some(model.now());
    }
    finding.last = model.now();
    finding
}
