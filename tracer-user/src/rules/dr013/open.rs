//! What points into memory that is gone, until its own end shows whether that does harm.

use crate::{
    event::Hook,
    finding::{self, Certainty, Doubt, Finding, Report, Severity, Step},
    model::{Change, DeviceId, Model, NodeId},
    rules::{blame, interrupt, pointer::Holder},
};

use super::INFO;

/// What was there when memory went into which it points, as far as was seen.
#[derive(Debug)]
pub(super) struct Dangling {
    pub(super) holder: Holder,
    /// The owner of the memory.
    pub(super) owner: DeviceId,
    /// From where on nothing must have been missed.
    pub(super) since: u64,
    /// It is among what a release is concluded to take; whether it did shows when that returns.
    pub(super) concluded: bool,
    /// The probe or remove that has freed the memory, as long as it may take the action off and nothing is reported; or the
    /// release of which the memory is a part, where it is not known what that releases first.
    pub(super) within: Option<Within>,
    pub(super) finding: Box<Finding>,
}

/// A function that runs on a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    tid: u32,
    sequence: u64,
    is_release: bool,
}

impl Within {
    /// The probe or remove in which the current task is.
    pub(super) fn current(model: &Model) -> Option<Self> {
        let task = model.current_task();
        model
            .frames(task)
            .iter()
            .rfind(|frame| matches!(frame.hook(), Hook::Probe | Hook::Remove | Hook::Unbind))
            .map(|frame| Self {
                tid: task.tid,
                sequence: frame.sequence(),
                is_release: false,
            })
    }

    /// The release that takes a resource along, if the kernel does not say when it does.
    pub(super) fn release(change: &Change, model: &Model) -> Option<Self> {
        let Change::NodeReleased {
            concluded: true, ..
        } = change
        else {
            return None;
        };
        let task = model.current_task();
        let frame = model.frames(task).last()?;
        Some(Self {
            tid: task.tid,
            sequence: frame.sequence(),
            is_release: true,
        })
    }

    pub(super) fn is_over(self, model: &Model) -> bool {
        let task = model.current_task();
        task.tid == self.tid
            && !model
                .frames(task)
                .iter()
                .any(|frame| frame.sequence() == self.sequence)
    }
}

impl Dangling {
    /// Whether the probe or remove that has freed the memory has returned.
    pub(super) fn is_left(&self, model: &Model) -> bool {
        self.within.is_some_and(|within| within.is_over(model))
    }

    /// Whether it may have gone before the memory did: both are parts of one release.
    pub(super) fn is_unordered(&self) -> bool {
        self.within.is_some_and(|within| within.is_release)
    }

    /// It is still there: whoever has freed the memory has left it.
    pub(super) fn tell(&mut self, report: &mut Report) {
        if self.within.take().is_some() {
            report.submit((*self.finding).clone());
        }
    }

    /// Nothing was missed: it was there when the memory went.
    pub(super) fn confirm(self, model: &Model, report: &mut Report) {
        if !self.is_whole(model) {
            return self.stay_open(Doubt::PointerAfterMiss, report);
        }
        let is_told = self.within.is_none();
        let mut finding = *self.finding;
        let what = finding
            .resources
            .first()
            .map_or("it", finding::Resource::label);
        finding.order.push(Step::at(
            model.now(),
            format!("{what} is released or removed"),
        ));
        let finding = Finding {
            severity: Severity::Error,
            certainty: Certainty::Confirmed,
            last: model.now(),
            ..finding
        };
        if is_told {
            report.update(finding);
        } else {
            report.submit(finding);
        }
    }

    /// Whether nothing was missed of the devices involved.
    fn is_whole(&self, model: &Model) -> bool {
        [self.holder.device, self.owner].into_iter().all(|id| {
            let device = model.device_by_id(id);
            device.is_none_or(|device| device.is_whole_since(self.since))
        })
    }

    /// Somebody has taken it off its device. Only devres runs an action: one that is taken off without being run has used
    /// nothing.
    pub(super) fn taken_off(self, node: NodeId, model: &Model, report: &mut Report) {
        let is_interrupt = model
            .node(node)
            .is_some_and(|node| interrupt::of(node).is_some());
        let coverage = model.coverage();
        if is_interrupt || blame::runs_removed(model) {
            self.confirm(model, report);
        } else if !coverage.sees(Hook::DevresLog) || !coverage.sees(Hook::ReleaseAction) {
            self.stay_open(Doubt::PointerEndMissed, report);
        } else if !self.is_whole(model) {
            self.stay_open(Doubt::PointerAfterMiss, report);
        }
    }

    pub(super) fn stay_open(mut self, doubt: Doubt, report: &mut Report) {
        self.tell(report);
        report.stay_silent(INFO.id, self.finding.instance, doubt);
    }
}
