//! DR021 double-free-managed: a managed interrupt is freed by `free_irq()`, and will be again by its release.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    Rule, blame,
    interrupt::{self, Interrupt},
    splat::{self, Proof},
};
use crate::{
    event::{Hook, Message},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, DeviceId, Entered, Model, NodeId},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR021",
    name: "double-free-managed",
    severities: &[Severity::Error],
    description: "free_irq() frees a managed interrupt, which its release then frees again.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &[Hook::FreeIrq]],
    details: super::CONTENTS,
    sharpened_by: &[],
    optional: true,
    page: include_str!("dr021.md"),
};

/// The rule. It keeps each live managed interrupt, where `free_irq` is observed.
#[derive(Debug, Default)]
pub struct DoubleFreeManaged {
    live: HashMap<Interrupt, SmallVec<[(DeviceId, u64); 1]>>,
}

impl Rule for DoubleFreeManaged {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::NodeAdded(id) => {
                if let Some((interrupt, holder)) = held(*id, model)
                    && model.coverage().sees(Hook::FreeIrq)
                {
                    self.live.entry(interrupt).or_default().push(holder);
                }
            }
            // devm_free_irq() takes the resource off before it calls free_irq(), and so does a release.
            Change::NodeRemoved(id)
            | Change::NodeVanished(id)
            | Change::NodeReleased { node: id, .. }
                if !self.live.is_empty() =>
            {
                self.forget(*id, model);
            }
            Change::DeviceGone { device, .. } if !self.live.is_empty() => {
                self.live.retain(|_, holders| {
                    holders.retain(|(owner, _)| owner != device);
                    !holders.is_empty()
                });
            }
            Change::Entered(Entered {
                hook: Hook::FreeIrq,
                detail: Detail::Irq { number, dev_id },
                ..
            }) => {
                for (owner, sequence) in self.live.get(&(*number, *dev_id)).into_iter().flatten() {
                    freed(*owner, *sequence, *number, model, report);
                }
            }
            Change::KernelMessage { device, message } => {
                if let Message::Splat(splat) = &**message
                    && splat::proof(splat) == Proof::FreedTwice
                {
                    let subject = blame::told_of(*device, model);
                    report.submit(splat::freed_twice(&INFO, splat, &subject, model));
                }
            }
            _ => {}
        }
    }
}

fn held(id: NodeId, model: &Model) -> Option<(Interrupt, (DeviceId, u64))> {
    let node = model.node(id)?;
    let interrupt = interrupt::of(node)?;
    Some((interrupt, (model.owner(node)?.id(), node.sequence())))
}

impl DoubleFreeManaged {
    fn forget(&mut self, id: NodeId, model: &Model) {
        let Some((interrupt, holder)) = held(id, model) else {
            return;
        };
        if let Some(holders) = self.live.get_mut(&interrupt) {
            holders.retain(|known| *known != holder);
            if holders.is_empty() {
                self.live.remove(&interrupt);
            }
        }
    }
}

fn freed(owner: DeviceId, sequence: u64, number: u32, model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(owner) else {
        return;
    };
    let subject = Subject::of(device);
    let node = device.resources().find(|node| node.sequence() == sequence);
    let Some(node) = node.filter(|_| device.is_whole_since(sequence)) else {
        report.stay_silent(INFO.id, subject.key, Doubt::FreedIrqAfterMiss);
        return;
    };
    report.submit(Finding {
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
        ..subject.finding(&INFO, Severity::Error, &finding::mark(node), model.now())
    });
}
