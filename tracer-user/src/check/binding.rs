//! Bindings as they come and go: what a device owned when a driver was bound, and how that was taken down.

use hashbrown::HashMap;

use super::{
    evidence::Records,
    selection::Place,
    stack::{Entry, Stack},
};
use crate::{
    event::{Hook, Time},
    model::{Change, Detail, Device, DeviceId, Entered, Model, NodeId, Origin, State},
};

/// Something about a binding that assertions, limits and exercise look at.
#[derive(Debug)]
pub(super) enum Observation {
    /// A driver is bound.
    Bound(Bound),
    /// A binding ended.
    Ended(Box<Ended>),
}

/// A driver is bound.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) place: Place,
    pub(super) time: Time,
    /// What the device owns at this moment, or why that is not known.
    pub(super) stack: Result<Stack, String>,
}

/// A binding ended, after an unbind or a probe that failed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) place: Place,
    pub(super) time: Time,
    /// Whether a driver had been bound; otherwise its probe failed.
    pub(super) was_bound: bool,
    /// What was released, in that order.
    pub(super) released: Vec<Entry>,
    /// How many were released since the driver began to probe or to be unbound, also by whoever is called for it.
    pub(super) unwound: usize,
    /// Whether the order of releases is the model's conclusion, and was not seen.
    pub(super) concluded: bool,
    /// What the device still owned when its PM domain was detached; `None` if none was.
    pub(super) at_pm_detach: Option<Vec<Entry>>,
    /// What it still owns.
    pub(super) left: Vec<Entry>,
    /// Why some of this may be incomplete.
    pub(super) doubt: Option<String>,
}

/// Watches the bindings of all devices. It keeps a few words for each device that has been active, and more
/// only of those that are being unbound.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    devices: HashMap<DeviceId, Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    teardown: Option<Teardown>,
    /// The most resources since the last binding began, and when.
    most: usize,
    most_at: Time,
    /// Something was added or freed.
    touched: bool,
}

#[derive(Debug)]
struct Teardown {
    /// The place of its begin in the order of everything seen.
    sequence: u64,
    released: Vec<Entry>,
    unwound: usize,
    concluded: bool,
    at_pm_detach: Option<Vec<Entry>>,
}

impl Bindings {
    /// Takes in what an event changed.
    pub(super) fn observe(
        &mut self,
        change: &Change,
        model: &Model,
        records: &mut Records,
    ) -> Option<Observation> {
        match change {
            Change::NodeAdded(id) => self.added(*id, model),
            Change::NodeReleased { node, concluded } => {
                if let Some(teardown) = self.released(*node, *concluded, model) {
                    teardown.unwound += 1;
                }
            }
            Change::NodeRemoved(node) => {
                self.released(*node, false, model);
            }
            Change::Entered(Entered {
                hook: Hook::Unbind | Hook::Remove,
                device: Some(id),
                ..
            }) => self.taken_apart(*id, model),
            Change::Entered(Entered {
                hook: Hook::PmDetach,
                device: Some(id),
                detail: Detail::Pm(pm),
            }) if pm.detaches() => self.detached(*id, model),
            Change::BindingBegan(id) => {
                // A probe that fails is taken down as well.
                self.taken_apart(*id, model);
                if let Some(device) = model.device_by_id(*id) {
                    records.of(device).began += 1;
                }
            }
            Change::Bound(id) => return self.bound(*id, model, records),
            Change::BindingEnded { device, was_bound } => {
                return self.ended(*device, *was_bound, model, records);
            }
            Change::SnapshotTaken(id) => {
                if let Some(device) = model.device_by_id(*id) {
                    let count = resources(device);
                    if count > 0 {
                        let watch = self.devices.entry(*id).or_default();
                        (watch.most, watch.most_at) = (count, model.now());
                    }
                }
            }
            Change::DeviceGone { device, .. } => {
                if let Some(device) = model.device_by_id(*device) {
                    self.fold(device, records);
                    records.of(device);
                }
                self.devices.remove(device);
            }
            _ => {}
        }
        None
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, model: &Model, records: &mut Records) {
        for device in model.devices() {
            self.fold(device, records);
            // Those that were only there are known as well, though nothing can be said of them.
            records.of(device);
        }
    }

    fn added(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        let watch = self.devices.entry(device.id()).or_default();
        // What a snapshot finds was there before.
        watch.touched |= node.origin() == Origin::Seen;
        if device.node_count() > watch.most {
            let count = resources(device);
            if count > watch.most {
                (watch.most, watch.most_at) = (count, model.now());
            }
        }
    }

    /// An unbind begins, or a probe that may fail; or something within it.
    fn taken_apart(&mut self, id: DeviceId, model: &Model) {
        let around = model.device_by_id(id).and_then(Device::running_teardown);
        if let Some(around) = around.filter(|around| around.is_of_binding()) {
            let watch = self.devices.entry(id).or_default();
            let known = watch.teardown.as_ref().map(|known| known.sequence);
            if known != Some(around.sequence()) {
                watch.teardown = Some(Teardown::at(around.sequence()));
            }
        }
    }

    /// A resource is gone: in this teardown, if there is one.
    fn released(&mut self, id: NodeId, concluded: bool, model: &Model) -> Option<&mut Teardown> {
        let node = model.node(id).filter(|node| !node.kind().is_marker())?;
        let device = model.owner(node)?;
        let watch = self.devices.entry(device.id()).or_default();
        watch.touched = true;
        let teardown = watch.teardown.as_mut()?;
        if matches!(device.state(), State::Removing | State::Cleanup) {
            teardown.released.push(Entry::of(node));
            teardown.concluded |= concluded;
        }
        Some(teardown)
    }

    fn detached(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        if let Some(watch) = self.devices.get_mut(&id)
            && let Some(teardown) = &mut watch.teardown
        {
            teardown.at_pm_detach = Some(device.resources().map(Entry::of).collect());
        }
    }

    fn bound(&mut self, id: DeviceId, model: &Model, records: &mut Records) -> Option<Observation> {
        let device = model.device_by_id(id)?;
        let watch = self.devices.entry(id).or_default();
        watch.teardown = None;
        let record = records.of(device);
        record.bound += 1;
        let stack = match device.taints().next() {
            Some(taint) => Err(taint.to_string()),
            None => Ok(Stack::of(device)),
        };
        Some(Observation::Bound(Bound {
            place: Place::of_device(device),
            time: model.now(),
            stack,
        }))
    }

    fn ended(
        &mut self,
        id: DeviceId,
        was_bound: bool,
        model: &Model,
        records: &mut Records,
    ) -> Option<Observation> {
        let device = model.device_by_id(id)?;
        self.fold(device, records);
        let watch = self.devices.entry(id).or_default();
        let teardown = watch.teardown.take();
        let whole = teardown
            .as_ref()
            .is_some_and(|teardown| device.is_whole_since(teardown.sequence));
        let doubt = (!whole).then(|| {
            device.taints().next().map_or_else(
                || "events are missing in its unbind".to_owned(),
                |taint| taint.to_string(),
            )
        });
        let record = records.of(device);
        record.ended += 1;
        record.ended_whole += u32::from(whole);
        if !whole {
            record.doubt.clone_from(&doubt);
        }
        let teardown = teardown.unwrap_or_else(|| Teardown::at(0));
        Some(Observation::Ended(Box::new(Ended {
            place: Place::of_device(device),
            time: model.now(),
            was_bound,
            released: teardown.released,
            unwound: teardown.unwound,
            concluded: teardown.concluded,
            at_pm_detach: teardown.at_pm_detach,
            left: device.resources().map(Entry::of).collect(),
            doubt,
        })))
    }

    /// Keeps the most resources of the binding that ends.
    fn fold(&mut self, device: Device<'_>, records: &mut Records) {
        let Some(watch) = self.devices.get_mut(&device.id()) else {
            return;
        };
        let (most, at) = (std::mem::take(&mut watch.most), watch.most_at);
        let touched = std::mem::take(&mut watch.touched);
        let record = records.of(device);
        record.touched |= touched;
        if most > record.most {
            (record.most, record.most_at) = (most, at);
        }
        if most > 0
            && let Some(taint) = device.taints().next()
        {
            record.doubt.get_or_insert_with(|| taint.to_string());
        }
    }
}

impl Teardown {
    fn at(sequence: u64) -> Self {
        Self {
            sequence,
            released: Vec::new(),
            unwound: 0,
            concluded: false,
            at_pm_detach: None,
        }
    }
}

impl Place {
    /// Where a device is; its driver is the last one that it had.
    pub(super) fn of_device(device: Device<'_>) -> Self {
        Self::of(
            device.identity(),
            device.last_driver().map(|driver| &**driver),
        )
    }
}

/// How many resources a device has, without the markers of groups.
fn resources(device: Device<'_>) -> usize {
    let markers: usize = device
        .groups()
        .map(|(_, _, close)| 1 + usize::from(close.is_some()))
        .sum();
    device.node_count().saturating_sub(markers)
}
