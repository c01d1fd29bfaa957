//! What devices leave behind when something of them goes: resources that fade, and the last unwinding, step
//! by step.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use super::row::Row;
use crate::{
    event::{Hook, Time, switched},
    finding::label,
    model::{Change, Detail, Device, DeviceId, InstanceKey, Model, Node, NodeId, Origin},
};

/// Nanoseconds for which what has gone is still shown.
pub const FADE: u64 = 5_000_000_000;
/// Resources of one device that fade at the same time.
const MOST_DEPARTED: usize = 256;
/// Steps of one unwinding that are kept.
const MOST_STEPS: usize = 1024;
/// Devices that fade at the same time.
const MOST_GONE: usize = 1024;

/// How a resource went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// Its release ran.
    Released,
    /// It was taken off the list; whether its release ran is not said.
    Removed,
    /// Without a word: a marker of a group, or its end was lost.
    Vanished,
}

/// A resource that has gone.
#[derive(Debug, Clone)]
pub struct Departed {
    /// What it was.
    pub node: Node,
    /// When it went.
    pub at: Time,
    /// How.
    pub went: Went,
}

/// One step of an unwinding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub time: Time,
    /// What happened.
    pub what: String,
    /// Whether it is the release of a resource.
    pub release: bool,
    /// Resources that were still to be released when the device lost its PM domain in this step.
    pub still_held: Option<usize>,
}

/// A device is being taken apart, or was.
#[derive(Debug, Clone)]
pub struct Unwinding {
    /// The place of its beginning in the order of everything seen.
    sequence: u64,
    /// When the first step was.
    pub began: Time,
    /// When it was over.
    pub ended: Option<Time>,
    /// The task: name and thread.
    pub task: String,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Steps that were not kept.
    pub more: usize,
}

/// What one device left behind.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Resources that have gone, oldest first.
    pub departed: VecDeque<Departed>,
    /// The last unwinding.
    pub unwinding: Option<Unwinding>,
    /// When something last happened to it.
    pub last: Option<Time>,
}

/// What all devices left behind, and which of them have changed.
#[derive(Debug, Default)]
pub struct Traces {
    devices: HashMap<InstanceKey, Trace>,
    /// Devices that are no more, as they were last.
    pub(super) gone: VecDeque<Row>,
    /// Devices that have changed since the last look.
    pub(super) changed: HashSet<DeviceId>,
    /// Something has changed that concerns all devices.
    pub(super) all_changed: bool,
}

impl Traces {
    /// What a device left behind.
    #[must_use]
    pub fn of(&self, key: InstanceKey) -> Option<&Trace> {
        self.devices.get(&key)
    }

    /// When something last happened to a device.
    pub(super) fn last(&self, key: InstanceKey) -> Option<Time> {
        self.of(key).and_then(|trace| trace.last)
    }

    pub(super) fn observe(&mut self, change: &Change, model: &Model) {
        match change {
            Change::DeviceSeen(id)
            | Change::DeviceBegan(id)
            | Change::DeviceNamed(id)
            | Change::DeviceDeleted(id)
            | Change::BindingBegan(id)
            | Change::Bound(id)
            | Change::BindingEnded { device: id, .. }
            | Change::SnapshotTaken(id)
            | Change::Cleared(id)
            | Change::Tainted { device: id, .. } => {
                self.changed.insert(*id);
                match change {
                    Change::BindingBegan(_) => self.forget_unwinding(*id, model),
                    Change::Bound(_) | Change::BindingEnded { .. } => {
                        self.end_unwinding(*id, model);
                    }
                    _ => {}
                }
            }
            Change::DeviceGone { device: id, .. } => self.device_gone(*id, model),
            Change::NodeAdded(node) => {
                if let Some((node, device)) = owned(*node, model) {
                    self.changed.insert(device.id());
                    if node.origin() == Origin::Seen {
                        self.touch(device, model);
                    }
                }
            }
            Change::NodeReplaced { node, .. } | Change::NodeMoved(node) => {
                if let Some((_, device)) = owned(*node, model) {
                    self.changed.insert(device.id());
                    self.touch(device, model);
                }
            }
            Change::NodeRemoved(node) => self.node_went(*node, Went::Removed, model),
            Change::NodeReleased { node, .. } => self.node_went(*node, Went::Released, model),
            Change::NodeVanished(node) => self.node_went(*node, Went::Vanished, model),
            Change::Entered(entered) => {
                if let Some(device) = entered.device.and_then(|id| model.device_by_id(id)) {
                    self.changed.insert(device.id());
                    self.touch(device, model);
                    self.entered(entered.hook, &entered.detail, device, model);
                }
            }
            Change::Left(left) => {
                if let Some(device) = left.device.and_then(|id| model.device_by_id(id)) {
                    self.changed.insert(device.id());
                    self.touch(device, model);
                    self.end_unwinding(device.id(), model);
                }
            }
            Change::Lost(_) => self.all_changed = true,
            Change::KernelMessage { device, .. } => self.changed.extend(device),
            Change::ModuleFreed { .. } | Change::Desynced(_) => {}
        }
    }

    fn touch(&mut self, device: Device<'_>, model: &Model) -> &mut Trace {
        let trace = self.devices.entry(device.key()).or_default();
        trace.last = Some(model.now());
        trace
    }

    fn forget_unwinding(&mut self, id: DeviceId, model: &Model) {
        if let Some(device) = model.device_by_id(id)
            && let Some(trace) = self.devices.get_mut(&device.key())
        {
            trace.unwinding = None;
            trace.departed.clear();
        }
    }

    /// The teardown of a device may be over.
    fn end_unwinding(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        if let Some(trace) = self.devices.get_mut(&device.key())
            && let Some(unwinding) = &mut trace.unwinding
            && unwinding.ended.is_none()
            && device
                .running_teardown()
                .is_none_or(|teardown| teardown.sequence() != unwinding.sequence)
        {
            unwinding.ended = Some(model.now());
        }
    }

    fn device_gone(&mut self, id: DeviceId, model: &Model) {
        self.changed.remove(&id);
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let mut row = Row::of(device, self.last(device.key()));
        row.gone = Some(model.now());
        if self.gone.len() >= MOST_GONE
            && let Some(oldest) = self.gone.pop_front()
        {
            self.devices.remove(&oldest.key);
        }
        self.gone.push_back(row);
    }

    fn node_went(&mut self, id: NodeId, went: Went, model: &Model) {
        let Some((node, device)) = owned(id, model) else {
            return;
        };
        self.changed.insert(device.id());
        let now = model.now();
        let trace = self.touch(device, model);
        if trace.departed.len() >= MOST_DEPARTED {
            trace.departed.pop_front();
        }
        trace.departed.push_back(Departed {
            node: node.outline(),
            at: now,
            went,
        });
        if went == Went::Vanished || node.kind().is_marker() {
            return;
        }
        if let Some(unwinding) = &mut trace.unwinding
            && unwinding.ended.is_none()
        {
            let verb = if went == Went::Released {
                "is released"
            } else {
                "is taken off the list"
            };
            unwinding.step(Step {
                time: now,
                what: format!("{} {verb}", label(node)),
                release: true,
                still_held: None,
            });
        }
    }

    fn entered(&mut self, hook: Hook, detail: &Detail, device: Device<'_>, model: &Model) {
        let switched = match detail {
            Detail::Supply(name) => switched(hook, name),
            _ => switched(hook, ""),
        };
        let what = match (hook, detail) {
            _ if switched.is_some() => switched.as_deref().unwrap_or_default(),
            (Hook::Unbind, _) => "unbind begins",
            (Hook::Remove, _) => "remove() of driver and bus runs",
            (Hook::Cleanup, _) => "device_unbind_cleanup() begins",
            (Hook::ReleaseAll, _) if device.node_count() > 0 => "devres_release_all() begins",
            (Hook::ReleaseGroup, _) => "devres_release_group() begins",
            (Hook::PmDetach, Detail::Pm(pm)) if pm.detaches() => {
                "dev_pm_domain_detach() detaches the PM domain"
            }
            _ => return,
        };
        let now = model.now();
        let (Some(trace), Some(teardown)) = (
            self.devices.get_mut(&device.key()),
            device.running_teardown(),
        ) else {
            return;
        };
        let known = trace.unwinding.as_ref();
        if known.is_none_or(|known| known.sequence != teardown.sequence()) {
            let task = model.current_task();
            trace.unwinding = Some(Unwinding {
                sequence: teardown.sequence(),
                began: now,
                ended: None,
                task: format!("{}[{}]", task.comm.name(), task.tid),
                steps: Vec::new(),
                more: 0,
            });
        }
        let still_held = (hook == Hook::PmDetach)
            .then(|| teardown.detach())
            .flatten()
            .map(|detach| {
                let held = device.resources();
                held.filter(|node| detach.is_outlived_by(node)).count()
            });
        if let Some(unwinding) = &mut trace.unwinding {
            unwinding.step(Step {
                time: now,
                what: what.to_owned(),
                release: false,
                still_held,
            });
        }
    }

    /// Drops what has faded at `now`. Gives back the devices whose rows are to go, except those that
    /// `keeps` wants.
    pub(super) fn fade(
        &mut self,
        now: Time,
        keeps: impl Fn(InstanceKey) -> bool,
    ) -> Vec<InstanceKey> {
        let mut faded = Vec::new();
        self.gone.retain(|row| {
            let stays = row.gone.is_some_and(|gone| now.since(gone) < FADE) || keeps(row.key);
            if !stays {
                faded.push(row.key);
            }
            stays
        });
        for key in &faded {
            self.devices.remove(key);
        }
        faded
    }
}

impl Unwinding {
    fn step(&mut self, step: Step) {
        if self.steps.len() < MOST_STEPS {
            self.steps.push(step);
        } else {
            self.more += 1;
        }
    }

    /// Whether it is still to be shown at `now`.
    #[must_use]
    pub fn is_fresh(&self, now: Time) -> bool {
        self.ended.is_none_or(|ended| now.since(ended) < FADE)
    }
}

fn owned(id: NodeId, model: &Model) -> Option<(&Node, Device<'_>)> {
    let node = model.node(id)?;
    Some((node, model.owner(node)?))
}
