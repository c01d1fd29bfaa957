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
    /// script's number. Zero where several recordings are shown, which all begin at the left.
    base: String,
    /// How long the longest lasted, in nanoseconds.
    pub(super) length: u64,
    /// Whether times are numbers of events.
    numbered: bool,
    /// The names of resources and devices.
    labels: Vec<String>,
    /// Of each label: the stack of the addition in `stacks`.
    label_stacks: Vec<Option<usize>>,
    stacks: Vec<Vec<String>>,
    tasks: Vec<String>,
    pub(super) devices: Vec<DeviceData>,
    findings: Vec<FindingData>,
    /// Where events were lost, and how many.
    pub(super) losses: Vec<(u64, u64)>,
    #[serde(skip)]
    first: Time,
}

#[derive(Debug, Serialize)]
pub(super) struct DeviceData {
    name: String,
    bus: Option<String>,
    driver: Option<String>,
    address: String,
    generation: u32,
    began: u64,
    gone: Option<u64>,
    state: String,
    doubts: Vec<String>,
    pub(super) resources: Vec<ResourceData>,
    /// Phases: what, from when, until when.
    pub(super) bands: Vec<(&'static str, u64, u64)>,
    /// What else happened: when, and what.
    marks: Vec<(u64, String)>,
    /// Things that happened and are not here.
    hidden: u64,
}

/// One resource's time on its device's list: its label, its size, when it was added (`None`: it was there before),
/// when it went (`None`: it was still there), how, how many groups enclosed it, the task that added it, and whether it
/// is a group's marker.
#[derive(Debug, Serialize)]
pub(super) struct ResourceData(
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
pub(super) struct FindingData {
    pub(super) rule: &'static str,
    pub(super) severity: &'static str,
    pub(super) summary: String,
    /// The element with its text.
    pub(super) id: String,
    /// On which device, from when to when.
    at: Vec<(usize, u64, u64)>,
    /// Of which recording it is.
    #[serde(skip)]
    side: usize,
}

impl Data {
    /// Takes reports apart for the picture. Devices of several that are the same stand below each other.
    pub(super) fn of(reports: &[Report<'_>], partners: &Partners) -> Self {
        let mut texts = Texts::default();
        let mut devices: Vec<((usize, usize), DeviceData)> = Vec::new();
        let (mut found, mut losses, mut length) = (Vec::new(), Vec::new(), 0);
        for (side, report) in reports.iter().enumerate() {
            let histories = report.histories;
            let (first, last) = histories.extent.unwrap_or_default();
            length = length.max(last.0.saturating_sub(first.0));
            let mut reader = Reader::of(&histories.names, first, &mut texts);
            for (number, history) in histories.devices.iter().enumerate() {
                let mut device = DeviceData::of(history, histories, &mut reader);
                if reports.len() > 1 {
                    device.name = format!("{}: {}", side + 1, device.name);
                }
                devices.push(((side, number), device));
            }
            found.extend(findings(report, side, first));
            let gaps = histories.losses.iter();
            losses.extend(gaps.map(|(time, count, _)| (time.0.saturating_sub(first.0), *count)));
        }
        devices.sort_by_key(|((side, number), _)| (partners.place(*side, *number), *side, *number));
        let places: HashMap<(usize, usize), usize> = devices
            .iter()
            .enumerate()
            .map(|(place, (of, _))| (*of, place))
            .collect();
        for finding in &mut found {
            finding.take_places(&places);
        }
        let first = match reports {
            [report] => report.histories.extent.unwrap_or_default().0,
            _ => Time::default(),
        };
        let titles: Vec<String> = reports.iter().map(|report| escape(report.name)).collect();
        let mut names = reports.iter().map(|report| &report.histories.names);
        Self {
            title: titles.join(", "),
            base: first.0.to_string(),
            length,
            numbered: names.any(Names::are_numbered),
            devices: devices.into_iter().map(|(_, device)| device).collect(),
            findings: found,
            losses,
            labels: texts.labels,
            label_stacks: texts.label_stacks,
            stacks: texts.stacks,
            tasks: texts.tasks,
            first,
        }
    }

    /// The findings on the device at this place, with the time of each occurrence.
    pub(super) fn findings_on(&self, place: usize) -> impl Iterator<Item = (&FindingData, u64)> {
        self.findings.iter().flat_map(move |finding| {
            let here = finding
                .at
                .iter()
                .filter(move |(device, ..)| *device == place);
            here.map(move |(_, _, time)| (finding, *time))
        })
    }

    /// A time in words.
    pub(super) fn moment(&self, time: u64) -> String {
        let time = Time(self.first.0.saturating_add(time));
        if self.numbered {
            time.as_event()
        } else {
            format!("{time} s")
        }
    }

    /// What a resource of a device is called, and whether it is a group's marker.
    pub(super) fn label_of(&self, device: &DeviceData, resource: usize) -> (&str, bool) {
        let resource = device.resources.get(resource);
        let label = resource.and_then(|resource| self.labels.get(resource.0));
        let is_group = resource.is_some_and(|resource| resource.7.is_some());
        (label.map_or("", String::as_str), is_group)
    }
}

/// Which devices of several recordings are the same.
#[derive(Debug, Default)]
pub(super) struct Partners(HashMap<(usize, usize), usize>);

impl Partners {
    /// Those with the same name and bus, or a name that was found to stand for the other: for each recording but the
    /// first, names in the first for names in it.
    pub(super) fn of(reports: &[Report<'_>], renamed: &[HashMap<String, String>]) -> Self {
        let mut places = HashMap::new();
        let Some((first, others)) = reports.split_first() else {
            return Self::default();
        };
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (number, history) in first.histories.devices.iter().enumerate() {
            if let Some(name) = history.name.as_deref() {
                by_name.entry(name).or_insert(number);
            }
        }
        for (side, report) in others.iter().enumerate() {
            for (number, history) in report.histories.devices.iter().enumerate() {
                let Some(name) = history.name.as_deref() else {
                    continue;
                };
                let other = renamed.get(side).and_then(|renamed| renamed.get(name));
                let name = other.map_or(name, String::as_str);
                if let Some(partner) = by_name.get(name) {
                    places.insert((side + 1, number), *partner);
                }
            }
        }
        Self(places)
    }

    /// Where a device stands: at its partner's place, or behind all of the first recording.
    fn place(&self, side: usize, number: usize) -> usize {
        match self.0.get(&(side, number)) {
            Some(partner) => *partner,
            None if side == 0 => number,
            None => usize::MAX,
        }
    }
}

fn findings(report: &Report<'_>, side: usize, first: Time) -> Vec<FindingData> {
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
        id: super::finding_id(side, number),
        side,
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

impl FindingData {
    /// From the places of devices in their recording to those in the picture.
    fn take_places(&mut self, places: &HashMap<(usize, usize), usize>) {
        let side = self.side;
        for at in &mut self.at {
            if let Some(place) = places.get(&(side, at.0)) {
                at.0 = *place;
            }
        }
    }
}

/// The texts that are referred to by number.
#[derive(Default)]
struct Texts {
    labels: Vec<String>,
    label_stacks: Vec<Option<usize>>,
    stacks: Vec<Vec<String>>,
    tasks: Vec<String>,
    of_stack: HashMap<Vec<String>, usize>,
}

/// Finds the texts of one recording, whose numbers are its own.
struct Reader<'a> {
    names: &'a Names,
    first: Time,
    texts: &'a mut Texts,
    of_label: HashMap<LabelId, usize>,
    of_task: HashMap<TaskId, usize>,
}

impl<'a> Reader<'a> {
    fn of(names: &'a Names, first: Time, texts: &'a mut Texts) -> Self {
        Self {
            names,
            first,
            texts,
            of_label: HashMap::new(),
            of_task: HashMap::new(),
        }
    }

    fn since(&self, time: Time) -> u64 {
        time.0.saturating_sub(self.first.0)
    }

    fn label(&mut self, id: LabelId) -> usize {
        if let Some(known) = self.of_label.get(&id) {
            return *known;
        }
        let frames = self.names.label(id).and_then(|label| label.frames.clone());
        let stack = frames.map(|frames| self.stack(&frames));
        let texts = &mut *self.texts;
        let place = texts.labels.len();
        texts.labels.push(words::resource(id, self.names));
        texts.label_stacks.push(stack);
        self.of_label.insert(id, place);
        place
    }

    fn stack(&mut self, frames: &Frames) -> usize {
        let frames: Vec<String> = frames.iter().map(ToString::to_string).collect();
        let texts = &mut *self.texts;
        if let Some(known) = texts.of_stack.get(&frames) {
            return *known;
        }
        let place = texts.stacks.len();
        texts.stacks.push(frames.clone());
        texts.of_stack.insert(frames, place);
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
        let place = self.texts.tasks.len();
        self.texts.tasks.push(text);
        self.of_task.insert(id, place);
        Some(place)
    }
}

impl DeviceData {
    fn of(history: &DeviceHistory, histories: &Histories, texts: &mut Reader<'_>) -> Self {
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
            held.insert(one.item.serial, device.resources.len());
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
    fn add_bands(&mut self, binding: &Binding, end: u64, texts: &Reader<'_>) {
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

    fn add_step(&mut self, step: &Step, held: &mut HashMap<u64, usize>, texts: &mut Reader<'_>) {
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

impl DeviceData {
    /// From when to when a resource is there.
    pub(super) fn span(&self, resource: usize, length: u64) -> (u64, u64) {
        let end = self.gone.unwrap_or(length);
        self.resources.get(resource).map_or((0, 0), |resource| {
            let begin = resource.2.unwrap_or(self.began);
            (begin, resource.3.unwrap_or(end).max(begin))
        })
    }

    /// Its name and driver.
    pub(super) fn heading(&self) -> String {
        match &self.driver {
            Some(driver) => format!("{}  {driver}", self.name),
            None => self.name.clone(),
        }
    }
}

impl ResourceData {
    fn before(held: &Held, texts: &mut Reader<'_>) -> Self {
        Self(
            texts.label(held.item.label),
            held.item.size(),
            held.added.map(|time| texts.since(time)),
            None,
            "held",
            held.depth,
            texts.task(held.task),
            held.item.marker().map(marker),
        )
    }

    fn added(
        item: Item,
        time: u64,
        depth: u8,
        task: Option<usize>,
        texts: &mut Reader<'_>,
    ) -> Self {
        Self(
            texts.label(item.label),
            item.size(),
            Some(time),
            None,
            "held",
            depth,
            task,
            item.marker().map(marker),
        )
    }
}

const fn marker(marker: Marker) -> &'static str {
    if marker.opens { "grp<" } else { "grp>" }
}
