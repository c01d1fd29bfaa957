//! Devices as tracks of spans, for pictures that other programs draw: phases, resources in rows, and how much is held.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use hashbrown::HashMap;

use super::report::words;
use crate::{
    escape::escape,
    event::Time,
    history::{Binding, DeviceHistory, Histories, Item, LabelId, Outcome, StepKind, TaskId},
};

/// One life of a device.
pub(super) struct DeviceTrack {
    /// Its name and driver, harmless.
    pub(super) heading: String,
    /// What was done with it, in the order in which it began; each is within another or apart from it.
    pub(super) phases: Vec<Phase>,
    /// In the order in which they came.
    pub(super) resources: Vec<ResourceSpan>,
    /// In how many rows they lie so that none covers another.
    pub(super) rows: usize,
}

/// From when to when something was done with a device.
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) begin: Time,
    pub(super) end: Time,
}

/// From when to when a resource was there.
pub(super) struct ResourceSpan {
    pub(super) label: LabelId,
    pub(super) size: Option<u64>,
    pub(super) is_marker: bool,
    pub(super) begin: Time,
    pub(super) end: Time,
    /// How it went, in a word; `held` where it was still there.
    pub(super) how: &'static str,
    pub(super) task: TaskId,
    pub(super) row: usize,
}

impl DeviceTrack {
    /// The track of a history.
    pub(super) fn of(history: &DeviceHistory, histories: &Histories) -> Self {
        let name = escape(history.name.as_deref().unwrap_or("(no name)"));
        let heading = match &history.driver {
            Some(driver) => format!("{name}  {}", escape(driver)),
            None => name,
        };
        let end = history.last_seen(histories).max(history.began);
        let mut track = Self {
            heading,
            phases: Vec::new(),
            resources: Vec::new(),
            rows: 0,
        };
        track.take_resources(history, end);
        track.lay_out();
        for (place, binding) in history.bindings.iter().enumerate() {
            let next = history.bindings.get(place + 1);
            let until = next.map_or(end, |next| next.began);
            track.take_phases(binding, until.max(binding.began));
        }
        track
    }

    fn take_resources(&mut self, history: &DeviceHistory, end: Time) {
        let mut present: HashMap<u64, usize> = HashMap::new();
        for held in &history.initial.held {
            present.insert(held.item.serial, self.resources.len());
            self.resources.push(ResourceSpan {
                label: held.item.label,
                size: held.item.size(),
                is_marker: held.item.marker().is_some(),
                begin: held.added.unwrap_or(history.began),
                end,
                how: "held",
                task: held.task,
                row: 0,
            });
        }
        let steps = history.bindings.iter().flat_map(|binding| &binding.steps);
        for step in steps {
            match step.kind {
                StepKind::Added(item) => {
                    present.insert(item.serial, self.resources.len());
                    self.resources
                        .push(ResourceSpan::of(item, step.time, end, step.task));
                }
                StepKind::Removed(item) | StepKind::Released(item) | StepKind::Missed(item) => {
                    let known = present.remove(&item.serial);
                    let known = known.and_then(|place| self.resources.get_mut(place));
                    if let Some(resource) = known {
                        resource.end = step.time.max(resource.begin);
                        resource.how = step.kind.name();
                    }
                }
                _ => {}
            }
        }
    }

    /// Gives each resource the lowest row that is free.
    fn lay_out(&mut self) {
        self.resources.sort_by_key(|resource| resource.begin);
        let mut busy: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
        let mut free: BTreeSet<usize> = BTreeSet::new();
        for resource in &mut self.resources {
            while let Some(Reverse((until, row))) = busy.peek().copied() {
                if until > resource.begin {
                    break;
                }
                busy.pop();
                free.insert(row);
            }
            let row = free.pop_first().unwrap_or_else(|| {
                self.rows += 1;
                self.rows - 1
            });
            resource.row = row;
            // What came and went at once takes its row for that moment.
            let until = resource.end.max(Time(resource.begin.0.saturating_add(1)));
            busy.push(Reverse((until, row)));
        }
    }

    fn take_phases(&mut self, binding: &Binding, until: Time) {
        let time_of = |wanted: fn(&StepKind) -> bool| {
            let step = binding.steps.iter().find(|step| wanted(&step.kind));
            step.map(|step| step.time)
        };
        let unbind = time_of(|kind| matches!(kind, StepKind::Unbind));
        let remove = time_of(|kind| matches!(kind, StepKind::Remove));
        let cleanup = time_of(|kind| matches!(kind, StepKind::Cleanup));
        let failed = time_of(|kind| matches!(kind, StepKind::ProbeFailed(_)));
        let bound = binding.bound.as_ref().map(|(time, _)| *time);
        let ended = binding.ended.map(|(time, _)| time);
        let mut add = |name: String, begin: Option<Time>, end: Time| {
            if let Some(begin) = begin {
                let begin = begin.min(until);
                let end = end.clamp(begin, until);
                self.phases.push(Phase { name, begin, end });
            }
        };
        if binding.number > 0 {
            let probe = match binding.outcome {
                Outcome::Failed(value) => format!("probe {}", words::failed(value)),
                Outcome::Open | Outcome::Bound => "probe".to_owned(),
            };
            let probed = bound.or(ended.max(failed)).or(unbind).unwrap_or(until);
            add(probe, Some(binding.began), probed);
        }
        add("bound".to_owned(), bound, unbind.unwrap_or(until));
        let unbound = match (unbind, ended) {
            (Some(unbind), Some(ended)) if ended >= unbind => ended,
            _ => until,
        };
        add("unbind".to_owned(), unbind, unbound);
        if let Some(unbind) = unbind {
            let within = |time: &Time| *time >= unbind && *time <= unbound;
            let (remove, cleanup) = (remove.filter(within), cleanup.filter(within));
            add("remove".to_owned(), remove, cleanup.unwrap_or(unbound));
            add("cleanup".to_owned(), cleanup, unbound);
        }
    }

    /// How many resources it held, and how many bytes, from each time on.
    pub(super) fn held(&self) -> Vec<(Time, u64, u64)> {
        let mut changes: BTreeMap<Time, (i64, i128)> = BTreeMap::new();
        for resource in self.resources.iter().filter(|one| !one.is_marker) {
            let size = i128::from(resource.size.unwrap_or(0));
            let came = changes.entry(resource.begin).or_default();
            *came = (came.0 + 1, came.1 + size);
            if resource.how != "held" {
                let went = changes.entry(resource.end).or_default();
                *went = (went.0 - 1, went.1 - size);
            }
        }
        let (mut resources, mut bytes) = (0_i64, 0_i128);
        let held = changes.into_iter().map(|(time, change)| {
            resources += change.0;
            bytes += change.1;
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            (time, resources.unsigned_abs(), bytes)
        });
        held.collect()
    }
}

impl ResourceSpan {
    fn of(item: Item, begin: Time, end: Time, task: TaskId) -> Self {
        Self {
            label: item.label,
            size: item.size(),
            is_marker: item.marker().is_some(),
            begin,
            end: end.max(begin),
            how: "held",
            task,
            row: 0,
        }
    }
}

/// What of a recording is in no track, in a sentence.
#[must_use]
pub fn not_kept(histories: &Histories) -> Option<String> {
    let bindings = histories
        .devices
        .iter()
        .flat_map(|history| &history.bindings);
    let steps: u64 = bindings.map(|binding| binding.steps_hidden).sum();
    let devices = histories.devices.iter();
    let held: u64 = devices
        .map(|history| history.initial.hidden + history.bindings_hidden)
        .sum();
    let hidden = steps + held + histories.devices_hidden;
    (hidden > 0).then(|| {
        let lives = histories.devices_hidden;
        format!("too much for one picture: {steps} steps, {held} resources or probes and {lives} lives are left out")
    })
}
