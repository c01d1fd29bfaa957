//! Limits that hold for every device.

use std::time::Duration;

use hashbrown::HashMap;

use super::{assertion::Sample, binding::Observation, selection::Place};

/// Limits that hold for every device.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    /// The most resources that a device may have.
    pub resources_per_device: Option<usize>,
    /// How many more resources a binding may have than the one before it.
    pub growth_per_rebind: Option<usize>,
    /// How long a resource's release may take.
    pub slow_release: Option<Duration>,
}

/// How the bindings of each device grow.
#[derive(Debug)]
pub(super) struct Growth {
    limit: usize,
    devices: HashMap<Place, Grown>,
}

/// How the bindings of one device have grown.
#[derive(Debug, Default)]
pub(super) struct Grown {
    /// Bindings seen.
    pub(super) bindings: u32,
    last: Option<usize>,
    pub(super) violations: Sample,
    pub(super) doubts: Sample,
}

impl Growth {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            devices: HashMap::new(),
        }
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        let Observation::Bound(bound) = observation else {
            return;
        };
        let grown = self.devices.entry(bound.place.clone()).or_default();
        grown.bindings += 1;
        let stack = match &bound.stack {
            Ok(stack) => stack,
            Err(doubt) => {
                grown.last = None;
                return grown.doubts.push(|| doubt.clone());
            }
        };
        let (now, number) = (stack.resources, grown.bindings);
        if let Some(last) = grown.last.replace(now)
            && now > last.saturating_add(self.limit)
        {
            grown.violations.push(|| {
                format!(
                    "binding {number} of this run has {now} resources, {} more than the one before; {} more are allowed",
                    now - last,
                    self.limit
                )
            });
        }
    }

    /// What was seen of one device.
    pub(super) fn take(&mut self, place: &Place) -> Option<Grown> {
        self.devices.remove(place)
    }
}
