//! The names that devices get after `device_initialize`.
//!
//! A probe tells a device's name with the first event of the device behind it. Many devices have none between
//! their beginning and their end: DRM cards and connectors, everything that owns nothing and has no driver. So
//! whoever was told without a name is looked at again in the kernel's memory, after the events that came
//! meanwhile. That costs the probes nothing.

use std::sync::Arc;

use hashbrown::HashMap;
use tracer_ebpf::Layout;

use super::{
    layout::DeviceSetLayout,
    load::now,
    snapshot::{Memory, Walk},
};
use crate::event::{DeviceAddress, DeviceIdentity, Event, EventKind, Hook, Task, Time};

/// Devices without a name that are looked at; what others are called is told with their next event.
const MOST: usize = 256;
/// Looks that pass at most between two at the same device.
const LONGEST_WAIT: u32 = 256;

/// The devices without a name.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    waiting: HashMap<DeviceAddress, Waiting>,
    /// The time of the last event.
    time: Time,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Looks to pass until the next one at this device.
    left: u32,
    /// How many passed before the last one.
    pause: u32,
    /// Who it was at the last look; it still is, unless what has happened meanwhile says otherwise.
    found: Option<DeviceIdentity>,
}

impl Unnamed {
    /// Takes notice of an event.
    pub(super) fn see(&mut self, event: &Event) {
        self.time = event.time;
        match &event.kind {
            EventKind::Device(identity) if identity.name.is_some() => {
                self.waiting.remove(&event.device);
            }
            EventKind::Device(_) if self.waiting.len() < MOST => {
                self.waiting.insert(event.device, Waiting::default());
            }
            EventKind::Enter(call) if call.hook == Hook::FinalPut => {
                self.waiting.remove(&event.device);
            }
            EventKind::Enter(call) if call.hook == Hook::Initialise => {
                if let Some(waiting) = self.waiting.get_mut(&event.device) {
                    waiting.found = None;
                }
            }
            // What was lost may be the end of any of them.
            EventKind::Loss(_) => self.waiting.clear(),
            _ => {}
        }
    }

    /// Tells `sink` the names that were found at the last look, and looks again. To be called when every event
    /// has been seen that happened before the last look.
    pub(super) fn look(
        &mut self,
        memory: &mut dyn Memory,
        layout: &Layout,
        set: &DeviceSetLayout,
        sink: &mut impl FnMut(Event),
    ) {
        let time = self.time;
        self.waiting.retain(|address, waiting| {
            let Some(identity) = waiting.found.take() else {
                return true;
            };
            sink(Event {
                time,
                task: Task::default(),
                cpu: 0,
                device: *address,
                stack: None,
                kind: EventKind::Device(Arc::new(identity)),
            });
            false
        });
        if self.waiting.is_empty() {
            return;
        }
        let mut walk = Walk::new(memory, layout, set, now);
        for (address, waiting) in &mut self.waiting {
            if waiting.left > 0 {
                waiting.left -= 1;
                continue;
            }
            waiting.found = walk
                .identity(*address)
                .ok()
                .filter(|identity| identity.name.is_some());
            waiting.pause = (2 * waiting.pause + 1).min(LONGEST_WAIT);
            waiting.left = waiting.pause;
        }
    }
}
