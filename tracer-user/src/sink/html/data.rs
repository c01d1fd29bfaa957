//! What the page's picture is drawn from: the histories with each text once, and times counted from the first.

use hashbrown::HashMap;
use serde::Serialize;

use crate::{
    escape::escape,
    event::Time,
    finding::Finding,
    history::{
        Binding, DeviceHistory, Frames, Held, Histories, Item, LabelId, Marker, Names, Outcome,
        Step, StepKind, TaskId,
    },
    model::InstanceKey,
    sink::report::{Report, words},
};

/// Everything that the page's script is given.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    /// What was read.
    title: String,
    /// The first time in it, in nanoseconds; all others count from it. Text, for it may have more digits than a
    /// script's number.
    base: String,
    /// How long it lasted, in nanoseconds.
    length: u64,
    /// Whether times are numbers of events.
    numbered: bool,
    /// The names of resources and devices.
    labels: Vec<String>,
    /// Of each label: the stack of the addition in `stacks`.
    label_stacks: Vec<Option<usize>>,
    stacks: Vec<Vec<String>>,
    tasks: Vec<String>,
    devices: Vec<DeviceData>,
    findings: Vec<FindingData>,
    /// Where events were lost, and how many.
    losses: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct DeviceData {
    name: String,
    bus: Option<String>,
    driver: Option<String>,
    address: String,
    generation: u32,
    began: u64,
    gone: Option<u64>,
    state: String,
    doubts: Vec<String>,
    resources: Vec<ResourceData>,
    /// Phases: what, from when, until when.
    bands: Vec<(&'static str, u64, u64)>,
    /// What else happened: when, and what.
    marks: Vec<(u64, String)>,
    /// Things that happened and are not here.
    hidden: u64,
}

/// One resource's time on its device's list: its label, its size, when it was added (`None`: it was there before),
/// when it went (`None`: it was still there), how, how many groups enclosed it, the task that added it, and whether it
/// is a group's marker.
#[derive(Debug, Serialize)]
struct ResourceData(
    usize,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    &'static str,
    u8,
    Option<usize>,
    Option<&'static str>,
);

#[derive(Debug, Serialize)]
struct FindingData {
    rule: &'static str,
    severity: &'static str,
    summary: String,
    /// The element with its text.
    id: String,
    /// On which device, from when to when.
    at: Vec<(usize, u64, u64)>,
}

impl Data {
    /// Takes a report apart for the picture.
    pub(super) fn of(report: &Report<'_>) -> Self {
        let histories = report.histories;
        let (first, last) = histories.extent.unwrap_or_default();
        let mut texts = Texts {
            names: &histories.names,
            first,
            labels: Vec::new(),
            label_stacks: Vec::new(),
            stacks: Vec::new(),
            tasks: Vec::new(),
            of_label: HashMap::new(),
            of_stack: HashMap::new(),
            of_task: HashMap::new(),
        };
        let devices: Vec<DeviceData> = histories
            .devices
            .iter()
            .map(|history| DeviceData::of(history, histories, &mut texts))
            .collect();
        Self {
            title: escape(report.name),
            base: first.0.to_string(),
            length: last.0.saturating_sub(first.0),
            numbered: histories.names.are_numbered(),
            devices,
            findings: findings(report, first),
            losses: histories
                .losses
                .iter()
                .map(|(time, count, _)| (time.0.saturating_sub(first.0), *count))
                .collect(),
            labels: texts.labels,
            label_stacks: texts.label_stacks,
            stacks: texts.stacks,
            tasks: texts.tasks,
        }
    }
}

fn findings(report: &Report<'_>, first: Time) -> Vec<FindingData> {
    let devices = &report.histories.devices;
    let mut places: HashMap<InstanceKey, usize> = HashMap::new();
    for (place, device) in devices.iter().enumerate() {
        places.entry(device.key).or_insert(place);
    }
    let since = |time: Time| time.0.saturating_sub(first.0);
    let one = |(number, finding): (usize, &Finding)| FindingData {
        rule: finding.rule,
        severity: finding.severity.name(),
        summary: finding.summary.clone(),
        id: super::finding_id(number),
        at: finding
            .occurrences
            .iter()
            .filter_map(|one| {
                let place = places.get(&one.instance)?;
                Some((*place, since(one.began()), since(one.time)))
            })
            .collect(),
    };
    report.findings.iter().enumerate().map(one).collect()
}

/// The texts that are referred to by number.
struct Texts<'a> {
    names: &'a Names,
    first: Time,
    labels: Vec<String>,
    label_stacks: Vec<Option<usize>>,
    stacks: Vec<Vec<String>>,
    tasks: Vec<String>,
    of_label: HashMap<LabelId, usize>,
    of_stack: HashMap<Vec<String>, usize>,
    of_task: HashMap<TaskId, usize>,
}

impl Texts<'_> {
    fn since(&self, time: Time) -> u64 {
        time.0.saturating_sub(self.first.0)
    }

    fn label(&mut self, id: LabelId) -> usize {
        if let Some(known) = self.of_label.get(&id) {
            return *known;
        }
        let frames = self.names.label(id).and_then(|label| label.frames.clone());
        let stack = frames.map(|frames| self.stack(&frames));
        let place = self.labels.len();
        self.labels.push(words::resource(id, self.names));
        self.label_stacks.push(stack);
        self.of_label.insert(id, place);
        place
    }

    fn stack(&mut self, frames: &Frames) -> usize {
        let frames: Vec<String> = frames.iter().map(ToString::to_string).collect();
        if let Some(known) = self.of_stack.get(&frames) {
            return *known;
        }
        let place = self.stacks.len();
        self.stacks.push(frames.clone());
        self.of_stack.insert(frames, place);
        place
    }

    fn task(&mut self, id: TaskId) -> Option<usize> {
        if let Some(known) = self.of_task.get(&id) {
            return Some(*known);
        }
        let text = words::task(id, self.names);
        if text.is_empty() {
            return None;
        }
        let place = self.tasks.len();
        self.tasks.push(text);
        self.of_task.insert(id, place);
        Some(place)
    }
}

impl DeviceData {
    fn of(history: &DeviceHistory, histories: &Histories, texts: &mut Texts<'_>) -> Self {
        let mut device = Self {
            name: escape(history.name.as_deref().unwrap_or("(no name)")),
            bus: history.bus.as_deref().map(escape),
            driver: history.driver.as_deref().map(escape),
            address: history.key.address.to_string(),
            generation: history.key.generation,
            began: texts.since(history.began),
            gone: history.gone.map(|gone| texts.since(gone.time)),
            state: history.state.to_string(),
            doubts: history.doubts.iter().map(ToString::to_string).collect(),
            resources: Vec::new(),
            bands: Vec::new(),
            marks: Vec::new(),
            hidden: history.bindings_hidden + history.initial.hidden,
        };
        // Where each resource that is still there stands in `resources`, by what tells it apart.
        let mut held = HashMap::new();
        for one in &history.initial.held {
            held.insert(one.serial, device.resources.len());
            device.resources.push(ResourceData::before(one, texts));
        }
        let end = texts.since(history.last_seen(histories));
        for binding in &history.bindings {
            device.hidden += binding.steps_hidden;
            device.add_bands(binding, end, texts);
            for step in &binding.steps {
                device.add_step(step, &mut held, texts);
            }
        }
        device
    }

    /// The phases of a binding: its probe, the time it was bound, its unbind.
    fn add_bands(&mut self, binding: &Binding, end: u64, texts: &Texts<'_>) {
        if binding.number == 0 {
            return;
        }
        let time_of = |wanted: fn(&StepKind) -> bool| {
            let step = binding.steps.iter().find(|step| wanted(&step.kind));
            step.map(|step| texts.since(step.time))
        };
        let began = texts.since(binding.began);
        let bound = binding.bound.as_ref().map(|(time, _)| texts.since(*time));
        let ended = binding.ended.map(|(time, _)| texts.since(time));
        let unbind = time_of(|kind| matches!(kind, StepKind::Unbind));
        let failed = time_of(|kind| matches!(kind, StepKind::ProbeFailed(_)));
        let is_failed = matches!(binding.outcome, Outcome::Failed(_));
        let probed = bound
            .or(ended.filter(|_| is_failed))
            .or(failed)
            .unwrap_or(end);
        let probe = if is_failed { "failed" } else { "probe" };
        self.bands.push((probe, began, probed.max(began)));
        if let Some(bound) = bound {
            self.bands
                .push(("bound", bound, unbind.unwrap_or(end).max(bound)));
        }
        if let Some(unbind) = unbind {
            self.bands
                .push(("unbind", unbind, ended.unwrap_or(end).max(unbind)));
        }
    }

    fn add_step(&mut self, step: &Step, held: &mut HashMap<u64, usize>, texts: &mut Texts<'_>) {
        let time = texts.since(step.time);
        match step.kind {
            StepKind::Added(item) => {
                held.insert(item.serial, self.resources.len());
                let task = texts.task(step.task);
                let data = ResourceData::added(item, time, step.depth, task, texts);
                self.resources.push(data);
            }
            StepKind::Removed(item)
            | StepKind::Released(item)
            | StepKind::Replaced(item)
            | StepKind::Missed(item) => {
                let known = held.remove(&item.serial);
                if let Some(resource) = known.and_then(|place| self.resources.get_mut(place)) {
                    resource.3 = Some(time);
                    resource.4 = step.kind.name();
                }
            }
            // The bands show these.
            StepKind::Probe | StepKind::Bound | StepKind::Initialised => {}
            _ => self.marks.push((time, words::step(step, texts.names))),
        }
    }
}

impl ResourceData {
    fn before(held: &Held, texts: &mut Texts<'_>) -> Self {
        Self(
            texts.label(held.label),
            held.size,
            held.added.map(|time| texts.since(time)),
            None,
            "held",
            held.depth,
            texts.task(held.task),
            held.marker.map(marker),
        )
    }

    fn added(item: Item, time: u64, depth: u8, task: Option<usize>, texts: &mut Texts<'_>) -> Self {
        Self(
            texts.label(item.label),
            item.size,
            Some(time),
            None,
            "held",
            depth,
            task,
            item.marker.map(marker),
        )
    }
}

const fn marker(marker: Marker) -> &'static str {
    if marker.opens { "grp<" } else { "grp>" }
}
