//! From changes to histories.

mod steps;

use std::{collections::BTreeMap, mem};

use hashbrown::HashMap;

use super::{Beginning, Gone, Holdings, Limits, Names, Outcome, Step, Window};
use crate::{
    engine::Observer,
    event::{LossCause, Time},
    history::{Binding, DeviceHistory, Histories, StepKind},
    model::{Change, Device, DeviceId, Model},
};

/// Losses, and messages without a device, that are kept one by one.
const MOST_LOSSES: usize = 100;

/// Looks at every change and keeps the lives of the devices.
#[derive(Debug)]
pub struct HistoryObserver {
    pub(super) limits: Limits,
    window: Window,
    /// Whether devices are kept that never owned anything and were never probed.
    keep_uneventful: bool,
    /// In the order in which they were first seen.
    histories: BTreeMap<u64, DeviceHistory>,
    of: HashMap<DeviceId, u64>,
    seen: u64,
    pub(super) names: Names,
    /// Steps and listed resources that are kept.
    pub(super) steps: usize,
    uneventful: u64,
    devices_hidden: u64,
    said: Vec<Step>,
    losses: Vec<(Time, u64, LossCause)>,
    lost: u64,
    extent: Option<(Time, Time)>,
}

impl HistoryObserver {
    /// An observer that has seen nothing yet. Devices that never owned anything and were never probed are
    /// only counted, unless `keep_uneventful`.
    #[must_use]
    pub fn new(limits: Limits, window: Window, keep_uneventful: bool) -> Self {
        Self {
            limits,
            window,
            keep_uneventful,
            histories: BTreeMap::new(),
            of: HashMap::new(),
            seen: 0,
            names: Names::default(),
            steps: 0,
            uneventful: 0,
            devices_hidden: 0,
            said: Vec::new(),
            losses: Vec::new(),
            lost: 0,
            extent: None,
        }
    }

    /// Looks at one change. The model is as it is after the whole event.
    pub fn observe(&mut self, change: &Change, model: &Model) {
        match change {
            Change::DeviceSeen(id) => self.begin(*id, Beginning::Halfway, model),
            Change::DeviceBegan(id) => {
                self.happened(model.now());
                self.begin(*id, Beginning::Initialised, model);
                self.record(*id, StepKind::Initialised, model);
            }
            Change::DeviceNamed(id) => self.named(*id, model),
            Change::SnapshotTaken(id) => self.snapshot(*id, model),
            Change::DeviceDeleted(id) => self.step(*id, StepKind::Deleted, model),
            Change::DeviceGone { device, seen } => self.end(*device, *seen, model),
            Change::BindingBegan(id) => self.binding(*id, model),
            Change::Bound(id) => self.bound(*id, model),
            Change::BindingEnded { device, .. } => {
                let now = model.now();
                let left = model
                    .device_by_id(*device)
                    .map_or(0, |device| device.resources().count() as u64);
                self.with_binding(*device, |binding| binding.ended = Some((now, left)));
            }
            Change::NodeAdded(node) => self.added(*node, model),
            Change::NodeRemoved(node) => self.node(*node, model, StepKind::Removed),
            Change::NodeReleased { node, .. } => self.node(*node, model, StepKind::Released),
            Change::NodeReplaced { node, .. } => self.node(*node, model, StepKind::Replaced),
            Change::NodeVanished(node) => self.vanished(*node, model),
            Change::Entered(entered) => self.entered(entered, model),
            Change::Left(left) => self.left(left, model),
            Change::Tainted {
                device,
                reason,
                again: false,
            } => {
                self.step(*device, StepKind::Doubtful(*reason), model);
            }
            Change::KernelMessage { device, message } => self.said(*device, message, model),
            Change::Lost(loss) => {
                self.lost = self.lost.saturating_add(loss.count);
                if self.losses.len() < MOST_LOSSES {
                    self.losses.push((model.now(), loss.count, loss.cause));
                }
            }
            Change::NodeMoved(_)
            | Change::ModuleFreed { .. }
            | Change::Tainted { again: true, .. }
            | Change::Cleared(_)
            | Change::Desynced(_) => {}
        }
    }

    /// Nothing comes any more.
    #[must_use]
    pub fn finish(mut self, model: &Model) -> Histories {
        let mut living: Vec<_> = self.of.drain().collect();
        living.sort_unstable_by_key(|(_, place)| *place);
        for (id, place) in living {
            if let Some(device) = model.device_by_id(id) {
                let left = self.holdings(device, model);
                if let Some(history) = self.histories.get_mut(&place) {
                    conclude(history, device, left);
                }
            }
        }
        self.names.numbered = !model.coverage().times;
        let mut devices = Vec::new();
        for mut history in self.histories.into_values() {
            if history.eventful || self.keep_uneventful {
                if self.window != Window::default() {
                    trim(&mut history);
                }
                devices.push(history);
            } else {
                self.uneventful += 1;
            }
        }
        Histories {
            devices,
            names: self.names,
            window: self.window,
            uneventful: self.uneventful,
            devices_hidden: self.devices_hidden,
            said: self.said,
            losses: self.losses,
            lost: self.lost,
            extent: self.extent,
        }
    }

    fn happened(&mut self, now: Time) {
        let (first, last) = self.extent.unwrap_or((now, now));
        self.extent = Some((first.min(now), last.max(now)));
    }

    fn begin(&mut self, id: DeviceId, beginning: Beginning, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        if self.histories.len() >= self.limits.histories {
            self.devices_hidden += 1;
            return;
        }
        let mut history = DeviceHistory {
            key: device.key(),
            name: None,
            bus: None,
            driver: None,
            beginning,
            began: model.now(),
            initial: Holdings::default(),
            bindings: vec![Binding {
                began: model.now(),
                ..Binding::default()
            }],
            bindings_hidden: 0,
            state: device.state(),
            gone: None,
            left: Holdings::default(),
            doubts: Vec::new(),
            eventful: false,
        };
        identify(&mut history, device);
        self.seen += 1;
        self.of.insert(id, self.seen);
        self.histories.insert(self.seen, history);
    }

    fn history(&mut self, id: DeviceId) -> Option<&mut DeviceHistory> {
        self.histories.get_mut(self.of.get(&id)?)
    }

    fn named(&mut self, id: DeviceId, model: &Model) {
        if let (Some(history), Some(device)) = (self.history(id), model.device_by_id(id)) {
            identify(history, device);
        }
    }

    fn snapshot(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        let initial = self.holdings(device, model);
        if let Some(history) = self.history(id)
            && history.beginning == Beginning::Halfway
            && !history.eventful
        {
            history.beginning = Beginning::Snapshot;
            history.began = now;
            history.initial = initial;
            history.state = device.state();
        }
    }

    fn end(&mut self, id: DeviceId, seen: bool, model: &Model) {
        let now = model.now();
        self.happened(now);
        self.record(id, StepKind::Gone, model);
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let left = self.holdings(device, model);
        let Some(place) = self.of.remove(&id) else {
            return;
        };
        let Some(history) = self.histories.get_mut(&place) else {
            return;
        };
        history.eventful |= left.resources > 0 && self.window.holds(now);
        conclude(history, device, left);
        history.gone = Some(Gone { time: now, seen });
        if !history.eventful && !self.keep_uneventful {
            self.histories.remove(&place);
            self.uneventful += 1;
        }
    }

    fn binding(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        self.happened(now);
        let task = self.names.of_task(model.current_task());
        let (most, eventful) = (self.limits.bindings, self.window.holds(now));
        if let Some(history) = self.history(id) {
            history.eventful |= eventful;
            if history.bindings.len() > most || history.bindings_hidden > 0 {
                history.bindings_hidden += 1;
                return;
            }
            // Most devices are probed once or twice.
            if history.bindings.len() < 4 {
                history.bindings.reserve_exact(1);
            }
            history.bindings.push(Binding {
                number: device.binding(),
                driver: device.identity().driver.clone(),
                began: now,
                task,
                ..Binding::default()
            });
        }
        self.record(id, StepKind::Probe, model);
    }

    fn bound(&mut self, id: DeviceId, model: &Model) {
        self.step(id, StepKind::Bound, model);
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        let shown = self.window.holds(now);
        let holdings = shown.then(|| self.holdings(device, model));
        self.with_binding(id, |binding| {
            binding.outcome = Outcome::Bound;
            // With CONFIG_DEBUG_TEST_DRIVER_REMOVE what the first try left was released before.
            binding.ended = None;
            binding.bound = holdings.map(|holdings| (now, holdings));
        });
    }

    /// The binding that steps are added to; none if the current one is not kept.
    fn with_binding(&mut self, id: DeviceId, change: impl FnOnce(&mut Binding)) {
        if let Some(history) = self.history(id)
            && history.bindings_hidden == 0
            && let Some(binding) = history.bindings.last_mut()
        {
            change(binding);
        }
    }
}

fn identify(history: &mut DeviceHistory, device: Device<'_>) {
    let identity = device.identity();
    if identity.name.is_some() {
        history.name.clone_from(&identity.name);
    }
    if identity.bus.is_some() {
        history.bus.clone_from(&identity.bus);
    }
    if let Some(driver) = device.last_driver() {
        history.driver = Some(driver.clone());
    }
}

/// Leaves out the bindings of which nothing is in the window.
fn trim(history: &mut DeviceHistory) {
    let mut first = true;
    history.bindings.retain(|binding| {
        let steps = !binding.steps.is_empty() || binding.steps_hidden > 0;
        mem::take(&mut first) || steps
    });
}

fn conclude(history: &mut DeviceHistory, device: Device<'_>, left: Holdings) {
    identify(history, device);
    history.state = device.state();
    history.doubts = device.taints().collect();
    history.left = left;
    // What was kept in room to grow may be far more than what is there.
    for binding in &mut history.bindings {
        binding.steps.shrink_to_fit();
    }
}

impl Observer for HistoryObserver {
    fn observe(&mut self, change: &Change, model: &Model) {
        Self::observe(self, change, model);
    }
}
