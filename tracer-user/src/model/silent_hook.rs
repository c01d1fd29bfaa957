//! Hooks that deliver nothing although the source has attached them: what the events themselves show of it.
//!
//! Kprobes can be switched off for the whole kernel, ftrace too, and whoever asks a dead hook hears what he
//! would of a kernel in which nothing happens. But the hooks watch each other: a release that no function
//! explains, a call stack through a function that was never entered. Each [`Sign`] is something that can't be
//! if the hook delivers; whatever else explains it (a function entered before the trace began, a loss, a hook
//! that the source does not have or has not had yet) rules it out.

use std::fmt;

use hashbrown::HashMap;
use serde::{Serialize, Serializer};

use super::{
    Change, Changes, DeviceId, InstanceKey, Model, NodeId, Origin, State, bit, frames::Frame,
};
use crate::{
    coverage::{Attachment, Before, Coverage},
    event::{
        DeviceAddress, Event, EventKind, Hook, Loss, LossCause, NodeReference, StackDefinition,
        StackId, Task, Text, Time,
    },
};

/// What shows that a hook is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The kernel says that nothing attached in this way fires.
    SwitchedOff(Attachment),
    /// Resources were released, and neither function that does so was seen to be entered.
    ReleaseOutsideCall,
    /// Something was seen that only this function does, and not its call.
    EffectWithoutCall(Hook),
    /// A call stack goes through this function, and it was not seen to be entered.
    OnStack(Hook),
    /// `outer` always calls `inner`, and went on or returned without.
    Skipped {
        /// Not seen.
        inner: Hook,
        /// Seen.
        outer: Hook,
    },
    /// This function was entered, and neither of those that call it.
    WithoutCaller(Hook),
    /// This function was not seen to return, and its caller was.
    NotReturned(Hook),
    /// A device has got a driver, and neither a probe of it nor its success was seen.
    DriverWithoutProbe,
}

impl Sign {
    /// The hooks of which at least one is silent; none where it is all that are attached in one way.
    #[must_use]
    pub fn hooks(self) -> Vec<Hook> {
        match self {
            Self::SwitchedOff(_) => Vec::new(),
            Self::ReleaseOutsideCall => vec![Hook::ReleaseAll, Hook::ReleaseGroup],
            Self::WithoutCaller(_) => vec![Hook::Unbind, Hook::Probe],
            Self::DriverWithoutProbe => vec![Hook::Probe, Hook::Bound],
            Self::EffectWithoutCall(hook) | Self::OnStack(hook) | Self::NotReturned(hook) => {
                vec![hook]
            }
            Self::Skipped { inner, .. } => vec![inner],
        }
    }

    /// Whether what follows may be taken for something that it is not, so that it counts as after a loss: an
    /// addition in a probe that was not seen looks like one to a device without a driver. What is skipped inside
    /// of something that was seen, or only counts what is seen already, misleads nobody: less is found.
    const fn misleads(self) -> bool {
        !matches!(
            self,
            Self::Skipped { .. } | Self::NotReturned(_) | Self::EffectWithoutCall(Hook::DevresAdd)
        )
    }

    /// In one word, for machines: stable.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SwitchedOff(_) => "switched-off",
            Self::ReleaseOutsideCall => "release-outside-call",
            Self::EffectWithoutCall(_) => "effect-without-call",
            Self::OnStack(_) => "on-stack",
            Self::Skipped { .. } => "skipped",
            Self::WithoutCaller(_) => "without-caller",
            Self::NotReturned(_) => "not-returned",
            Self::DriverWithoutProbe => "driver-without-probe",
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff(Attachment::Kprobe) => formatter.write_str(
                "kprobes are switched off (switch them on: echo 1 >/sys/kernel/debug/kprobes/enabled)",
            ),
            Self::SwitchedOff(_) => formatter.write_str(
                "ftrace is switched off (switch it on: sysctl kernel.ftrace_enabled=1)",
            ),
            Self::ReleaseOutsideCall => {
                formatter.write_str("resources were released outside of both")
            }
            Self::EffectWithoutCall(hook) => formatter.write_str(match hook {
                Hook::OpenGroup => "a group was opened without it",
                Hook::CloseGroup => "a group was closed without it",
                Hook::DevresAdd => "a resource was added through it, and it was not seen to be entered",
                Hook::Krealloc => "a block was replaced without it",
                _ => "a PM domain was detached without it",
            }),
            Self::OnStack(_) => {
                formatter.write_str("a call stack goes through it, and it was not seen to be entered")
            }
            Self::Skipped { inner: _, outer } => {
                write!(formatter, "{} always calls it, and was seen without", outer.symbol())
            }
            Self::WithoutCaller(hook) => {
                write!(formatter, "{} was entered outside of both", hook.symbol())
            }
            Self::NotReturned(_) => {
                formatter.write_str("it was not seen to return, and its caller was")
            }
            Self::DriverWithoutProbe => {
                formatter.write_str("a device has got a driver without either")
            }
        }
    }
}

/// A hook that is attached and silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentHook {
    /// What shows it.
    pub sign: Sign,
    /// The hooks of which at least one is silent.
    pub hooks: Vec<Hook>,
    /// When it showed first.
    pub first: Time,
    /// On which device.
    pub device: Option<InstanceKey>,
    /// That device's name.
    pub name: Option<Text>,
    /// How many times it showed.
    pub count: u64,
}

impl SilentHook {
    /// The hooks in words.
    #[must_use]
    pub fn symbols(&self) -> String {
        let symbols: Vec<_> = self.hooks.iter().map(|hook| hook.symbol()).collect();
        let all = matches!(self.sign, Sign::SwitchedOff(_));
        match (all, symbols.as_slice()) {
            (true, [one, _, ..]) => format!("{one} and {} others", symbols.len() - 1),
            _ => symbols.join(" or "),
        }
    }
}

impl fmt::Display for SilentHook {
    /// In one line, which can hold a device's name as the kernel has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = matches!(self.sign, Sign::SwitchedOff(_)) && self.hooks.len() > 1;
        let verb = if all { "are" } else { "is" };
        let hooks = self.symbols();
        write!(
            formatter,
            "{hooks} {verb} attached and silent: {}",
            self.sign
        )?;
        match (&self.name, self.count) {
            (Some(name), 1) => write!(formatter, " (on {name} at {})", self.first),
            (Some(name), count) => write!(
                formatter,
                " ({count} times, first on {name} at {})",
                self.first
            ),
            (None, _) => Ok(()),
        }
    }
}

impl Serialize for SilentHook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'hook> {
            hooks: Vec<&'static str>,
            sign: &'static str,
            why: String,
            first: Time,
            #[serde(skip_serializing_if = "Option::is_none")]
            device: Option<&'hook str>,
            count: u64,
        }
        let told = Told {
            hooks: self.hooks.iter().map(|hook| hook.symbol()).collect(),
            sign: self.sign.word(),
            why: self.sign.to_string(),
            first: self.first,
            device: self.name.as_deref(),
            count: self.count,
        };
        told.serialize(serializer)
    }
}

/// Calls that wait for their effect; more than that many tasks at once are not followed.
const MOST_CALLS: usize = 4096;

/// What is kept to find silent hooks.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// Hooks whose first event shows that they are attached: another tool may have attached them one by one, or the
    /// trace began in the midst of what they tell.
    unheard: u64,
    /// Whether the source says when all its hooks were attached, and that was not yet.
    attaching: bool,
    /// The place of the last loss that the source told of; zero for none.
    lost_at: u64,
    /// The last call of a function whose effect is told by itself, by task.
    calls: HashMap<u32, (Hook, DeviceAddress)>,
    /// Some calls were forgotten.
    forgetful: bool,
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
            unheard: super::bits(|hook| match coverage.attachment(hook) {
                Some(Attachment::Recorded) => true,
                Some(_) => matches!(coverage.before, Before::Unknown(_)),
                None => false,
            }),
            attaching: coverage.before == Before::Snapshot,
            lost_at: 0,
            calls: HashMap::new(),
            forgetful: false,
            stacks: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// A function was entered.
    pub(super) fn hears(&mut self, hook: Hook) {
        self.unheard &= !bit(hook);
    }

    /// The source has attached all its hooks.
    pub(super) fn attached(&mut self) {
        self.attaching = false;
    }

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

    /// Devices that have got a driver, and nothing ever told how: to be asked when nothing comes any more.
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
        let by = marker.or_else(|| {
            let stack = self.watch.stacks.get(&event.stack?)?;
            stack.adds.then_some(Hook::DevresAdd)
        });
        if let Some(hook) = by
            && called != Some((hook, event.device))
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

    /// Whether the hook delivers entries as well as returns.
    fn returns(&self, hook: Hook) -> bool {
        self.delivers(hook) && self.facts.entered_only & bit(hook) == 0
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
                .all(|taint| taint == super::Taint::FirstSeenHalfway)
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
            Sign::SwitchedOff(way) => Hook::ALL
                .into_iter()
                .filter(|hook| self.coverage.attachment(*hook) == Some(way))
                .collect(),
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
