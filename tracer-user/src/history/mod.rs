//! The lives of devices: a view beside the rules, built from what the model says has changed.
//!
//! [`HistoryObserver`] looks at every [`Change`](crate::model::Change) and keeps of each device instance, in
//! order, what was added, removed and released, by whom and in which phase, and what was left. It is as
//! pure as the model: no input or output, no clock. How much it keeps is bounded by [`Limits`], and what
//! it doesn't keep it counts.

mod holdings;
mod item;
mod names;
mod observer;
mod sought;

use std::sync::Arc;

#[cfg(feature = "lab")]
pub(crate) use holdings::{foreign, frame};
pub use item::{Item, Marker};
pub use names::{Label, LabelId, Names, TaskId};
pub use observer::HistoryObserver;
pub use sought::{ResourceSearch, Sought, Wish};

use crate::{
    errno,
    event::{Hook, LossCause, StackFrame, Text, Time},
    model::{InstanceKey, State, Taint},
};

/// Groups around a resource that are counted.
const DEEPEST: usize = 64;

/// How much is kept; the rest is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of one binding.
    pub steps_of_binding: usize,
    /// Bindings of one life.
    pub bindings: usize,
    /// Resources that are listed of one stack.
    pub held: usize,
    /// Lives.
    pub histories: usize,
    /// Steps and listed resources of all lives together.
    pub steps: usize,
}

impl Default for Limits {
    /// At most about 70 MB.
    fn default() -> Self {
        Self {
            steps_of_binding: 2_000,
            bindings: 500,
            held: 1_000,
            histories: 20_000,
            steps: 1_000_000,
        }
    }
}

impl Limits {
    /// For a picture of a hundred thousand resources, which may all be of one device: up to about 300 MB.
    #[must_use]
    pub const fn for_a_picture() -> Self {
        Self {
            steps_of_binding: 1_000_000,
            bindings: 10_000,
            held: 200_000,
            histories: 50_000,
            steps: 4_000_000,
        }
    }
}

/// The times from which steps are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The first; `None` for the beginning.
    pub since: Option<Time>,
    /// The last; `None` for the end.
    pub until: Option<Time>,
}

impl Window {
    /// Whether `time` is in it.
    #[must_use]
    pub fn holds(&self, time: Time) -> bool {
        self.overlaps(time, time)
    }

    /// Whether something that lasted from `begin` to `end` was at least partly in it.
    #[must_use]
    pub fn overlaps(&self, begin: Time, end: Time) -> bool {
        self.since.is_none_or(|since| end >= since) && self.until.is_none_or(|until| begin <= until)
    }
}

/// All lives that were seen.
#[derive(Debug)]
pub struct Histories {
    /// In the order in which they were first seen.
    pub devices: Vec<DeviceHistory>,
    /// What the numbers in them stand for.
    pub names: Names,
    /// From when to when steps were kept.
    pub window: Window,
    /// Devices that never owned anything and were never probed.
    pub uneventful: u64,
    /// Devices that are not among `devices` because there were too many.
    pub devices_hidden: u64,
    /// What the kernel said of devres without naming a device; the first hundred.
    pub said: Vec<Step>,
    /// Where events were lost: when, how many, and why; the first hundred.
    pub losses: Vec<(Time, u64, LossCause)>,
    /// How many events were lost.
    pub lost: u64,
    /// The time of the first thing that happened, and of the last.
    pub extent: Option<(Time, Time)>,
}

/// One device instance, as far as it was seen.
#[derive(Debug, Clone)]
pub struct DeviceHistory {
    /// Its address and generation.
    pub key: InstanceKey,
    /// `dev_name()`, if known.
    pub name: Option<Text>,
    /// Its bus's or class's name, if known.
    pub bus: Option<Text>,
    /// The last driver that it was seen to have.
    pub driver: Option<Text>,
    /// How it came into view.
    pub beginning: Beginning,
    /// When it came into view.
    pub began: Time,
    /// What it owned then, oldest first, where that was read from the kernel's memory.
    pub initial: Holdings,
    /// The first is what happened before its first probe and is often empty; each other begins with a probe.
    pub bindings: Vec<Binding>,
    /// Bindings that were not kept.
    pub bindings_hidden: u64,
    /// Where it was in its life when it was last seen.
    pub state: State,
    /// When it ended, if it did.
    pub gone: Option<Gone>,
    /// What it owned when it ended or, if it didn't, when nothing came any more; oldest first.
    pub left: Holdings,
    /// Why not everything of it is known; empty if it is.
    pub doubts: Vec<Taint>,
    /// Whether anything happened to it that is about resources or drivers.
    pub eventful: bool,
}

/// How a device came into view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// `device_initialize` was seen.
    Initialised,
    /// It was there, and what it owned was read from the kernel's memory.
    Snapshot,
    /// It was there or its start was not observed, and nothing showed what it held.
    Halfway,
}

/// That a device instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// When.
    pub time: Time,
    /// Whether its last put was seen, or only that its address is used again.
    pub seen: bool,
}

/// A probe and everything until the next one; or what happened before the first.
#[derive(Debug, Clone, Default)]
pub struct Binding {
    /// Which probe of this device it is, counted from one; zero for what happened before the first.
    pub number: u32,
    /// The driver that was probed.
    pub driver: Option<Text>,
    /// When it began.
    pub began: Time,
    /// The task that probed.
    pub task: TaskId,
    /// What came of the probe.
    pub outcome: Outcome,
    /// When the probe succeeded, and what the device owned then; `None` if that is not in the window.
    pub bound: Option<(Time, Holdings)>,
    /// When everything that the binding left had been released, and how many resources there still were.
    pub ended: Option<(Time, u64)>,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Steps that were not kept.
    pub steps_hidden: u64,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Nothing yet; or there was no probe.
    #[default]
    Open,
    /// It succeeded.
    Bound,
    /// It failed; with what, where that is known.
    Failed(Option<i64>),
}

impl Binding {
    /// Whether the same happened in it as in `other`, at whatever times and to whatever addresses.
    #[must_use]
    pub fn resembles(&self, other: &Self) -> bool {
        self.driver == other.driver
            && self.outcome == other.outcome
            && self.steps_hidden == other.steps_hidden
            && self.bound.is_some() == other.bound.is_some()
            && self.ended.map(|(_, left)| left) == other.ended.map(|(_, left)| left)
            && self.steps.len() == other.steps.len()
            && self
                .steps
                .iter()
                .zip(&other.steps)
                .all(|(one, other)| one.resembles(other))
    }
}

impl Step {
    fn resembles(&self, other: &Self) -> bool {
        let told = |step: &Self| {
            let item = step.kind.item();
            (
                step.kind.name(),
                item.map(|item| (item.label, item.size())),
                step.phase,
                step.frame,
                step.by,
            )
        };
        told(self) == told(other)
    }
}

impl Outcome {
    /// Whether the probe asked to be tried again later.
    #[must_use]
    pub fn is_deferred(self) -> bool {
        self == Self::Failed(Some(errno::PROBE_DEFER))
    }
}

/// What a device owned at one moment.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// Resources and group markers, oldest first.
    pub held: Vec<Held>,
    /// Resources that are not listed.
    pub hidden: u64,
    /// How many resources there are, without markers.
    pub resources: u64,
    /// Their payload in bytes, as far as it is known.
    pub bytes: u64,
}

/// One resource, or a marker of a group, on a device's stack.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The resource or marker.
    pub item: Item,
    /// When it was added; `None` if that was not seen.
    pub added: Option<Time>,
    /// The task that added it.
    pub task: TaskId,
    /// How many groups enclose it.
    pub depth: u8,
}

/// One thing that happened in a life.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When.
    pub time: Time,
    /// What.
    pub kind: StepKind,
    /// Where the device was in its life then.
    pub phase: State,
    /// The function of drivers/base/devres.c that was running for this device.
    pub frame: Option<Hook>,
    /// How many groups enclosed the resource, or how many group releases were running.
    pub depth: u8,
    /// The task.
    pub task: TaskId,
    /// Whether it was another device's probe, unbind or release that did it: that device's name.
    pub by: LabelId,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A resource was added, or a group's marker.
    Added(Item),
    /// A resource was taken off the list; or a group was dissolved, and what lay in it stayed.
    Removed(Item),
    /// A resource's release ran.
    Released(Item),
    /// `devm_krealloc` replaced a block.
    Replaced(Item),
    /// A resource went without a word: its end was missed.
    Missed(Item),
    /// `devres_release_group` was entered.
    GroupReleased(GroupRelease),
    /// `device_initialize`.
    Initialised,
    /// `really_probe` was entered.
    Probe,
    /// The probe has failed, with this value where that is known.
    ProbeFailed(Option<i64>),
    /// `driver_bound`, or the probe has returned success.
    Bound,
    /// `device_release_driver_internal`.
    Unbind,
    /// `device_remove`.
    Remove,
    /// `device_unbind_cleanup`.
    Cleanup,
    /// `dev_pm_domain_attach` has returned; whether the device has a PM domain now, where that is known.
    PmAttached(Option<bool>),
    /// `dev_pm_domain_detach` was entered; whether there was something to detach.
    PmDetached(bool),
    /// A clock or regulator with this name, or runtime PM, was switched by hand: the tracepoint.
    Switched(Hook, LabelId),
    /// `device_del`.
    Deleted,
    /// The last reference went.
    Gone,
    /// Not everything is known from here on.
    Doubtful(Taint),
    /// The kernel said that it refused a probe, because the device owned something before it.
    Refused,
    /// The kernel warned in this function of drivers/base/devres.c, in this line if it is known.
    Warned(LabelId, Option<u64>),
    /// The kernel said that an object of this kind was active in memory that had been given back.
    FreedActive(LabelId),
    /// The kernel reported this.
    Splat(LabelId),
}

/// A call of `devres_release_group`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRelease {
    /// The id that it was called with; `None` for NULL.
    pub id: Option<u64>,
    /// Whether that is the id that the kernel gave to a group opened with NULL: its own address.
    pub own: bool,
    /// Whether there is such a group.
    pub found: bool,
}

impl StepKind {
    /// The resource that it is about.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Added(item)
            | Self::Removed(item)
            | Self::Released(item)
            | Self::Replaced(item)
            | Self::Missed(item) => Some(item),
            _ => None,
        }
    }

    /// In a word, for machines: stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Released(_) => "released",
            Self::Replaced(_) => "replaced",
            Self::Missed(_) => "missed",
            Self::GroupReleased(_) => "group_released",
            Self::Initialised => "initialised",
            Self::Probe => "probe",
            Self::ProbeFailed(_) => "probe_failed",
            Self::Bound => "bound",
            Self::Unbind => "unbind",
            Self::Remove => "remove",
            Self::Cleanup => "cleanup",
            Self::PmAttached(_) => "pm_attached",
            Self::PmDetached(_) => "pm_detached",
            Self::Switched(..) => "switched",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
            Self::Doubtful(_) => "doubtful",
            Self::Refused => "refused",
            Self::Warned(..) => "warned",
            Self::FreedActive(_) => "freed_active",
            Self::Splat(_) => "splat",
        }
    }
}

impl DeviceHistory {
    /// Whether it is still there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.gone.is_none()
    }

    /// When it was last seen: its end, or the end of everything.
    #[must_use]
    pub fn last_seen(&self, histories: &Histories) -> Time {
        let end = histories.extent.map_or(self.began, |(_, end)| end);
        self.gone.map_or(end, |gone| gone.time)
    }
}

/// The frames of a kernel stack, innermost first.
pub type Frames = Arc<[StackFrame]>;
