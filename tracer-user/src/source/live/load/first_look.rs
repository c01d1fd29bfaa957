//! The snapshot that a run starts with: what lies on every device, between the events that come meanwhile.

use hashbrown::HashMap;

use tracer_ebpf::Layout;

use super::{
    super::{
        decode::NodeFacts,
        snapshot::{BpfMemory, Found, SnapshotError, Walk, device_set},
        timing::Step,
    },
    Live,
};
use crate::{
    event::{DeviceAddress, DeviceSnapshot, Event, EventKind, Time},
    evidence::Before,
    kernel::{DeviceSetLayout, now},
};

impl Live {
    /// Takes the snapshot; where it can't be had, the coverage says why.
    ///
    /// Hooks are attached already, so an event may have happened while its device was read. Such a device
    /// is read again, and marked inconsistent if that doesn't help.
    pub(super) fn take_snapshot(&mut self, layout: &Layout, set: &DeviceSetLayout) {
        let mut events = Vec::new();
        let found = self.walk(layout, set, &mut events);
        self.timing.done(Step::Snapshot);
        match found {
            Ok((found, complete)) => {
                if !complete {
                    self.coverage.before = Before::Unknown(
                        "the kernel's device set changed while it was being read: some devices may be missing".to_owned(),
                    );
                }
                let snapshots = found
                    .into_iter()
                    .map(|device| self.snapshot_event(device))
                    .collect();
                self.first = merged(snapshots, events).into_iter();
            }
            Err(error) => {
                self.coverage.before = Before::Unknown(error.to_string());
                self.first = events.into_iter();
            }
        }
        self.timing.done(Step::Names);
    }

    fn walk(
        &mut self,
        layout: &Layout,
        set: &DeviceSetLayout,
        events: &mut Vec<Event>,
    ) -> Result<(Vec<Found>, bool), SnapshotError> {
        /// How often devices to which something happened meanwhile are read again.
        const TRIES: u32 = 3;
        let Self {
            ebpf,
            ring,
            decoder,
            ..
        } = self;
        BpfMemory::load(ebpf).map_err(SnapshotError::NoMemory)?;
        let mut module_memory = BpfMemory::new(ebpf).map_err(SnapshotError::NoMemory)?;
        let mut memory = BpfMemory::new(ebpf).map_err(SnapshotError::NoMemory)?;
        let devices = device_set(&mut memory, set)?;
        let mut walk = Walk::new(memory, layout, set, now);
        let (mut found, complete) = walk.devices(devices)?;
        for attempt in 0..=TRIES {
            while let Some(record) = ring.get_mut().next() {
                decoder.decode(&record, &mut module_memory, &mut |event| events.push(event));
            }
            let mut changed: HashMap<DeviceAddress, Vec<Time>> = HashMap::new();
            for event in events.iter().filter(|event| changes_resources(&event.kind)) {
                changed.entry(event.device).or_default().push(event.time);
            }
            let mut settled = true;
            for device in &mut found {
                let read = device.read.0..=device.read.1;
                if changed
                    .get(&device.device)
                    .is_some_and(|times| times.iter().any(|time| read.contains(time)))
                {
                    settled = false;
                    match walk.device(device.device) {
                        Ok(again) if attempt < TRIES => *device = again,
                        _ => device.consistent = false,
                    }
                }
            }
            if settled {
                break;
            }
        }
        Ok((found, complete))
    }

    fn snapshot_event(&mut self, found: Found) -> Event {
        let nodes = found
            .nodes
            .into_iter()
            .map(|node| {
                self.decoder.node(&NodeFacts {
                    node: node.node,
                    size: node.size,
                    release: node.release,
                    behind: node.behind,
                    payload: node.payload,
                    name: node.name,
                })
            })
            .collect();
        let kind = EventKind::Snapshot(Box::new(DeviceSnapshot {
            identity: found.identity,
            nodes,
            pm: found.pm,
            consistent: found.consistent,
        }));
        Event::outside_tasks(found.read.1, found.device, kind)
    }
}

fn changes_resources(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Add(_)
            | EventKind::Remove(_)
            | EventKind::Release(_)
            | EventKind::Replace(_)
            | EventKind::RemoveAction { .. }
    )
}

/// Puts each snapshot before the first event that is later.
fn merged(mut snapshots: Vec<Event>, events: Vec<Event>) -> Vec<Event> {
    snapshots.sort_by_key(|snapshot| snapshot.time);
    let mut merged = Vec::with_capacity(snapshots.len() + events.len());
    let mut snapshots = snapshots.into_iter().peekable();
    for event in events {
        while let Some(snapshot) = snapshots.next_if(|snapshot| snapshot.time < event.time) {
            merged.push(snapshot);
        }
        merged.push(event);
    }
    merged.extend(snapshots);
    merged
}
