//! Hooks that deliver nothing although the source has attached them: what the events themselves show of it.
//!
//! Kprobes can be switched off for the whole kernel, ftrace too, and a dead hook looks like a kernel in which nothing
//! happens. But the hooks watch each other: a release that no function explains, a call stack through a function that
//! was never entered. Each [`Sign`] can't be if the hook delivers. It does not count where something else explains it:
//! a function entered before the trace began, a loss, a hook that the source does not have or has not had yet.

use hashbrown::HashMap;

use super::{
    Change, Changes, DeviceId, Model, NodeId, Origin, Sign, SilentHook, State, Taint, bit, bits,
    frames::Frame,
};
use crate::{
    event::{
        DeviceAddress, Event, EventKind, Hook, Loss, LossCause, NodeReference, StackDefinition,
        StackId, Task, Time,
    },
    evidence::{Attachment, Before, Coverage},
};

/// Calls that wait for their effect; more than that many tasks at once are not followed.
const MOST_CALLS: usize = 4096;

/// What is kept to find silent hooks.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// Hooks whose first event shows that they are attached: another tool may have attached them one by one, or the
    /// trace began in the midst of what they say.
    unheard: u64,
    /// Whether any function was seen to be entered.
    heard: bool,
    /// Hooks that are kprobes.
    kretprobes: u64,
    /// Whether the source says when all its hooks were attached, and that was not yet.
    attaching: bool,
    /// The place of the last loss that the source reported; zero for none.
    lost_at: u64,
    /// The last call of a function whose effect is reported by itself, by task.
    calls: HashMap<u32, (Hook, DeviceAddress)>,
    /// Some calls were forgotten.
    forgetful: bool,
    /// The last addition: when, by which task, to which device.
    added: (Time, u32, DeviceAddress),
    /// Functions on the stacks, where there are any that matter.
    stacks: HashMap<StackId, OnStack>,
    found: Vec<SilentHook>,
}

/// Which functions that the hooks are on a stack goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OnStack {
    /// `devres_add` is what has added.
    adds: bool,
    /// How many times a probe runs.
    probes: usize,
}

impl OnStack {
    fn of(definition: &StackDefinition) -> Self {
        /// `devres_add` calls `add_dr`, which may be a function of its own.
        const INNERMOST: usize = 3;
        let mut found = Self::default();
        for (depth, frame) in definition.frames.iter().enumerate() {
            let Some(function) = frame.function.as_deref() else {
                continue;
            };
            match function.name.as_deref() {
                Some("devres_add") if depth < INNERMOST => found.adds = true,
                Some("really_probe") if function.module.is_none() => found.probes += 1,
                _ => {}
            }
        }
        found
    }
}

impl Watch {
    pub(super) fn new(coverage: &Coverage) -> Self {
        Self {
            unheard: bits(|hook| match coverage.attachment(hook) {
                Some(Attachment::Recorded) => true,
                Some(_) => matches!(coverage.before, Before::Unknown(_)),
                None => false,
            }),
            heard: false,
            kretprobes: bits(|hook| coverage.attachment(hook) == Some(Attachment::Kprobe)),
            attaching: coverage.before == Before::Snapshot,
            lost_at: 0,
            calls: HashMap::new(),
            forgetful: false,
            added: <(Time, u32, DeviceAddress)>::default(),
            stacks: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// A function was entered.
    pub(super) fn hears(&mut self, hook: Hook) {
        self.unheard &= !bit(hook);
        self.heard = true;
    }

    /// The source has attached all its hooks.
    pub(super) fn attached(&mut self) {
        self.attaching = false;
    }

    /// Something was lost before the event with this number, or by it.
    pub(super) fn lost(&mut self, sequence: u64) {
        self.lost_at = sequence;
        self.calls.clear();
    }

    pub(super) fn define(&mut self, definition: &StackDefinition) {
        let found = OnStack::of(definition);
        if found == OnStack::default() {
            self.stacks.remove(&definition.id);
        } else {
            self.stacks.insert(definition.id, found);
        }
    }

    /// A call whose effect comes next on its task.
    pub(super) fn called(&mut self, hook: Hook, task: &Task, device: DeviceAddress) {
        if self.calls.len() >= MOST_CALLS {
            self.calls.clear();
            self.forgetful = true;
        }
        self.calls.insert(task.tid, (hook, device));
    }
}

impl Model {
    /// The hooks that are attached and were found to be silent, in the order in which that showed.
    #[must_use]
    pub fn silent_hooks(&self) -> &[SilentHook] {
        &self.watch.found
    }

    /// Hooks that could be switched off for all that the source knows, where no function was seen to be entered at all:
    /// to be asked when nothing comes any more.
    pub fn unheard_hooks(&self) -> impl Iterator<Item = SilentHook> {
        let unread = self.coverage.unread_switches.iter();
        let unread = unread.filter(|_| !self.watch.heard);
        unread.map(|way| SilentHook {
            sign: Sign::NothingSeen(*way),
            hooks: self.attached_by(*way),
            first: self.now.time,
            device: None,
            name: None,
            count: 1,
        })
    }

    fn attached_by(&self, way: Attachment) -> Vec<Hook> {
        Hook::ALL
            .into_iter()
            .filter(|hook| self.coverage.attachment(*hook) == Some(way))
            .collect()
    }

    /// Devices that have got a driver, and nothing ever reported how: to be asked when nothing comes any more.
    #[must_use]
    pub fn unexplained_driver(&self) -> Option<SilentHook> {
        if !self.delivers(Hook::Probe) || !self.delivers(Hook::Bound) {
            return None;
        }
        let mut unexplained = self.devices.living().filter(|(_, record)| {
            record.driver_came > self.watch.lost_at
                && record.last_added > record.driver_came
                && record.taints.is_empty()
        });
        let (_, first) = unexplained.next()?;
        Some(SilentHook {
            sign: Sign::DriverWithoutProbe,
            hooks: Sign::DriverWithoutProbe.hooks(),
            first: self.now.time,
            device: Some(first.key),
            name: first.identity.name.clone(),
            count: 1 + unexplained.count() as u64,
        })
    }

    /// Whether the hook is attached, as far as is known, and has been for as long as matters.
    fn delivers(&self, hook: Hook) -> bool {
        self.facts.sees(hook) && self.watch.unheard & bit(hook) == 0 && !self.watch.attaching
    }

    /// Looks for signs before an event is taken in, so that no rule believes what follows.
    pub(super) fn watch(&mut self, event: &Event, changes: &mut Changes) {
        match &event.kind {
            EventKind::Add(added) => {
                let marker = match added.name.as_deref() {
                    Some("grp<") => Some(Hook::OpenGroup),
                    Some("grp>") => Some(Hook::CloseGroup),
                    _ => None,
                };
                self.watch_addition(event, marker, changes);
            }
            EventKind::Enter(call) => match call.hook {
                Hook::OpenGroup | Hook::CloseGroup | Hook::DevresAdd => {
                    self.watch.hears(call.hook);
                    self.watch.called(call.hook, &event.task, event.device);
                }
                Hook::Bound => {
                    self.watch.hears(call.hook);
                    self.watch_stack(event, changes);
                }
                hook => {
                    self.watch.hears(hook);
                    self.watch_entry(hook, changes);
                }
            },
            EventKind::Replace(_) => {
                let explained = self
                    .tasks
                    .of(&event.task)
                    .iter()
                    .any(|frame| frame.hook == Hook::Krealloc);
                if !explained && self.watch.lost_at == 0 && self.delivers(Hook::Krealloc) {
                    let device = self.devices.at(event.device);
                    self.is_silent(Sign::EffectWithoutCall(Hook::Krealloc), device, changes);
                }
            }
            EventKind::Stack(definition) => self.watch.define(definition),
            EventKind::Snapshot(_) => self.watch.attached(),
            _ => {}
        }
    }

    /// An addition that its call did not announce.
    fn watch_addition(&mut self, event: &Event, marker: Option<Hook>, changes: &mut Changes) {
        let called = self.watch.calls.remove(&event.task.tid);
        // A line of a text can be there twice, and its call once.
        let added = (event.time, event.task.tid, event.device);
        let again = std::mem::replace(&mut self.watch.added, added) == added;
        let by = marker.or_else(|| {
            let stack = self.watch.stacks.get(&event.stack?)?;
            stack.adds.then_some(Hook::DevresAdd)
        });
        if let Some(hook) = by
            && called != Some((hook, event.device))
            && !again
            && !self.watch.forgetful
            && self.watch.lost_at == 0
            && self.delivers(hook)
        {
            let device = self.devices.at(event.device);
            self.is_silent(Sign::EffectWithoutCall(hook), device, changes);
            // Where one is, the probe on the stack that is not known of has not merely begun earlier.
            if self.has_unknown_probe(event) && self.delivers(Hook::Probe) {
                self.is_silent(Sign::OnStack(Hook::Probe), device, changes);
            }
            return;
        }
        self.watch_stack(event, changes);
    }

    /// A stack that goes through more probes than are known to run.
    fn watch_stack(&mut self, event: &Event, changes: &mut Changes) {
        if !self.has_unknown_probe(event) {
            return;
        }
        // A probe that runs since before the trace began is not known either. This one is later: its device
        // had no driver when the trace had begun.
        let Some(id) = self.devices.at(event.device) else {
            return;
        };
        let Some(record) = self.devices.get(id) else {
            return;
        };
        let had_none = match record.phase {
            State::Unbound => true,
            State::Initialised => record.key.generation > 0,
            _ => false,
        };
        if had_none
            && record.identity.driver.is_some()
            && record.taints.is_empty()
            && record.known_since > self.watch.lost_at
            && self.delivers(Hook::Probe)
        {
            self.is_silent(Sign::OnStack(Hook::Probe), Some(id), changes);
        }
    }

    /// Whether the event's stack goes through more probes than are known to run.
    fn has_unknown_probe(&self, event: &Event) -> bool {
        let Some(stack) = event.stack.and_then(|id| self.watch.stacks.get(&id)) else {
            return false;
        };
        let frames = self.tasks.of(&event.task).iter();
        stack.probes > frames.filter(|frame| frame.hook == Hook::Probe).count()
    }

    /// A function was entered outside of those that call it, or after one that must have come before.
    fn watch_entry(&mut self, hook: Hook, changes: &mut Changes) {
        if !matches!(hook, Hook::Remove | Hook::Cleanup) {
            return;
        }
        let Some(id) = self.devices.at(self.now.device) else {
            return;
        };
        let task = self.now.task;
        let caller = self.tasks.of(&task).iter().rfind(|frame| {
            frame.device == Some(id) && matches!(frame.hook, Hook::Unbind | Hook::Probe)
        });
        let Some(caller) = caller else {
            let bound_here = self.devices.get(id).is_some_and(|record| {
                record.binding > 0
                    && record.binding_sequence > self.watch.lost_at
                    && record.taints.is_empty()
            });
            if bound_here && self.returns(Hook::Unbind) && self.returns(Hook::Probe) {
                self.is_silent(Sign::WithoutCaller(hook), Some(id), changes);
            }
            return;
        };
        if hook == Hook::Cleanup
            && caller.hook == Hook::Unbind
            && caller.inside & bit(Hook::Remove) == 0
            && caller.sequence > self.watch.lost_at
            && self.returns(Hook::Unbind)
            && self.delivers(Hook::Remove)
        {
            let sign = Sign::Skipped {
                inner: Hook::Remove,
                outer: Hook::Unbind,
            };
            self.is_silent(sign, Some(id), changes);
        }
    }

    /// Whether the hook delivers entries as well as returns, and says whose they are: a kretprobe does not know its
    /// device, so that with a filter a return may be taken for another device's.
    fn returns(&self, hook: Hook) -> bool {
        let dubious = self.facts.entered_only | self.watch.kretprobes;
        self.delivers(hook) && dubious & bit(hook) == 0
    }

    /// A function has returned that always calls another.
    pub(super) fn watch_return(
        &mut self,
        frame: &Frame,
        value: Option<i64>,
        changes: &mut Changes,
    ) {
        let inner = match frame.hook {
            Hook::Unbind if frame.inside & bit(Hook::Remove) != 0 => Hook::Cleanup,
            Hook::Cleanup => Hook::ReleaseAll,
            // Before 5.18 zero is also what a probe returned that had failed.
            Hook::Probe
                if value == Some(1) || value == Some(0) && self.facts.sees(Hook::Cleanup) =>
            {
                Hook::Bound
            }
            _ => return,
        };
        if frame.inside & bit(inner) == 0
            && frame.sequence > self.watch.lost_at
            && self.returns(frame.hook)
            && self.delivers(inner)
        {
            let sign = Sign::Skipped {
                inner,
                outer: frame.hook,
            };
            self.is_silent(sign, frame.device, changes);
        }
    }

    /// A function has not returned, and its caller has.
    pub(super) fn watch_missed_return(&mut self, frame: &Frame, changes: &mut Changes) {
        if frame.sequence > self.watch.lost_at && self.returns(frame.hook) {
            self.is_silent(Sign::NotReturned(frame.hook), frame.device, changes);
        }
    }

    /// A release that no function explains: the node was on the list when the hooks were there.
    pub(super) fn watch_release(
        &mut self,
        id: DeviceId,
        reference: &NodeReference,
        changes: &mut Changes,
    ) {
        let node = self
            .find_address(id, reference.node)
            .and_then(|slot| self.node(NodeId(slot)));
        let known = node.is_some_and(|node| {
            node.origin() != Origin::Unknown && node.sequence > self.watch.lost_at
        });
        let certain = self.devices.get(id).is_some_and(|record| {
            record
                .taints
                .iter()
                .all(|taint| taint == Taint::FirstSeenHalfway)
        });
        if known && certain && self.delivers(Hook::ReleaseAll) && self.delivers(Hook::ReleaseGroup)
        {
            self.is_silent(Sign::ReleaseOutsideCall, Some(id), changes);
        }
    }

    /// A PM domain has gone that was seen to come, and not through `dev_pm_domain_detach`.
    pub(super) fn watch_pm(&mut self, id: DeviceId, changes: &mut Changes) {
        let unexplained = self.devices.get(id).is_some_and(|record| {
            record.attach_sequence > self.watch.lost_at
                && record.detach_sequence < record.attach_sequence
        });
        if unexplained && self.returns(Hook::PmDetach) && self.returns(Hook::PmAttach) {
            self.is_silent(Sign::EffectWithoutCall(Hook::PmDetach), Some(id), changes);
        }
    }

    /// The source says that what is attached in one way does not fire.
    pub(super) fn watch_loss(&mut self, cause: LossCause, changes: &mut Changes) {
        let way = match cause {
            LossCause::KprobesOff => Attachment::Kprobe,
            LossCause::FtraceOff => Attachment::Fentry,
            _ => {
                self.watch.lost(self.sequence);
                return;
            }
        };
        self.is_silent(Sign::SwitchedOff(way), None, changes);
    }

    /// A hook has turned out to be silent.
    fn is_silent(&mut self, sign: Sign, device: Option<DeviceId>, changes: &mut Changes) {
        if sign.misleads() {
            self.last_loss = Some((self.sequence, LossCause::HookSilent));
            changes.push(Change::Lost(Loss {
                count: 0,
                cause: LossCause::HookSilent,
            }));
        }
        if let Some(known) = self.watch.found.iter_mut().find(|known| known.sign == sign) {
            known.count += 1;
            return;
        }
        let hooks = match sign {
            Sign::SwitchedOff(way) => self.attached_by(way),
            _ => sign.hooks(),
        };
        let record = device.and_then(|id| self.devices.get(id));
        self.watch.found.push(SilentHook {
            sign,
            hooks,
            first: self.now.time,
            device: record.map(|record| record.key),
            name: record.and_then(|record| record.identity.name.clone()),
            count: 1,
        });
    }
}
