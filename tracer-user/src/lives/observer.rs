//! From changes to lives.

use std::{collections::BTreeMap, mem};

use hashbrown::HashMap;

use super::{
    Beginning, Chapter, DEEPEST, Gone, GroupRelease, Holdings, Item, LabelId, Life, Limits, Lives,
    Names, Outcome, Step, What, Window,
    holdings::{foreign, frame, group_releases, marker},
};
use crate::{
    event::{Hook, LossCause, Message, PmDomain, Text, Time},
    model::{Change, Detail, Device, DeviceId, Entered, Kind, Left, Model, NodeId, Origin, State},
};

/// Losses, and messages without a device, that are kept one by one.
const MOST_LOSSES: usize = 100;

/// Looks at every change and keeps the lives of the devices.
#[derive(Debug)]
pub struct LifeObserver {
    pub(super) limits: Limits,
    window: Window,
    /// Whether devices are kept that never owned anything and were never probed.
    keep_uneventful: bool,
    /// In the order in which they were first seen.
    lives: BTreeMap<u64, Life>,
    of: HashMap<DeviceId, u64>,
    seen: u64,
    pub(super) names: Names,
    /// Steps and listed resources that are kept.
    pub(super) steps: usize,
    uneventful: u64,
    lives_hidden: u64,
    said: Vec<Step>,
    losses: Vec<(Time, u64, LossCause)>,
    lost: u64,
    extent: Option<(Time, Time)>,
}

impl LifeObserver {
    /// An observer that has seen nothing yet. Devices that never owned anything and were never probed are
    /// only counted, unless `keep_uneventful`.
    #[must_use]
    pub fn new(limits: Limits, window: Window, keep_uneventful: bool) -> Self {
        Self {
            limits,
            window,
            keep_uneventful,
            lives: BTreeMap::new(),
            of: HashMap::new(),
            seen: 0,
            names: Names::default(),
            steps: 0,
            uneventful: 0,
            lives_hidden: 0,
            said: Vec::new(),
            losses: Vec::new(),
            lost: 0,
            extent: None,
        }
    }

    /// Looks at one change. The model is as it is after the whole event.
    pub fn observe(&mut self, change: &Change, model: &Model) {
        match change {
            Change::DeviceSeen(id) => self.begin(*id, Beginning::Halfway, model),
            Change::DeviceBegan(id) => {
                self.happened(model.now());
                self.begin(*id, Beginning::Initialised, model);
                self.record(*id, What::Initialised, model);
            }
            Change::DeviceNamed(id) => self.named(*id, model),
            Change::SnapshotTaken(id) => self.snapshot(*id, model),
            Change::DeviceDeleted(id) => self.step(*id, What::Deleted, model),
            Change::DeviceGone { device, seen } => self.end(*device, *seen, model),
            Change::BindingBegan(id) => self.chapter(*id, model),
            Change::Bound(id) => self.bound(*id, model),
            Change::BindingEnded { device, .. } => {
                let now = model.now();
                let left = model
                    .device_by_id(*device)
                    .map_or(0, |device| device.resources().count() as u64);
                self.with_chapter(*device, |chapter| chapter.ended = Some((now, left)));
            }
            Change::NodeAdded(node) => self.added(*node, model),
            Change::NodeRemoved(node) => self.node(*node, model, What::Removed),
            Change::NodeReleased { node, .. } => self.node(*node, model, What::Released),
            Change::NodeReplaced { node, .. } => self.node(*node, model, What::Replaced),
            Change::NodeVanished(node) => self.vanished(*node, model),
            Change::Entered(entered) => self.entered(entered, model),
            Change::Left(left) => self.left(left, model),
            Change::Tainted {
                device,
                reason,
                again: false,
            } => {
                self.step(*device, What::Doubtful(*reason), model);
            }
            Change::Told { device, message } => self.said(*device, message, model),
            Change::Lost(loss) => {
                self.lost = self.lost.saturating_add(loss.count);
                if self.losses.len() < MOST_LOSSES {
                    self.losses.push((model.now(), loss.count, loss.cause));
                }
            }
            Change::NodeMoved(_)
            | Change::ModuleFreed { .. }
            | Change::Tainted { again: true, .. }
            | Change::Cleared(_)
            | Change::Desynced(_) => {}
        }
    }

    /// Nothing comes any more.
    #[must_use]
    pub fn finish(mut self, model: &Model) -> Lives {
        let mut living: Vec<_> = self.of.drain().collect();
        living.sort_unstable_by_key(|(_, place)| *place);
        for (id, place) in living {
            if let Some(device) = model.device_by_id(id) {
                let left = self.holdings(device, model);
                if let Some(life) = self.lives.get_mut(&place) {
                    conclude(life, device, left);
                }
            }
        }
        self.names.numbered = !model.coverage().times;
        let mut lives = Vec::new();
        for mut life in self.lives.into_values() {
            if life.eventful || self.keep_uneventful {
                if self.window != Window::default() {
                    trim(&mut life);
                }
                lives.push(life);
            } else {
                self.uneventful += 1;
            }
        }
        Lives {
            lives,
            names: self.names,
            window: self.window,
            uneventful: self.uneventful,
            lives_hidden: self.lives_hidden,
            said: self.said,
            losses: self.losses,
            lost: self.lost,
            extent: self.extent,
        }
    }

    fn happened(&mut self, now: Time) {
        let (first, last) = self.extent.unwrap_or((now, now));
        self.extent = Some((first.min(now), last.max(now)));
    }

    fn begin(&mut self, id: DeviceId, beginning: Beginning, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        if self.lives.len() >= self.limits.lives {
            self.lives_hidden += 1;
            return;
        }
        let mut life = Life {
            key: device.key(),
            name: None,
            bus: None,
            driver: None,
            beginning,
            began: model.now(),
            initial: Holdings::default(),
            chapters: vec![Chapter {
                began: model.now(),
                ..Chapter::default()
            }],
            chapters_hidden: 0,
            state: device.state(),
            gone: None,
            left: Holdings::default(),
            doubts: Vec::new(),
            eventful: false,
        };
        identify(&mut life, device);
        self.seen += 1;
        self.of.insert(id, self.seen);
        self.lives.insert(self.seen, life);
    }

    fn life(&mut self, id: DeviceId) -> Option<&mut Life> {
        self.lives.get_mut(self.of.get(&id)?)
    }

    fn named(&mut self, id: DeviceId, model: &Model) {
        if let (Some(life), Some(device)) = (self.life(id), model.device_by_id(id)) {
            identify(life, device);
        }
    }

    fn snapshot(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        let initial = self.holdings(device, model);
        if let Some(life) = self.life(id)
            && life.beginning == Beginning::Halfway
            && !life.eventful
        {
            life.beginning = Beginning::Snapshot;
            life.began = now;
            life.initial = initial;
            life.state = device.state();
        }
    }

    fn end(&mut self, id: DeviceId, seen: bool, model: &Model) {
        let now = model.now();
        self.happened(now);
        self.record(id, What::Gone, model);
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let left = self.holdings(device, model);
        let Some(place) = self.of.remove(&id) else {
            return;
        };
        let Some(life) = self.lives.get_mut(&place) else {
            return;
        };
        life.eventful |= left.resources > 0 && self.window.holds(now);
        conclude(life, device, left);
        life.gone = Some(Gone { time: now, seen });
        if !life.eventful && !self.keep_uneventful {
            self.lives.remove(&place);
            self.uneventful += 1;
        }
    }

    fn chapter(&mut self, id: DeviceId, model: &Model) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        self.happened(now);
        let task = self.names.of_task(model.current_task());
        let (most, eventful) = (self.limits.chapters, self.window.holds(now));
        if let Some(life) = self.life(id) {
            life.eventful |= eventful;
            if life.chapters.len() > most || life.chapters_hidden > 0 {
                life.chapters_hidden += 1;
                return;
            }
            life.chapters.push(Chapter {
                binding: device.binding(),
                driver: device.identity().driver.clone(),
                began: now,
                task,
                ..Chapter::default()
            });
        }
        self.record(id, What::Probe, model);
    }

    fn bound(&mut self, id: DeviceId, model: &Model) {
        self.step(id, What::Bound, model);
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let now = model.now();
        let shown = self.window.holds(now);
        let holdings = shown.then(|| self.holdings(device, model));
        self.with_chapter(id, |chapter| {
            chapter.outcome = Outcome::Bound;
            // With CONFIG_DEBUG_TEST_DRIVER_REMOVE what the first try left was released before.
            chapter.ended = None;
            chapter.bound = holdings.map(|holdings| (now, holdings));
        });
    }

    /// The chapter that things are told in; none where the present one is not kept.
    fn with_chapter(&mut self, id: DeviceId, change: impl FnOnce(&mut Chapter)) {
        if let Some(life) = self.life(id)
            && life.chapters_hidden == 0
            && let Some(chapter) = life.chapters.last_mut()
        {
            change(chapter);
        }
    }

    fn added(&mut self, id: NodeId, model: &Model) {
        // What a snapshot tells of is what was there already.
        if model
            .node(id)
            .is_some_and(|node| node.origin() == Origin::Seen)
        {
            self.node(id, model, What::Added);
        }
    }

    /// A closing marker goes silently with its group, which is told; anything else was missed.
    fn vanished(&mut self, id: NodeId, model: &Model) {
        if model.node(id).is_some_and(|node| !node.kind().is_marker()) {
            self.node(id, model, What::Missed);
        }
    }

    fn node(&mut self, id: NodeId, model: &Model, what: impl Fn(Item) -> What) {
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        self.happened(model.now());
        if !self.has_room(device.id(), true, model) {
            return;
        }
        let item = Item {
            serial: node.sequence(),
            label: self.names.of_node(node),
            size: node.size(),
            marker: marker(node, id, None, device, model),
        };
        let what = what(item);
        let mut depth = if matches!(what, What::Released(_)) {
            group_releases(device, model)
        } else {
            device
                .groups()
                .rev()
                .take(DEEPEST)
                .filter(|(_, _, close)| close.is_none())
                .count()
        };
        if node.kind() == Kind::GroupOpen && matches!(what, What::Added(_)) {
            depth = depth.saturating_sub(1);
        }
        self.keep(device, what, depth, model);
    }

    fn entered(&mut self, entered: &Entered, model: &Model) {
        self.happened(model.now());
        let Some(id) = entered.device else { return };
        let what = match (entered.hook, entered.detail) {
            (Hook::Unbind, _) if !may_have_driver(id, model) => return,
            (Hook::Unbind, _) => What::Unbind,
            (Hook::Remove, _) => What::Remove,
            (Hook::Cleanup, _) => What::Cleanup,
            (Hook::PmDetach, Detail::Pm(pm)) => What::PmDetached(pm.detaches()),
            (Hook::PmDetach, _) => What::PmDetached(true),
            (Hook::ReleaseGroup, Detail::Group { id, selected, .. }) => {
                let marker = selected.and_then(|marker| model.node(marker));
                What::GroupReleased(GroupRelease {
                    id: (id.0 != 0).then_some(id.0),
                    own: id.0 != 0 && marker.is_some_and(|marker| marker.address().0 == id.0),
                    found: selected.is_some(),
                })
            }
            _ => return,
        };
        self.step(id, what, model);
    }

    fn left(&mut self, left: &Left, model: &Model) {
        self.happened(model.now());
        let Some(id) = left.device else { return };
        match left.hook {
            Hook::PmAttach if !left.inferred && left.value.unwrap_or(0) >= 0 => {
                let pm = left.pm.map(PmDomain::detaches);
                self.step(id, What::PmAttached(pm), model);
            }
            Hook::Probe => {
                let bound = model
                    .device_by_id(id)
                    .is_some_and(|device| device.state() == State::Bound);
                let mut failed = false;
                let value = left.probe_error();
                self.with_chapter(id, |chapter| {
                    if !bound && chapter.outcome == Outcome::Open && chapter.binding > 0 {
                        chapter.outcome = Outcome::Failed(value);
                        failed = true;
                    }
                });
                if failed {
                    self.step(id, What::ProbeFailed(value), model);
                }
            }
            Hook::Unbind => self.forget_empty_unbind(id),
            _ => {}
        }
    }

    /// An unbind in which nothing happened to a device that was not known to be bound: there was no driver.
    fn forget_empty_unbind(&mut self, id: DeviceId) {
        let mut forgotten = false;
        self.with_chapter(id, |chapter| {
            forgotten = chapter.steps_hidden == 0
                && chapter
                    .steps
                    .last()
                    .is_some_and(|step| step.what == What::Unbind && !step.phase.has_driver());
            if forgotten {
                chapter.steps.pop();
            }
        });
        self.steps -= usize::from(forgotten);
    }

    /// The kernel said something in its log.
    fn said(&mut self, device: Option<DeviceId>, message: &Message, model: &Model) {
        self.happened(model.now());
        let unknown = Text::from("an unknown function");
        let what = match message {
            Message::Waits => return,
            Message::ProbeRefused => What::Refused,
            Message::Warning { function, line } => {
                let function = function.as_ref().unwrap_or(&unknown);
                What::Warned(self.names.of_text(function), *line)
            }
            Message::FreedActive { object, .. } => What::FreedActive(self.names.of_text(object)),
            Message::Splat(splat) => {
                What::Splat(self.names.of_text(&Text::from(splat.to_string())))
            }
        };
        if let Some(device) = device {
            self.record(device, what, model);
        } else if self.said.len() < MOST_LOSSES && self.window.holds(model.now()) {
            self.said.push(Step {
                time: model.now(),
                what,
                phase: State::Unknown,
                frame: None,
                depth: 0,
                task: self.names.of_task(model.current_task()),
                by: LabelId::NONE,
            });
        }
    }

    fn step(&mut self, id: DeviceId, what: What, model: &Model) {
        self.happened(model.now());
        self.record(id, what, model);
    }

    /// Whether a step is kept; where there is no room for it, it is counted. `eventful` says that it is about
    /// resources or drivers.
    fn has_room(&mut self, id: DeviceId, eventful: bool, model: &Model) -> bool {
        if !self.window.holds(model.now()) {
            return false;
        }
        let (most, full) = (
            self.limits.steps_of_chapter,
            self.steps >= self.limits.steps,
        );
        let Some(life) = self.life(id) else {
            return false;
        };
        life.eventful |= eventful;
        let hidden = life.chapters_hidden > 0;
        let Some(chapter) = life.chapters.last_mut() else {
            return false;
        };
        let room = !hidden && !full && chapter.steps.len() < most;
        chapter.steps_hidden += u64::from(!room);
        room
    }

    /// Keeps a step that is about no resource.
    fn record(&mut self, id: DeviceId, what: What, model: &Model) {
        let eventful = matches!(
            what,
            What::Probe
                | What::Bound
                | What::PmDetached(true)
                | What::GroupReleased(_)
                | What::Refused
                | What::Warned(..)
                | What::FreedActive(_)
                | What::Splat(_)
        );
        if self.has_room(id, eventful, model)
            && let Some(device) = model.device_by_id(id)
        {
            self.keep(device, what, 0, model);
        }
    }

    /// Keeps a step for which there is room.
    fn keep(&mut self, device: Device<'_>, what: What, depth: usize, model: &Model) {
        let frames = model.frames(model.current_task());
        let by = foreign(device, frames, model);
        let step = Step {
            time: model.now(),
            phase: device.state(),
            frame: frame(device, frames),
            depth: u8::try_from(depth.min(DEEPEST)).unwrap_or(u8::MAX),
            task: self.names.of_task(model.current_task()),
            by: by.map_or(LabelId::NONE, |name| self.names.of_text(&name)),
            what,
        };
        if let Some(life) = self.life(device.id())
            && let Some(chapter) = life.chapters.last_mut()
        {
            chapter.steps.push(step);
            self.steps += 1;
        }
    }
}

fn may_have_driver(id: DeviceId, model: &Model) -> bool {
    model.device_by_id(id).is_none_or(Device::may_have_driver)
}

fn identify(life: &mut Life, device: Device<'_>) {
    let identity = device.identity();
    if identity.name.is_some() {
        life.name.clone_from(&identity.name);
    }
    if identity.bus.is_some() {
        life.bus.clone_from(&identity.bus);
    }
    if let Some(driver) = device.last_driver() {
        life.driver = Some(driver.clone());
    }
}

/// Leaves out the chapters of which nothing is in the window.
fn trim(life: &mut Life) {
    let mut first = true;
    life.chapters.retain(|chapter| {
        let steps = !chapter.steps.is_empty() || chapter.steps_hidden > 0;
        mem::take(&mut first) || steps
    });
}

fn conclude(life: &mut Life, device: Device<'_>, left: Holdings) {
    identify(life, device);
    life.state = device.state();
    life.doubts = device.taints().collect();
    life.left = left;
    // What was kept in room to grow may be far more than what is there.
    for chapter in &mut life.chapters {
        let steps = mem::take(&mut chapter.steps);
        chapter.steps = steps.into_boxed_slice().into_vec();
    }
}
