//! What happened to a device, step by step.

use super::{
    super::{
        DEEPEST, GroupRelease, Item, LabelId, Outcome, Step, StepKind,
        holdings::{foreign, frame, group_releases, marker},
    },
    HistoryObserver, MOST_LOSSES,
};
use crate::{
    event::{Hook, Message, PmDomain, Text},
    model::{Detail, Device, DeviceId, Entered, Kind, Left, Model, NodeId, Origin, State},
};

impl HistoryObserver {
    pub(super) fn added(&mut self, id: NodeId, model: &Model) {
        // What a snapshot shows was there already.
        if model
            .node(id)
            .is_some_and(|node| node.origin() == Origin::Seen)
        {
            self.node(id, model, StepKind::Added);
        }
    }

    /// A closing marker is freed silently with its group, which is logged; anything else was missed.
    pub(super) fn vanished(&mut self, id: NodeId, model: &Model) {
        if model.node(id).is_some_and(|node| !node.kind().is_marker()) {
            self.node(id, model, StepKind::Missed);
        }
    }

    pub(super) fn node(&mut self, id: NodeId, model: &Model, kind: impl Fn(Item) -> StepKind) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        self.happened(model.now());
        if !self.has_room(device.id(), true, model) {
            return;
        }
        let marker = marker(node, id, None, device, model);
        let kind = kind(self.item(node, marker));
        let mut depth = if matches!(kind, StepKind::Released(_)) {
            group_releases(device, model)
        } else {
            device
                .groups()
                .rev()
                .take(DEEPEST)
                .filter(|(_, _, close)| close.is_none())
                .count()
        };
        if node.kind() == Kind::GroupOpen && matches!(kind, StepKind::Added(_)) {
            depth = depth.saturating_sub(1);
        }
        self.keep(device, kind, depth, model);
    }

    pub(super) fn entered(&mut self, entered: &Entered, model: &Model) {
        self.happened(model.now());
        let Some(id) = entered.device else { return };
        let kind = match (entered.hook, &entered.detail) {
            (Hook::Unbind, _) => {
                if model
                    .device_by_id(id)
                    .and_then(Device::running_teardown)
                    .is_none()
                {
                    return;
                }
                StepKind::Unbind
            }
            (Hook::Remove, _) => StepKind::Remove,
            (Hook::Cleanup, _) => StepKind::Cleanup,
            (Hook::PmDetach, Detail::Pm(pm)) => StepKind::PmDetached(pm.detaches()),
            (Hook::PmDetach, _) => StepKind::PmDetached(true),
            (Hook::ReleaseGroup, Detail::Group { id, selected, .. }) => {
                let marker = selected.and_then(|marker| model.node(marker));
                StepKind::GroupReleased(GroupRelease {
                    id: (id.0 != 0).then_some(id.0),
                    own: id.0 != 0 && marker.is_some_and(|marker| marker.address().0 == id.0),
                    found: selected.is_some(),
                })
            }
            (hook, Detail::Supply(name)) => StepKind::Switched(hook, self.names.of_text(name)),
            (hook @ (Hook::RpmResume | Hook::RpmSuspend | Hook::Free), _) => {
                StepKind::Switched(hook, LabelId::NONE)
            }
            _ => return,
        };
        self.step(id, kind, model);
    }

    pub(super) fn left(&mut self, left: &Left, model: &Model) {
        self.happened(model.now());
        let Some(id) = left.device else { return };
        match left.hook {
            Hook::PmAttach if !left.inferred && left.value.unwrap_or(0) >= 0 => {
                let pm = left.pm.map(PmDomain::detaches);
                self.step(id, StepKind::PmAttached(pm), model);
            }
            Hook::Probe => {
                let bound = model
                    .device_by_id(id)
                    .is_some_and(|device| device.state() == State::Bound);
                let mut failed = false;
                let value = left.probe_error();
                self.with_binding(id, |binding| {
                    if !bound && binding.outcome == Outcome::Open && binding.number > 0 {
                        binding.outcome = Outcome::Failed(value);
                        failed = true;
                    }
                });
                if failed {
                    self.step(id, StepKind::ProbeFailed(value), model);
                }
            }
            Hook::Unbind => self.forget_empty_unbind(id),
            _ => {}
        }
    }

    /// An unbind in which nothing happened to a device that was not known to be bound: there was no driver.
    fn forget_empty_unbind(&mut self, id: DeviceId) {
        let mut forgotten = false;
        self.with_binding(id, |binding| {
            forgotten = binding.steps_hidden == 0
                && binding
                    .steps
                    .last()
                    .is_some_and(|step| step.kind == StepKind::Unbind && !step.phase.has_driver());
            if forgotten {
                binding.steps.pop();
            }
        });
        self.steps -= usize::from(forgotten);
    }

    /// The kernel said something in its log.
    pub(super) fn said(&mut self, device: Option<DeviceId>, message: &Message, model: &Model) {
        self.happened(model.now());
        let unknown = Text::from("an unknown function");
        let kind = match message {
            Message::Waits => return,
            Message::ProbeRefused => StepKind::Refused,
            Message::Warning { function, line } => {
                let function = function.as_ref().unwrap_or(&unknown);
                StepKind::Warned(self.names.of_text(function), *line)
            }
            Message::FreedActive { object, .. } => {
                StepKind::FreedActive(self.names.of_text(object))
            }
            Message::Splat(splat) => {
                StepKind::Splat(self.names.of_text(&Text::from(splat.to_string())))
            }
        };
        if let Some(device) = device {
            self.record(device, kind, model);
        } else if self.said.len() < MOST_LOSSES && self.window.holds(model.now()) {
            self.said.push(Step {
                time: model.now(),
                kind,
                phase: State::Unknown,
                frame: None,
                depth: 0,
                task: self.names.of_task(model.current_task()),
                by: LabelId::NONE,
            });
        }
    }

    pub(super) fn step(&mut self, id: DeviceId, kind: StepKind, model: &Model) {
        self.happened(model.now());
        self.record(id, kind, model);
    }

    /// Whether a step is kept; where there is no room for it, it is counted. `eventful` says that it is about
    /// resources or drivers.
    fn has_room(&mut self, id: DeviceId, eventful: bool, model: &Model) -> bool {
        if !self.window.holds(model.now()) {
            return false;
        }
        let (most, full) = (
            self.limits.steps_of_binding,
            self.steps >= self.limits.steps,
        );
        let Some(history) = self.history(id) else {
            return false;
        };
        history.eventful |= eventful;
        let hidden = history.bindings_hidden > 0;
        let Some(binding) = history.bindings.last_mut() else {
            return false;
        };
        let room = !hidden && !full && binding.steps.len() < most;
        binding.steps_hidden += u64::from(!room);
        room
    }

    /// Keeps a step that is about no resource.
    pub(super) fn record(&mut self, id: DeviceId, kind: StepKind, model: &Model) {
        let eventful = matches!(
            kind,
            StepKind::Probe
                | StepKind::Bound
                | StepKind::PmDetached(true)
                | StepKind::GroupReleased(_)
                | StepKind::Refused
                | StepKind::Warned(..)
                | StepKind::FreedActive(_)
                | StepKind::Splat(_)
        );
        if self.has_room(id, eventful, model)
            && let Some(device) = model.device_by_id(id)
        {
            self.keep(device, kind, 0, model);
        }
    }

    /// Keeps a step for which there is room.
    fn keep(&mut self, device: Device<'_>, kind: StepKind, depth: usize, model: &Model) {
        let frames = model.frames(model.current_task());
        let by = foreign(device, frames, model);
        let step = Step {
            time: model.now(),
            phase: device.state(),
            frame: frame(device, frames),
            depth: u8::try_from(depth.min(DEEPEST)).unwrap_or(u8::MAX),
            task: self.names.of_task(model.current_task()),
            by: by.map_or(LabelId::NONE, |name| self.names.of_text(&name)),
            kind,
        };
        if let Some(history) = self.history(device.id())
            && let Some(binding) = history.bindings.last_mut()
        {
            binding.steps.push(step);
            self.steps += 1;
        }
    }
}
