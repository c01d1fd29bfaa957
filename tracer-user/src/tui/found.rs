//! When and where findings were made: each time, for as long as the events around it are held.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{
    event::Time,
    finding::{Occurrence, Severity},
    model::{InstanceKey, Model},
};

/// One time that a finding was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The position behind the event with which it was made.
    pub at: u64,
    /// The finding's number.
    pub finding: usize,
    /// On which device.
    pub device: InstanceKey,
}

/// That a finding was made on a device, once or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDevice {
    /// The finding's number.
    pub finding: usize,
    /// The position at which it was made there first.
    pub first: u64,
    /// The position at which it was made there last.
    pub last: u64,
    /// How bad it was there at worst.
    pub severity: Severity,
}

/// Each time that a finding was made.
#[derive(Debug, Default)]
pub struct FoundTimes {
    /// Where each finding was first made.
    firsts: Vec<u64>,
    /// Those that are held, in the order of their positions.
    held: VecDeque<Found>,
    /// The positions of those that are held, by severity.
    positions: [VecDeque<u64>; 3],
    /// How many are held no more.
    forgotten: u64,
    /// What was found on each device.
    on: HashMap<InstanceKey, Vec<OnDevice>>,
    /// How often what was found on a device has changed.
    changes: u64,
    /// The steps of orders that were seen: whose, when, and of which finding.
    steps: HashMap<(InstanceKey, Time), (usize, u64)>,
}

impl FoundTimes {
    pub(super) fn push(&mut self, at: u64, finding: usize, occurrence: &Occurrence) {
        if finding >= self.firsts.len() {
            self.firsts.resize(finding + 1, at);
        }
        let device = occurrence.instance;
        self.held.push_back(Found {
            at,
            finding,
            device,
        });
        if let Some(positions) = self.positions.get_mut(place_of(occurrence.severity)) {
            positions.push_back(at);
        }
        for moment in &occurrence.moments {
            self.steps
                .entry((device, *moment))
                .or_insert((finding, at))
                .1 = at;
        }
        let on = self.on.entry(device).or_default();
        if let Some(known) = on.iter_mut().find(|known| known.finding == finding) {
            known.last = at;
            if occurrence.severity > known.severity {
                known.severity = occurrence.severity;
                self.changes += 1;
            }
        } else {
            self.changes += 1;
            on.push(OnDevice {
                finding,
                first: at,
                last: at,
                severity: occurrence.severity,
            });
        }
    }

    /// Forgets what was found at a position or before it, but for devices that are there still.
    pub(super) fn forget_before(&mut self, position: u64, model: &Model) {
        while self.held.front().is_some_and(|found| found.at <= position) {
            self.held.pop_front();
            self.forgotten += 1;
        }
        for positions in &mut self.positions {
            while positions.front().is_some_and(|at| *at <= position) {
                positions.pop_front();
            }
        }
        self.steps.retain(|_, (_, at)| *at > position);
        self.on.retain(|key, on| {
            let lives = model
                .device(key.address)
                .is_some_and(|device| device.key() == *key);
            lives || on.iter().any(|known| known.last > position)
        });
    }

    /// How many findings had been made at a position.
    pub(super) fn findings_until(&self, position: u64) -> usize {
        self.firsts.partition_point(|first| *first <= position)
    }

    /// How many times findings had been made at a position.
    #[must_use]
    pub fn until(&self, position: u64) -> u64 {
        self.forgotten + self.held.partition_point(|found| found.at <= position) as u64
    }

    /// How often what was found on any device has changed.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// The first one behind a position.
    #[must_use]
    pub fn after(&self, position: u64) -> Option<Found> {
        let place = self.held.partition_point(|found| found.at <= position);
        self.held.get(place).copied()
    }

    /// The last one before a position.
    #[must_use]
    pub fn before(&self, position: u64) -> Option<Found> {
        let place = self.held.partition_point(|found| found.at < position);
        self.held.get(place.checked_sub(1)?).copied()
    }

    /// The position of the first one so bad that is not before `position`.
    #[must_use]
    pub fn next_position(&self, severity: Severity, position: u64) -> Option<u64> {
        let positions = self.positions.get(place_of(severity))?;
        let place = positions.partition_point(|at| *at < position);
        positions.get(place).copied()
    }

    /// Whether any is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What was found on a device, in the order in which it was first found there.
    #[must_use]
    pub fn on(&self, device: InstanceKey) -> &[OnDevice] {
        self.on.get(&device).map_or(&[], Vec::as_slice)
    }

    /// What was found on every device.
    pub fn everywhere(&self) -> impl Iterator<Item = (InstanceKey, &OnDevice)> {
        self.on
            .iter()
            .flat_map(|(key, on)| on.iter().map(move |one| (*key, one)))
    }

    /// The finding in whose order something on a device at this time is a step.
    #[must_use]
    pub fn at_step(&self, device: InstanceKey, time: Time) -> Option<usize> {
        self.steps.get(&(device, time)).map(|(finding, _)| *finding)
    }
}

const fn place_of(severity: Severity) -> usize {
    match severity {
        Severity::Info => 0,
        Severity::Warn => 1,
        Severity::Error => 2,
    }
}
