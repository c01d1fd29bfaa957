//! Bindings, each written as soon as it is over.

use std::io;

use hashbrown::HashMap;

use super::{
    table::{Cell, Table},
    words::{instance, maybe, maybe_time, word},
};
use crate::{
    errno,
    event::{Hook, Text, Time},
    model::{Detail, Device, DeviceId, Entered, Left, Model},
};

/// The table of bindings.
pub(super) struct Bindings {
    recording: String,
    table: Table,
    open: HashMap<DeviceId, Binding>,
}

/// A binding that is not over.
#[derive(Debug, Default)]
struct Binding {
    number: u32,
    driver: Option<Text>,
    began: Option<Time>,
    bound: Option<Time>,
    outcome: Outcome,
    error: Option<i64>,
    /// Resources and their bytes when it was bound.
    held: Option<(u64, u64)>,
    unbind: Option<Time>,
    remove: Option<Time>,
    cleanup: Option<Time>,
    pm_detached: Option<Time>,
    released: u64,
    /// When it ended, and how many resources there still were.
    ended: Option<(Time, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Outcome {
    /// It was there when the recording began.
    #[default]
    Before,
    Open,
    Bound,
    Failed,
    Deferred,
}

impl Bindings {
    pub(super) fn begin(recording: &str, table: Table) -> Self {
        Self {
            recording: recording.to_owned(),
            table,
            open: HashMap::new(),
        }
    }

    /// What a device holds was read; of one with a driver that is what its binding holds.
    pub(super) fn snapshot(&mut self, device: Device<'_>) {
        if device.state().has_driver() {
            let binding = self.open.entry(device.id()).or_default();
            binding.held = Some(held(device));
            binding.knows(device);
        }
    }

    /// A driver is being probed.
    pub(super) fn began(&mut self, device: Device<'_>, now: Time) -> io::Result<()> {
        self.write(device)?;
        let mut binding = Binding {
            number: device.binding(),
            began: Some(now),
            outcome: Outcome::Open,
            ..Binding::default()
        };
        binding.knows(device);
        self.open.insert(device.id(), binding);
        Ok(())
    }

    /// The probe has succeeded.
    pub(super) fn bound(&mut self, device: Device<'_>, now: Time) {
        let binding = self.open.entry(device.id()).or_default();
        binding.outcome = Outcome::Bound;
        binding.bound = Some(now);
        // What a probe gives back by itself is no part of what it leaves.
        binding.released = 0;
        binding.held = Some(held(device));
        binding.number = device.binding();
        binding.knows(device);
    }

    /// A function was entered.
    pub(super) fn entered(&mut self, entered: &Entered, device: Device<'_>, now: Time) {
        let is_unbind = matches!(entered.hook, Hook::Unbind | Hook::Remove | Hook::Cleanup);
        let has_driver = device.state().has_driver() || device.identity().driver.is_some();
        let binding = if is_unbind && has_driver {
            Some(self.open.entry(device.id()).or_default())
        } else {
            self.open.get_mut(&device.id())
        };
        let Some(binding) = binding else { return };
        binding.knows(device);
        let detaches = match &entered.detail {
            Detail::Pm(pm) => pm.detaches(),
            _ => true,
        };
        match entered.hook {
            Hook::Unbind => binding.unbind.get_or_insert(now),
            Hook::Remove => binding.remove.get_or_insert(now),
            Hook::Cleanup => binding.cleanup.get_or_insert(now),
            Hook::PmDetach if detaches => binding.pm_detached.get_or_insert(now),
            _ => return,
        };
    }

    /// A resource of a device was released or removed.
    pub(super) fn released(&mut self, device: Device<'_>) {
        let teardown = device.running_teardown();
        if teardown.is_some_and(crate::model::Teardown::is_of_binding)
            && let Some(binding) = self.open.get_mut(&device.id())
        {
            binding.released += 1;
        }
    }

    /// Everything that a binding left has been released.
    pub(super) fn ended(
        &mut self,
        device: Device<'_>,
        was_bound: bool,
        now: Time,
    ) -> io::Result<()> {
        let binding = self.open.entry(device.id()).or_default();
        binding.knows(device);
        binding.ended = Some((now, device.resources().count() as u64));
        if was_bound {
            return self.write(device);
        }
        // With what the probe has failed is known when it returns.
        if binding.outcome == Outcome::Open {
            binding.outcome = Outcome::Failed;
        }
        Ok(())
    }

    /// A probe has returned.
    pub(super) fn probed(&mut self, left: &Left, device: Device<'_>) -> io::Result<()> {
        let Some(binding) = self.open.get_mut(&device.id()) else {
            return Ok(());
        };
        if binding.outcome == Outcome::Bound {
            return Ok(());
        }
        binding.error = left.probe_error();
        binding.outcome = match binding.error {
            Some(errno::PROBE_DEFER) => Outcome::Deferred,
            Some(_) => Outcome::Failed,
            None => binding.outcome,
        };
        if binding.ended.is_some() {
            return self.write(device);
        }
        Ok(())
    }

    /// A device is gone.
    pub(super) fn gone(&mut self, device: Device<'_>) -> io::Result<()> {
        self.write(device)
    }

    /// Nothing comes any more.
    pub(super) fn finish(
        mut self,
        model: &Model,
        wanted: impl Fn(Device<'_>) -> bool,
    ) -> io::Result<()> {
        for device in model.devices() {
            let is_known = self.open.contains_key(&device.id());
            if !is_known && device.binding() == 0 && device.identity().driver.is_some() {
                let mut binding = Binding::default();
                binding.knows(device);
                self.open.insert(device.id(), binding);
            }
            if wanted(device) {
                self.write(device)?;
            }
        }
        self.table.finish()
    }

    /// Forgets what was not wanted.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.open.remove(&device);
    }

    fn write(&mut self, device: Device<'_>) -> io::Result<()> {
        let Some(binding) = self.open.remove(&device.id()) else {
            return Ok(());
        };
        let [address, generation] = instance(device.key());
        let identity = device.identity();
        let driver = binding.driver.as_ref().or(device.last_driver());
        self.table.row([
            word(&self.recording),
            maybe(identity.name.as_deref()),
            address,
            generation,
            maybe(identity.bus.as_deref()),
            maybe(driver.map(|driver| &**driver)),
            Cell::number(binding.number.into()),
            maybe_time(binding.began),
            maybe_time(binding.bound),
            word(binding.outcome.name()),
            Cell::or_null(binding.error, Cell::Number),
            Cell::or_null(binding.held, |(resources, _)| Cell::number(resources)),
            Cell::or_null(binding.held, |(_, bytes)| Cell::number(bytes)),
            maybe_time(binding.unbind),
            maybe_time(binding.remove),
            maybe_time(binding.cleanup),
            maybe_time(binding.pm_detached),
            maybe_time(binding.ended.map(|(time, _)| time)),
            Cell::number(binding.released),
            Cell::or_null(binding.ended, |(_, left)| Cell::number(left)),
            Cell::Flag(binding.ended.is_some()),
            Cell::Flag(!device.is_tainted()),
        ])
    }
}

impl Binding {
    /// Learns which driver it is of.
    fn knows(&mut self, device: Device<'_>) {
        if let Some(driver) = &device.identity().driver {
            self.driver = Some(Text::clone(driver));
        }
    }
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Open => "open",
            Self::Bound => "bound",
            Self::Failed => "failed",
            Self::Deferred => "deferred",
        }
    }
}

/// How many resources a device holds, and how many bytes.
fn held(device: Device<'_>) -> (u64, u64) {
    device.resources().fold((0, 0), |(count, bytes), node| {
        (count + 1, node.size().unwrap_or(0).saturating_add(bytes))
    })
}
