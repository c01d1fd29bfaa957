//! Looks at what changes, and writes lives of resources and bindings as they end.

use std::io;

use super::{
    bindings::Bindings,
    resources::{End, Resources},
};
use crate::{
    engine::Observer,
    event::Hook,
    filter::DeviceFilter,
    model::{Change, Device, DeviceId, Entered, Left, Model, NodeId},
};

/// Writes the tables of resources and bindings while a recording is read.
pub struct Lives {
    resources: Resources,
    bindings: Bindings,
    filter: DeviceFilter,
    /// Why nothing can be written any more.
    broken: Option<io::Error>,
}

impl Lives {
    pub(super) fn begin(resources: Resources, bindings: Bindings, filter: DeviceFilter) -> Self {
        Self {
            resources,
            bindings,
            filter,
            broken: None,
        }
    }

    /// Writes what is still there, and ends the files.
    pub(super) fn finish(mut self, model: &Model) -> io::Result<()> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        for device in model.devices() {
            if is_wanted(&self.filter, device) {
                for (id, _) in device.releasing().chain(device.nodes()) {
                    self.resources.ended(id, End::Held, model)?;
                }
            }
        }
        self.resources.finish()?;
        let filter = self.filter;
        self.bindings
            .finish(model, |device| is_wanted(&filter, device))
    }

    fn change(&mut self, change: &Change, model: &Model) -> io::Result<()> {
        let now = model.now();
        match change {
            Change::NodeReleased { node, concluded } => {
                let concluded = *concluded;
                self.node(*node, End::Released { concluded }, model)
            }
            Change::NodeRemoved(node) => self.node(*node, End::Removed, model),
            Change::NodeVanished(node) => self.node(*node, End::Missed, model),
            Change::Left(left) => self.left(left, model),
            Change::SnapshotTaken(id) => self.with(*id, model, |bindings, device| {
                bindings.snapshot(device);
                Ok(())
            }),
            Change::BindingBegan(id) => {
                self.with(*id, model, |bindings, device| bindings.began(device, now))
            }
            Change::Bound(id) => self.with(*id, model, |bindings, device| {
                bindings.bound(device, now);
                Ok(())
            }),
            Change::BindingEnded { device, was_bound } => {
                self.resources.forget(*device);
                self.with(*device, model, |bindings, device| {
                    bindings.ended(device, *was_bound, now)
                })
            }
            Change::Entered(entered) => self.entered(entered, model),
            Change::DeviceGone { device, .. } => self.gone(*device, model),
            _ => Ok(()),
        }
    }

    fn with(
        &mut self,
        id: DeviceId,
        model: &Model,
        then: impl FnOnce(&mut Bindings, Device<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match model.device_by_id(id) {
            Some(device) if is_wanted(&self.filter, device) => then(&mut self.bindings, device),
            Some(_) | None => Ok(()),
        }
    }

    fn node(&mut self, id: NodeId, end: End, model: &Model) -> io::Result<()> {
        let owner = model.node(id).and_then(|node| model.owner(node));
        let Some(owner) = owner.filter(|owner| is_wanted(&self.filter, *owner)) else {
            return Ok(());
        };
        let is_resource = model.node(id).is_some_and(|node| !node.kind().is_marker());
        if is_resource && matches!(end, End::Released { .. } | End::Removed) {
            self.bindings.released(owner);
        }
        self.resources.ended(id, end, model)
    }

    fn entered(&mut self, entered: &Entered, model: &Model) -> io::Result<()> {
        let Some(id) = entered.device else {
            return Ok(());
        };
        let now = model.now();
        self.with(id, model, |bindings, device| {
            bindings.entered(entered, device, now);
            Ok(())
        })
    }

    fn left(&mut self, left: &Left, model: &Model) -> io::Result<()> {
        if matches!(left.hook, Hook::ReleaseAll | Hook::ReleaseGroup) {
            return self.resources.left(left, model);
        }
        match left.device {
            Some(id) if left.hook == Hook::Probe => {
                self.with(id, model, |bindings, device| bindings.probed(left, device))
            }
            _ => Ok(()),
        }
    }

    fn gone(&mut self, id: DeviceId, model: &Model) -> io::Result<()> {
        self.resources.forget(id);
        let Some(device) = model.device_by_id(id) else {
            return Ok(());
        };
        if !is_wanted(&self.filter, device) {
            self.bindings.forget(id);
            return Ok(());
        }
        for (node, _) in device.releasing().chain(device.nodes()) {
            self.resources.ended(node, End::Left, model)?;
        }
        self.bindings.gone(device)
    }
}

impl Observer for Lives {
    fn observe(&mut self, change: &Change, model: &Model) {
        if self.broken.is_none() {
            self.broken = self.change(change, model).err();
        }
    }
}

/// Whether a device is wanted, with the driver that it has or had.
fn is_wanted(filter: &DeviceFilter, device: Device<'_>) -> bool {
    let identity = device.identity();
    filter.is_empty()
        || filter.wants_names(
            identity.name.as_deref().unwrap_or_default(),
            device.last_driver().map(|driver| &**driver),
            identity.bus.as_deref(),
        )
}
