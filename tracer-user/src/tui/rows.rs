//! One row for each device, kept up to date with what changes, filtered and sorted.

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::{filter::Filter, row::Row, text::width, traces::Traces};
use crate::{
    finding::Severity,
    model::{InstanceKey, Model},
};

/// What the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// What wants to be looked at first: findings, then what is being probed or unbound, then by bus and
    /// name.
    #[default]
    Attention,
    /// The last activity, latest first.
    Activity,
    /// The device's name.
    Name,
    /// The driver's name.
    Driver,
    /// The bus's name.
    Bus,
    /// How many resources, most first.
    Resources,
    /// How many bytes, most first.
    Bytes,
}

impl Sort {
    /// All of them, in the order in which the key goes through them.
    pub const ALL: [Self; 7] = [
        Self::Attention,
        Self::Activity,
        Self::Name,
        Self::Driver,
        Self::Bus,
        Self::Resources,
        Self::Bytes,
    ];

    /// In a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Activity => "last activity",
            Self::Name => "device",
            Self::Driver => "driver",
            Self::Bus => "bus",
            Self::Resources => "resources",
            Self::Bytes => "bytes",
        }
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let here = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL.get(here + 1).copied().unwrap_or(Self::Attention)
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let by_place = || (&one.bus, &one.name, one.key).cmp(&(&other.bus, &other.name, other.key));
        let empty_last = |one: &str, other: &str| {
            one.is_empty()
                .cmp(&other.is_empty())
                .then_with(|| one.cmp(other))
        };
        let first = match self {
            Self::Attention => (other.worst, other.is_busy(), other.findings).cmp(&(
                one.worst,
                one.is_busy(),
                one.findings,
            )),
            Self::Activity => other.last.cmp(&one.last),
            Self::Name => empty_last(&one.name, &other.name),
            Self::Driver => empty_last(
                one.driver.trim_start_matches('('),
                other.driver.trim_start_matches('('),
            ),
            Self::Bus => empty_last(&one.bus, &other.bus),
            Self::Resources => other.resources.cmp(&one.resources),
            Self::Bytes => other.bytes.cmp(&one.bytes),
        };
        first.then_with(by_place)
    }
}

/// Which rows are shown, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What the rows must fit.
    pub filter: Filter,
    /// Only devices with findings.
    pub only_findings: bool,
    /// Also devices of which there is nothing to say.
    pub idle: bool,
    /// The order.
    pub sort: Sort,
}

/// The rows of all devices.
#[derive(Debug, Default)]
pub struct Rows {
    all: Vec<Row>,
    by_key: HashMap<InstanceKey, usize>,
    /// Whether the row fits the filter, for each.
    fits: Vec<bool>,
    /// Findings of each device.
    findings: HashMap<InstanceKey, (usize, Severity)>,
    choice: Choice,
    /// The rows that are shown, in order.
    shown: Vec<usize>,
    /// The widest of the names that are shown.
    widths: Widths,
    stale: bool,
}

/// Columns that names take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Widths {
    /// Of buses and classes.
    pub bus: usize,
    /// Of drivers.
    pub driver: usize,
    /// Of devices.
    pub device: usize,
}

impl Rows {
    /// The rows that are shown, in order.
    #[must_use]
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// The columns that the widest names of those that are shown take.
    #[must_use]
    pub fn widths(&self) -> Widths {
        self.widths
    }

    /// The row that is shown at this place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&Row> {
        self.all.get(*self.shown.get(place)?)
    }

    /// The row of a device.
    #[must_use]
    pub fn of(&self, key: InstanceKey) -> Option<&Row> {
        self.all.get(*self.by_key.get(&key)?)
    }

    /// The place at which a device is shown.
    #[must_use]
    pub fn place(&self, key: InstanceKey) -> Option<usize> {
        let index = *self.by_key.get(&key)?;
        self.shown.iter().position(|shown| *shown == index)
    }

    /// How many devices there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many devices that live lack something.
    #[must_use]
    pub fn tainted(&self) -> usize {
        self.all
            .iter()
            .filter(|row| row.tainted && row.gone.is_none())
            .count()
    }

    /// What is shown, and in which order.
    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    pub(super) fn choose(&mut self, choice: Choice, model: &Model) {
        self.choice = choice;
        for index in 0..self.all.len() {
            self.judge_fit(index, model);
        }
        self.stale = true;
    }

    /// Makes all rows anew.
    pub(super) fn rebuild(&mut self, model: &Model, traces: &mut Traces) {
        traces.changed.clear();
        traces.all_changed = false;
        self.all.clear();
        self.by_key.clear();
        self.fits.clear();
        for device in model.devices() {
            self.put(Row::of(device, traces.last(device.key())), model);
        }
        for row in &traces.gone {
            self.put(row.clone(), model);
        }
        self.stale = true;
    }

    /// Brings the rows up to date with what has changed.
    pub(super) fn update(&mut self, model: &Model, traces: &mut Traces) {
        if traces.all_changed {
            self.rebuild(model, traces);
        }
        let changed = std::mem::take(&mut traces.changed);
        for id in &changed {
            if let Some(device) = model.device_by_id(*id) {
                self.put(Row::of(device, traces.last(device.key())), model);
            }
        }
        traces.changed = changed;
        traces.changed.clear();
        let unseen: Vec<Row> = traces
            .gone
            .iter()
            .rev()
            .take_while(|row| self.of(row.key).is_none_or(|known| known.gone.is_none()))
            .cloned()
            .collect();
        for row in unseen {
            self.put(row, model);
        }
    }

    pub(super) fn remove(&mut self, keys: &[InstanceKey]) {
        for key in keys {
            let Some(index) = self.by_key.remove(key) else {
                continue;
            };
            self.all.swap_remove(index);
            self.fits.swap_remove(index);
            if let Some(moved) = self.all.get(index) {
                self.by_key.insert(moved.key, index);
            }
            self.stale = true;
        }
    }

    /// Takes the findings of all devices anew.
    pub(super) fn set_findings(&mut self, findings: impl Iterator<Item = (InstanceKey, Severity)>) {
        self.findings.clear();
        for (key, severity) in findings {
            let entry = self.findings.entry(key).or_insert((0, severity));
            entry.0 += 1;
            entry.1 = entry.1.max(severity);
        }
        for row in &mut self.all {
            (row.findings, row.worst) = found(&self.findings, row.key);
        }
        self.stale = true;
    }

    /// Whether there are findings on a device.
    #[must_use]
    pub fn has_findings(&self, key: InstanceKey) -> bool {
        self.findings.contains_key(&key)
    }

    fn put(&mut self, mut row: Row, model: &Model) {
        (row.findings, row.worst) = found(&self.findings, row.key);
        let index = if let Some(index) = self.by_key.get(&row.key) {
            *index
        } else {
            self.by_key.insert(row.key, self.all.len());
            self.all.push(row.clone());
            self.fits.push(true);
            self.all.len() - 1
        };
        if let Some(place) = self.all.get_mut(index) {
            *place = row;
        }
        self.judge_fit(index, model);
        self.stale = true;
    }

    fn judge_fit(&mut self, index: usize, model: &Model) {
        if let (Some(row), Some(fits)) = (self.all.get(index), self.fits.get_mut(index)) {
            *fits = self.choice.filter.is_empty() || self.choice.filter.fits(row, model);
        }
    }

    /// Sorts what is to be shown, if anything has changed.
    pub(super) fn settle(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let Self {
            all: rows,
            fits,
            choice,
            shown,
            widths,
            ..
        } = self;
        shown.clear();
        shown.extend(
            rows.iter()
                .zip(fits.iter())
                .enumerate()
                .filter(|(_, (row, fits))| {
                    **fits
                        && (!choice.only_findings || row.findings > 0)
                        && (choice.idle || !choice.filter.is_empty() || !row.is_idle())
                })
                .map(|(index, _)| index),
        );
        *widths = Widths::default();
        for row in shown.iter().filter_map(|index| rows.get(*index)) {
            widths.bus = widths.bus.max(width(&row.bus));
            widths.driver = widths.driver.max(width(&row.driver));
            widths.device = widths.device.max(width(&row.name));
        }
        shown.sort_by(|one, other| match (rows.get(*one), rows.get(*other)) {
            (Some(one), Some(other)) => choice.sort.compare(one, other),
            _ => Ordering::Equal,
        });
    }
}

fn found(
    findings: &HashMap<InstanceKey, (usize, Severity)>,
    key: InstanceKey,
) -> (usize, Option<Severity>) {
    findings
        .get(&key)
        .map_or((0, None), |(count, worst)| (*count, Some(*worst)))
}
