//! Device instances: how they begin, are named, become doubtful, and end.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Change, Changes, Desync, DesyncKind, DeviceId, InstanceKey, Model, State, Taint, device::Record,
};
use crate::{
    coverage::{Addresses, Before},
    event::{DeviceAddress, DeviceIdentity, PmDomain},
};

/// Addresses of ended instances whose generation is remembered one by one.
const MOST_ENDED: usize = 1 << 16;

/// All device instances.
#[derive(Debug, Clone)]
pub(super) struct Devices {
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
    at: HashMap<DeviceAddress, u32>,
    /// Instances that ended with the last event: their slots.
    gone: Vec<u32>,
    epochs: u32,
    /// The generation of the last instance at addresses where none lives.
    ended: HashMap<DeviceAddress, u32>,
    /// No address that is not in `ended` had a generation beyond this.
    generation_floor: u32,
    /// Why an instance that was not seen to begin is doubtful.
    before: Option<Taint>,
}

impl Devices {
    pub(super) fn new(before: &Before) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            at: HashMap::new(),
            gone: Vec::new(),
            epochs: 0,
            ended: HashMap::new(),
            generation_floor: 0,
            before: (*before != Before::Nothing).then_some(Taint::FirstSeenHalfway),
        }
    }

    pub(super) fn at(&self, address: DeviceAddress) -> Option<DeviceId> {
        self.id_in(*self.at.get(&address)?)
    }

    pub(super) fn id_in(&self, slot: u32) -> Option<DeviceId> {
        let record = self.slots.get(slot as usize)?.as_ref()?;
        Some(DeviceId {
            slot,
            epoch: record.epoch,
        })
    }

    pub(super) fn get(&self, id: DeviceId) -> Option<&Record> {
        self.slots
            .get(id.slot as usize)?
            .as_ref()
            .filter(|record| record.epoch == id.epoch)
    }

    pub(super) fn get_mut(&mut self, id: DeviceId) -> Option<&mut Record> {
        self.slots
            .get_mut(id.slot as usize)?
            .as_mut()
            .filter(|record| record.epoch == id.epoch)
    }

    pub(super) fn living(&self) -> impl Iterator<Item = (DeviceId, &Record)> {
        self.slots
            .iter()
            .zip(0_u32..)
            .filter_map(|(record, slot)| Some((slot, record.as_ref()?)))
            .filter(|(slot, record)| self.at.get(&record.key.address) == Some(slot))
            .map(|(slot, record)| {
                let epoch = record.epoch;
                (DeviceId { slot, epoch }, record)
            })
    }

    fn create(&mut self, key: InstanceKey) -> DeviceId {
        self.epochs = self.epochs.wrapping_add(1);
        let epoch = self.epochs;
        let record = Some(Record::new(key, epoch));
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = record;
            }
            slot
        } else {
            self.slots.push(record);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        self.at.insert(key.address, slot);
        DeviceId { slot, epoch }
    }

    /// The generation of the next instance that begins at `address`.
    fn next_generation(&self, address: DeviceAddress) -> u32 {
        let last = self
            .at(address)
            .and_then(|id| self.get(id))
            .map(|record| record.key.generation)
            .or_else(|| self.ended.get(&address).copied())
            .unwrap_or(self.generation_floor);
        last.saturating_add(1)
    }

    fn end(&mut self, id: DeviceId) {
        let Some(key) = self.get(id).map(|record| record.key) else {
            return;
        };
        if self.at.get(&key.address) == Some(&id.slot) {
            self.at.remove(&key.address);
        }
        self.gone.push(id.slot);
        if self.ended.len() >= MOST_ENDED {
            let highest = self.ended.values().copied().max().unwrap_or(0);
            self.generation_floor = self.generation_floor.max(highest);
            self.ended.clear();
        }
        if key.generation > 0 {
            self.ended.insert(key.address, key.generation);
        }
    }

    /// The instances that ended with the last event, to be dropped.
    pub(super) fn take_gone(&mut self) -> Vec<Record> {
        if self.gone.is_empty() {
            return Vec::new();
        }
        let gone = std::mem::take(&mut self.gone);
        let records = gone
            .iter()
            .filter_map(|slot| self.slots.get_mut(*slot as usize)?.take())
            .collect();
        self.free.extend(gone);
        records
    }
}

impl Model {
    /// The instance that the current event is about; it is created where it is not known.
    pub(super) fn subject(&mut self, changes: &mut Changes) -> Option<DeviceId> {
        let address = self.now.device;
        if address == DeviceAddress::NONE {
            return None;
        }
        let id = match self.devices.at(address) {
            Some(id) => id,
            None => self.first_seen(address, changes),
        };
        if let Some(record) = self.devices.get_mut(id) {
            record.just_named = false;
            record.untouched = false;
        }
        Some(id)
    }

    fn first_seen(&mut self, address: DeviceAddress, changes: &mut Changes) -> DeviceId {
        let key = InstanceKey {
            address,
            generation: 0,
        };
        let id = self.devices.create(key);
        self.tally.devices += 1;
        changes.push(Change::DeviceSeen(id));
        let before = self.devices.before;
        let sequence = self.sequence;
        let lost = self.last_loss.is_some();
        if let Some(record) = self.devices.get_mut(id) {
            if let Some(taint) = before {
                record.taints.insert(taint);
                record.tainted_at = sequence;
            } else if !lost {
                record.known_since = sequence;
            }
        }
        id
    }

    pub(super) fn identify(&mut self, identity: &Arc<DeviceIdentity>, changes: &mut Changes) {
        let address = self.now.device;
        if address == DeviceAddress::NONE {
            return;
        }
        let id = match self.devices.at(address) {
            Some(id) => id,
            None => self.first_seen(address, changes),
        };
        if let Some(record) = self.devices.get_mut(id) {
            record.just_named = true;
            record.identify(Arc::clone(identity));
            changes.push(Change::DeviceNamed(id));
        }
    }

    /// `device_initialize` was entered: a new instance, whatever was at this address before.
    pub(super) fn initialise(&mut self, changes: &mut Changes) {
        let address = self.now.device;
        if address == DeviceAddress::NONE {
            return;
        }
        let generation = self.devices.next_generation(address);
        let key = InstanceKey {
            address,
            generation,
        };
        let mut identity = None;
        let mut placeholder = None;
        if let Some(id) = self.devices.at(address)
            && let Some(record) = self.devices.get(id)
        {
            if record.just_named {
                identity = Some(Arc::clone(&record.identity));
            }
            if record.untouched {
                placeholder = Some(id);
            } else {
                self.end_device(id, false, changes);
            }
        }
        let id = if let Some(id) = placeholder {
            id
        } else {
            self.tally.devices += 1;
            self.devices.create(key)
        };
        let sequence = self.sequence;
        let created_in = self.context();
        if let Some(record) = self.devices.get_mut(id) {
            let epoch = record.epoch;
            *record = Record::new(key, epoch);
            record.phase = State::Initialised;
            record.untouched = false;
            record.clean_since = sequence;
            record.known_since = sequence;
            record.created_in = created_in;
            if let Some(identity) = identity {
                record.identify(identity);
            }
        }
        changes.push(Change::DeviceBegan(id));
    }

    pub(super) fn end_device(&mut self, id: DeviceId, seen: bool, changes: &mut Changes) {
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        if record.phase == State::Dead {
            return;
        }
        record.dying = true;
        record.phase = State::Dead;
        let Some(record) = self.devices.get(id) else {
            return;
        };
        if self.is_doubtful(record) {
            self.tally.gone_tainted += 1;
        }
        // Its nodes stay on its list until the next event, but their addresses are free.
        let slots: Vec<u32> = self
            .arena
            .iter(&record.list)
            .chain(self.arena.iter(&record.releasing))
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            self.arena.forget_address(slot);
        }
        self.devices.end(id);
        changes.push(Change::DeviceGone { device: id, seen });
    }

    /// Whether something of the device is missing that the source should have seen.
    pub(super) fn is_doubtful(&self, record: &Record) -> bool {
        let lost = self.last_loss() > Some(record.clean_since);
        lost || record
            .taints
            .iter()
            .any(|taint| taint != Taint::FirstSeenHalfway)
    }

    /// Something of the device is missing from here on.
    pub(super) fn taint(&mut self, id: DeviceId, reason: Taint, changes: &mut Changes) {
        let sequence = self.sequence;
        if reason.is_misfit() {
            self.misfit();
        }
        if let Some(record) = self.devices.get_mut(id) {
            record.tainted_at = sequence;
            // What a rule has kept since the last time is in doubt now too.
            let again = !record.taints.insert(reason);
            changes.push(Change::Tainted {
                device: id,
                reason,
                again,
            });
        }
    }

    /// Everything of the device is known again.
    pub(super) fn clear(&mut self, id: DeviceId, changes: &mut Changes) {
        let sequence = self.sequence;
        let tainted = self
            .devices
            .get(id)
            .is_some_and(|record| self.tainted_at(record).is_some());
        if let Some(record) = self.devices.get_mut(id)
            && tainted
        {
            record.taints.clear();
            record.clean_since = sequence;
            changes.push(Change::Cleared(id));
        }
    }

    /// The model and the event don't fit. Where everything was seen and told exactly, that is a fault of
    /// the tracer; else something is merely missing.
    pub(super) fn disagree(&mut self, id: DeviceId, kind: DesyncKind, changes: &mut Changes) {
        let Some(record) = self.devices.get(id) else {
            return;
        };
        if self.tainted_at(record).is_some() {
            return;
        }
        if !self.facts.exact {
            let reason = if self.facts.node_addresses == Addresses::Real {
                Taint::Unfitting
            } else {
                Taint::Indistinct
            };
            self.taint(id, reason, changes);
            return;
        }
        self.tally.desyncs += 1;
        changes.push(Change::Desynced(Box::new(Desync {
            time: self.now.time,
            device: record.key,
            name: record.identity.name.clone(),
            kind,
        })));
        self.taint(id, Taint::Desync, changes);
    }

    pub(super) fn saw_pm(&mut self, id: DeviceId, pm: PmDomain) {
        if let Some(record) = self.devices.get_mut(id) {
            record.pm = pm;
        }
    }
}
