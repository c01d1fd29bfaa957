//! Watches for what is under way.

use hashbrown::HashMap;

use super::{Crash, UnderWay};
use crate::{
    event::{Death, Hook, Task, Time},
    finding::{Resource, live_resource},
    model::{Change, Detail, Device, DeviceId, Frame, Model},
};

/// Tasks that are shown.
const MOST_SHOWN: usize = 4;
/// Tasks about which something is remembered at the same time.
const MOST_TASKS: usize = 4096;

/// Tracks what is in progress, and reports it at the end.
#[derive(Debug, Default)]
pub struct LastMoments {
    /// Releases in progress, innermost last.
    releases: HashMap<Number, Vec<Release>>,
    /// When devices were detached from their PM domain.
    detached: HashMap<DeviceId, Time>,
    /// Tasks by their numbers, with the place at which they were last heard of.
    heard: HashMap<Number, (Task, u64)>,
    events: u64,
}

/// A task's number and its process's: its name may become known only later.
type Number = (u32, u32);

fn number(task: Task) -> Number {
    (task.tid, task.tgid)
}

/// A release in progress.
#[derive(Debug)]
struct Release {
    /// How many functions ran on its task.
    depth: usize,
    device: DeviceId,
    resource: Resource,
    at: Time,
}

impl LastMoments {
    /// Takes in what an event changed.
    pub fn observe(&mut self, change: &Change, model: &Model) {
        let task = *model.current_task();
        let depth = model.frames(&task).len();
        self.events += 1;
        if self.heard.len() < MOST_TASKS || self.heard.contains_key(&number(task)) {
            self.heard.insert(number(task), (task, self.events));
        }
        match change {
            Change::NodeReleased { node, .. } => {
                self.over(task, depth);
                let Some(node) = model.node(*node) else {
                    return;
                };
                let Some(device) = model.owner(node) else {
                    return;
                };
                if node.kind().is_marker() || self.releases.len() >= MOST_TASKS {
                    return;
                }
                self.releases
                    .entry(number(task))
                    .or_default()
                    .push(Release {
                        depth,
                        device: device.id(),
                        resource: live_resource(node),
                        at: model.now(),
                    });
            }
            Change::Left(_) => self.over(task, depth + 1),
            Change::NodeAdded(_) | Change::NodeRemoved(_) if depth == 0 => self.over(task, 0),
            Change::Entered(entered) => {
                self.entered(entered.hook, entered.device, &entered.detail, model.now());
            }
            Change::BindingBegan(device)
            | Change::DeviceBegan(device)
            | Change::DeviceGone { device, .. } => {
                self.detached.remove(device);
            }
            _ => {}
        }
    }

    fn entered(&mut self, hook: Hook, device: Option<DeviceId>, detail: &Detail, now: Time) {
        if let (Hook::PmDetach, Some(device), Detail::Pm(domain)) = (hook, device, detail)
            && domain.detaches()
        {
            self.detached.insert(device, now);
        }
    }

    /// Releases that had started on a task at this depth, or deeper, are over.
    fn over(&mut self, task: Task, depth: usize) {
        if let Some(releases) = self.releases.get_mut(&number(task)) {
            releases.retain(|release| release.depth < depth);
            if releases.is_empty() {
                self.releases.remove(&number(task));
            }
        }
    }

    /// What was under way when the recording ended, with how the machine died.
    #[must_use]
    pub fn finish(mut self, model: &Model, death: Option<Death>) -> Crash {
        let mut tasks: Vec<(Task, u64)> = self
            .heard
            .values()
            .copied()
            .filter(|(task, _)| {
                self.releases.contains_key(&number(*task)) || !model.frames(task).is_empty()
            })
            .collect();
        let dead = death.as_ref().and_then(|death| death.tid);
        let died = |task: &Task| dead == Some(task.tid);
        tasks.sort_by_key(|(task, heard)| (!died(task), std::cmp::Reverse(*heard)));
        // Others may have slept in what they did: they are of interest only where it isn't known who died.
        if tasks.first().is_some_and(|(task, _)| died(task)) {
            tasks.retain(|(task, _)| died(task));
        }
        let mut under_way = Vec::new();
        for (task, _) in tasks.iter().take(MOST_SHOWN) {
            let release = self.releases.get_mut(&number(*task)).and_then(Vec::pop);
            under_way.extend(self.on(*task, release, died(task), model));
        }
        let mut missing = Vec::new();
        if under_way.is_empty() {
            missing.push(nothing_under_way(model, death.as_ref()));
        } else if let Some(tid) = dead
            && !under_way.iter().any(|one| one.died)
        {
            missing.push(format!(
                "nothing that is recorded ran on the task that died (number {tid}): what others did may have nothing to \
                 do with it"
            ));
        }
        if death.is_none() {
            missing.push(
                "how the machine died is unknown: that is in the kernel log, which is missing here"
                    .to_owned(),
            );
        }
        Crash {
            death,
            more: tasks.len().saturating_sub(MOST_SHOWN),
            under_way,
            missing,
        }
    }

    fn on(
        &self,
        task: Task,
        release: Option<Release>,
        died: bool,
        model: &Model,
    ) -> Option<UnderWay> {
        let frames = model.frames(&task);
        let innermost = frames.iter().rev().find_map(Frame::device);
        let id = release
            .as_ref()
            .map(|release| release.device)
            .or(innermost)?;
        let device: Device<'_> = model.device_by_id(id)?;
        let ended = release
            .as_ref()
            .map_or_else(|| model.now(), |release| release.at);
        let functions: Vec<&'static str> = frames
            .iter()
            .filter(|frame| frame.device() == Some(id))
            .map(|frame| frame.hook().symbol())
            .collect();
        Some(UnderWay {
            device: device.name().to_owned(),
            driver: device.last_driver().map(ToString::to_string),
            certain: frames.iter().any(|frame| {
                matches!(
                    frame.hook(),
                    Hook::ReleaseAll | Hook::ReleaseGroup | Hook::Release | Hook::ReleaseAction
                )
            }),
            functions,
            since_detach: self
                .detached
                .get(&id)
                .map(|detached| ended.since(*detached)),
            releasing: release.map(|release| release.resource),
            comm: task.comm.name().into_owned(),
            tid: task.tid,
            died,
        })
    }
}

/// Why nothing can be said of what was under way.
fn nothing_under_way(model: &Model, death: Option<&Death>) -> String {
    let tally = model.tally();
    if tally.events == 0 {
        return "no devres event was recorded before the machine died: `devres-tracer boot` prints how to make the kernel \
                record them"
            .to_owned();
    }
    let functions = [Hook::Probe, Hook::Unbind, Hook::ReleaseAll]
        .iter()
        .any(|hook| model.coverage().sees(*hook));
    if functions {
        let what = if death.is_some() { "died" } else { "ended" };
        format!(
            "no probe, unbind or release was under way when the machine {what}, as far as the recording shows"
        )
    } else {
        "what was under way is unknown: no function events were recorded".to_owned()
    }
}
