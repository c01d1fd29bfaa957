//! Device instances: how they begin, are named, become doubtful, and end.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Change, Changes, Desync, DesyncKind, DeviceId, InstanceKey, Model, State, Taint, device::Record,
};
use crate::{
    event::{DeviceAddress, DeviceIdentity, PmDomain, Task},
    evidence::{Addresses, Before},
};

/// Addresses of ended instances whose generation is remembered one by one.
const MOST_ENDED: usize = 1 << 16;
/// Identities that wait for the event that says whose they are.
const MOST_INTRODUCED: usize = 1 << 16;

/// Who a device is, reported before it is known in which life: the next event of its address says that.
///
/// A source gives an identity right before the event for which it looked at the device. If that event is
/// `device_initialize`, it is the identity of the life that begins there, and not of the one before.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    pub(super) identity: Arc<DeviceIdentity>,
    /// The task for which the source looked at the device.
    pub(super) task: Task,
    /// Its place in the order of everything seen.
    sequence: u64,
}

/// All device instances.
#[derive(Debug, Clone)]
pub(super) struct Devices {
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
    at: HashMap<DeviceAddress, u32>,
    /// The address that the present event is about, and what lives there: it is asked for several times an event.
    present: (DeviceAddress, Option<u32>),
    /// Instances that ended with the last event: their slots.
    gone: Vec<u32>,
    epochs: u32,
    /// Identities that no event has followed yet.
    introduced: HashMap<DeviceAddress, Introduction>,
    /// The generation of the last instance at addresses where none lives.
    ended: HashMap<DeviceAddress, u32>,
    /// No address that is not in `ended` had a generation beyond this; `None` if none of them had any.
    generation_floor: Option<u32>,
    /// Why an instance that was not seen to begin is doubtful.
    before: Option<Taint>,
}

impl Devices {
    pub(super) fn new(before: &Before) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            at: HashMap::new(),
            present: (DeviceAddress::NONE, None),
            gone: Vec::new(),
            epochs: 0,
            introduced: HashMap::new(),
            ended: HashMap::new(),
            generation_floor: None,
            before: (*before != Before::Nothing).then_some(Taint::FirstSeenHalfway),
        }
    }

    /// The event that comes is about this address.
    pub(super) fn attend_to(&mut self, address: DeviceAddress) {
        if self.present.0 != address {
            self.present = (address, self.at.get(&address).copied());
        }
    }

    pub(super) fn at(&self, address: DeviceAddress) -> Option<DeviceId> {
        if address == self.present.0 {
            return self.id_in(self.present.1?);
        }
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
        if key.address == self.present.0 {
            self.present.1 = Some(slot);
        }
        DeviceId { slot, epoch }
    }

    /// The generation of the next instance at `address`, where none lives; `begins` says whether its begin is
    /// seen.
    fn next_generation(&self, address: DeviceAddress, begins: bool) -> u32 {
        let last = self.ended.get(&address).copied();
        match last.or(self.generation_floor) {
            Some(last) => last.saturating_add(1),
            None => u32::from(begins),
        }
    }

    fn end(&mut self, id: DeviceId) {
        let Some(key) = self.get(id).map(|record| record.key) else {
            return;
        };
        if self.at.get(&key.address) == Some(&id.slot) {
            self.at.remove(&key.address);
            if key.address == self.present.0 {
                self.present.1 = None;
            }
        }
        self.gone.push(id.slot);
        if self.ended.len() >= MOST_ENDED {
            self.generation_floor = self
                .generation_floor
                .max(self.ended.values().copied().max());
            self.ended.clear();
        }
        self.ended.insert(key.address, key.generation);
    }

    fn introduce(&mut self, address: DeviceAddress, introduction: Introduction) {
        if self.introduced.len() >= MOST_INTRODUCED {
            self.introduced.clear();
        }
        self.introduced.insert(address, introduction);
    }

    /// The identity that waits for the next event of this address.
    fn introduction(&mut self, address: DeviceAddress) -> Option<Introduction> {
        if self.introduced.is_empty() {
            return None;
        }
        self.introduced.remove(&address)
    }

    /// The identities that no event has followed yet, in a stable order.
    pub(super) fn introductions(&self) -> Vec<(DeviceAddress, &Introduction)> {
        let mut waiting: Vec<_> = self
            .introduced
            .iter()
            .map(|(address, introduction)| (*address, introduction))
            .collect();
        waiting.sort_unstable_by_key(|(address, _)| *address);
        waiting
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
        if let Some(introduction) = self.devices.introduction(address)
            && let Some(record) = self.devices.get_mut(id)
        {
            let without = matches!(record.phase, State::Initialised | State::Unbound);
            let told = record.identity.name.is_some() && record.identity.driver.is_none();
            if without && told && introduction.identity.driver.is_some() {
                record.driver_came = introduction.sequence;
            }
            record.identify(introduction.identity);
            changes.push(Change::DeviceNamed(id));
        }
        Some(id)
    }

    /// The instance that a return is about, if it lives or was introduced for it: a return alone begins none,
    /// for with the last put the instance is gone.
    pub(super) fn known_subject(&mut self, changes: &mut Changes) -> Option<DeviceId> {
        let address = self.now.device;
        if self.devices.introduced.contains_key(&address) {
            return self.subject(changes);
        }
        self.devices.at(address)
    }

    fn first_seen(&mut self, address: DeviceAddress, changes: &mut Changes) -> DeviceId {
        let generation = self.devices.next_generation(address, false);
        let key = InstanceKey {
            address,
            generation,
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

    /// Who a device is: in which life, the next event of its address shows.
    pub(super) fn identify(&mut self, identity: &Arc<DeviceIdentity>, changes: &mut Changes) {
        let address = self.now.device;
        if address == DeviceAddress::NONE {
            return;
        }
        // No probe ran for it, so no event need follow: the source has looked at who lives there.
        if self.now.task == Task::default()
            && identity.name.is_some()
            && let Some(id) = self.devices.at(address)
            && let Some(record) = self.devices.get_mut(id)
            && record.identity.name.is_none()
        {
            record.identify(Arc::clone(identity));
            changes.push(Change::DeviceNamed(id));
            return;
        }
        let introduction = Introduction {
            identity: Arc::clone(identity),
            task: self.now.task,
            sequence: self.sequence,
        };
        self.devices.introduce(address, introduction);
    }

    /// `device_initialize` was entered: a new instance, whatever was at this address before.
    pub(super) fn initialise(&mut self, changes: &mut Changes) {
        let address = self.now.device;
        if address == DeviceAddress::NONE {
            return;
        }
        // Where something is missing in between, it may be the identity of the life before.
        let lost = self.last_loss();
        let identity = self
            .devices
            .introduction(address)
            .filter(|introduction| lost.is_none_or(|lost| lost < introduction.sequence))
            .map(|introduction| introduction.identity);
        if let Some(id) = self.devices.at(address) {
            self.end_device(id, false, changes);
        }
        let generation = self.devices.next_generation(address, true);
        let id = self.devices.create(InstanceKey {
            address,
            generation,
        });
        self.tally.devices += 1;
        let sequence = self.sequence;
        let created_in = self.context();
        if let Some(record) = self.devices.get_mut(id) {
            record.phase = State::Initialised;
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
            self.arena.forget(slot);
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

    /// The model and the event don't fit. Where everything was seen and reported exactly, that is a fault of
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

    pub(super) fn saw_pm(&mut self, id: DeviceId, pm: PmDomain, changes: &mut Changes) {
        let goes = |record: &Record| record.pm.detaches() && pm.domain == 0;
        if self.devices.get(id).is_some_and(goes) {
            self.watch_pm(id, changes);
        }
        if let Some(record) = self.devices.get_mut(id) {
            record.pm = pm;
        }
    }
}
