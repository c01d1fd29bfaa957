//! The state machine: what every device owns, reconstructed from events.
//!
//! It does no input or output and has no clock, so that a live trace, a replay and a test are the same to
//! it. What an event changed is returned as [`Changes`], for rules and views.

mod arena;
mod calls;
mod change;
mod device;
mod devices;
mod frames;
mod group;
mod hazard;
pub mod kind;
mod krealloc;
mod last_event;
mod list;
mod markers;
mod node;
mod nodes;
mod order;
mod phases;
mod release;
mod removals;
mod share;
mod silent_hook;
mod snapshot;
mod taint;
mod teardown;
mod watch;

use std::sync::Arc;

pub use change::{Change, Changes, Desync, DesyncKind, Detail, Entered, Left};
pub use device::{Device, DeviceId, InstanceKey, State};
pub use frames::Frame;
use hashbrown::HashMap;
pub use hazard::Hazard;
pub use kind::Kind;
pub use node::{Context, Node, NodeId, Origin, SiteId};
pub use silent_hook::{Sign, SilentHook};
pub use taint::Taint;
pub use teardown::{PmDetach, Teardown};

use crate::{
    event::{
        DeviceAddress, Event, EventKind, Hook, Loss, LossCause, Message, NodeAddress,
        StackDefinition, StackId, Task, Time,
    },
    evidence::{Addresses, Attachment, Coverage, HookCoverage, HookState, NodeEvents},
};
use arena::Arena;
use device::Record;
use devices::Devices;
use frames::Tasks;
use order::{Clocks, Misplaced};
use share::Sharing;
use watch::Watch;

/// What the coverage says, in the form in which the model asks for it.
#[derive(Debug, Clone)]
struct Facts {
    /// Releases are concluded from the functions that release.
    concluded: bool,
    /// Nothing reports removals.
    removals_unseen: bool,
    node_addresses: Addresses,
    /// The source is good enough for a disagreement to be the model's fault.
    exact: bool,
    /// Hooks that deliver events.
    seen: u64,
    /// Hooks whose entries were recorded by another tool, perhaps without their returns.
    entered_only: u64,
    /// Hooks of which an entry has been seen, or would have been.
    entries: u64,
}

impl Facts {
    fn new(coverage: &Coverage) -> Self {
        // What another tool recorded has been through who knows what hands.
        let recorded =
            |entry: &HookCoverage| matches!(entry.state, HookState::Attached(Attachment::Recorded));
        let exact = coverage.node_addresses == Addresses::Real
            && coverage.device_addresses != Addresses::Absent
            && !coverage.hooks.iter().any(recorded);
        let seen = bits(|hook| coverage.sees(hook));
        Self {
            concluded: coverage.nodes == NodeEvents::Concluded,
            removals_unseen: coverage.nodes == NodeEvents::Concluded
                && !coverage.sees(Hook::DevresRemove),
            node_addresses: coverage.node_addresses,
            exact,
            seen,
            entries: if exact { seen } else { 0 },
            entered_only: bits(|hook| coverage.attachment(hook) == Some(Attachment::Recorded)),
        }
    }

    fn sees(&self, hook: Hook) -> bool {
        self.seen & bit(hook) != 0
    }
}

fn bits(wanted: impl Fn(Hook) -> bool) -> u64 {
    Hook::ALL
        .into_iter()
        .filter(|hook| wanted(*hook))
        .fold(0, |hooks, hook| hooks | bit(hook))
}

fn bit(hook: Hook) -> u64 {
    1 << hook as u64
}

/// How much the model has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events applied.
    pub events: u64,
    /// Events that the source reported as lost.
    pub lost: u64,
    /// Device instances.
    pub devices: u64,
    /// Device instances that ended while something of them was missing for want of events, or for a fault.
    pub gone_tainted: u64,
    /// Disagreements with the kernel.
    pub desyncs: u64,
    /// Events that don't fit those before them although none is said to be lost: out of order, there twice, or
    /// without what must have come before.
    pub misfits: u64,
}

/// The state machine. A clone is a checkpoint: it goes on from where it was taken.
#[derive(Debug, Clone)]
pub struct Model {
    coverage: Arc<Coverage>,
    facts: Facts,
    arena: Arena,
    devices: Devices,
    tasks: Tasks,
    clocks: Clocks,
    sharing: Sharing,
    stacks: HashMap<StackId, Arc<StackDefinition>>,
    /// The last loss and its place in the order of everything seen.
    last_loss: Option<(u64, LossCause)>,
    /// Up to when something may have been lost that the source has reported already, and why.
    losing: Option<(Time, LossCause)>,
    watch: Watch,
    /// The place in the order of everything seen of what was seen last.
    sequence: u64,
    batches: u32,
    /// Nodes that went with the last event.
    departed: Vec<u32>,
    /// The task that `devm_free_percpu()` ran on last, and what it took off.
    percpu_freed: Option<(u32, NodeAddress)>,
    now: Current,
    tally: Tally,
    /// The number of the last event that did not fit.
    last_misfit: u64,
}

/// The event that is being applied.
#[derive(Debug, Clone, Copy, Default)]
struct Current {
    time: Time,
    task: Task,
    stack: Option<StackId>,
    device: DeviceAddress,
}

impl Model {
    /// A model that knows nothing yet of what a source with this coverage sees.
    #[must_use]
    pub fn new(coverage: Arc<Coverage>) -> Self {
        let facts = Facts::new(&coverage);
        Self {
            arena: Arena::new(facts.node_addresses != Addresses::Absent),
            facts,
            devices: Devices::new(&coverage.before),
            watch: Watch::new(&coverage),
            coverage,
            tasks: Tasks::default(),
            clocks: Clocks::default(),
            sharing: Sharing::new(),
            stacks: HashMap::new(),
            last_loss: None,
            losing: None,
            sequence: 0,
            batches: 0,
            departed: Vec::new(),
            percpu_freed: None,
            now: Current::default(),
            tally: Tally::default(),
            last_misfit: 0,
        }
    }

    /// Takes one event in and says what it changed.
    pub fn apply(&mut self, event: &Event) -> Changes {
        self.forget_departed();
        self.sequence += 1;
        self.tally.events += 1;
        self.now = Current {
            time: event.time,
            task: event.task,
            stack: event.stack,
            device: event.device,
        };
        let mut changes = Changes::new();
        self.stay_in_doubt(&mut changes);
        if self.tasks.has_foreign(&event.task) {
            // The thread number belongs to another process now: whatever ran on it has ended.
            for frame in self.tasks.forget(event.task.tid) {
                self.abandon(&frame, &mut changes);
            }
        }
        self.devices.attend_to(event.device);
        let known = self.devices.at(event.device);
        let misplaced = self.place(event);
        if let Some(misplaced) = misplaced {
            self.doubt_order(misplaced, &mut changes);
            if misplaced == Misplaced::Again {
                return changes;
            }
        }
        self.watch(event, &mut changes);
        match &event.kind {
            EventKind::Stack(definition) => {
                self.stacks
                    .insert(definition.id, Arc::new(definition.clone()));
            }
            EventKind::Device(identity) => self.identify(identity, &mut changes),
            EventKind::Snapshot(snapshot) => self.snapshot(snapshot, &mut changes),
            EventKind::Add(node) => self.add(node, &mut changes),
            EventKind::Remove(reference) => self.remove(reference, &mut changes),
            EventKind::Release(reference) => self.release(reference, &mut changes),
            EventKind::Replace(reference) => self.replace(reference, &mut changes),
            EventKind::RemoveAction { function, data } => {
                self.remove_action(*function, *data, &mut changes);
            }
            EventKind::ModuleFree { module, code } => {
                changes.push(Change::ModuleFreed {
                    module: Arc::clone(module),
                    code: *code,
                });
            }
            EventKind::Message(message) => self.told(message, &mut changes),
            EventKind::Enter(call) => self.enter(call, &mut changes),
            EventKind::Leave(returned) => self.leave(returned, &mut changes),
            EventKind::Loss(loss) => self.lose(loss, &mut changes),
        }
        // Who begins with it is in doubt from its beginning.
        if let Some(misplaced) = misplaced
            && self.devices.at(event.device) != known
        {
            self.doubt_order(misplaced, &mut changes);
        }
        changes
    }

    /// What the source can see.
    #[must_use]
    pub fn coverage(&self) -> &Arc<Coverage> {
        &self.coverage
    }

    /// The device instances that live, in no particular but a stable order.
    pub fn devices(&self) -> impl Iterator<Item = Device<'_>> {
        self.devices.living().map(|(id, record)| Device {
            model: self,
            record,
            id,
        })
    }

    /// The device instance that lives at this address.
    #[must_use]
    pub fn device(&self, address: DeviceAddress) -> Option<Device<'_>> {
        self.device_by_id(self.devices.at(address)?)
    }

    /// Identities of which only the next event of their address says whose they are, as the events that reported
    /// them; at the present time.
    #[must_use]
    pub fn introductions(&self) -> Vec<Event> {
        let introductions = self.devices.introductions().into_iter();
        introductions
            .map(|(device, introduction)| Event {
                time: self.now.time,
                task: introduction.task,
                cpu: 0,
                device,
                stack: None,
                kind: EventKind::Device(Arc::clone(&introduction.identity)),
            })
            .collect()
    }

    /// The device instance with this id, until the event after the one that ended it.
    #[must_use]
    pub fn device_by_id(&self, id: DeviceId) -> Option<Device<'_>> {
        self.devices.get(id).map(|record| Device {
            model: self,
            record,
            id,
        })
    }

    /// The node with this id, until the event after the one that ended it.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.arena.get(id.0)
    }

    /// The device that owns, or owned, a node.
    #[must_use]
    pub fn owner(&self, node: &Node) -> Option<Device<'_>> {
        self.device_by_id(self.devices.id_in(node.device)?)
    }

    /// What a stack number means at this moment.
    #[must_use]
    pub fn stack(&self, id: StackId) -> Option<&StackDefinition> {
        self.stacks.get(&id).map(|definition| &**definition)
    }

    /// Every stack number that means something at this moment.
    pub fn stacks(&self) -> impl Iterator<Item = &StackDefinition> {
        self.stacks.values().map(|definition| &**definition)
    }

    /// The stack of the last event.
    #[must_use]
    pub fn current_stack(&self) -> Option<&StackDefinition> {
        self.stack(self.now.stack?)
    }

    /// The time of the last event.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now.time
    }

    /// The task of the last event.
    #[must_use]
    pub fn current_task(&self) -> &Task {
        &self.now.task
    }

    /// What runs on a task, outermost first. On [`Change::Left`] the frame has been taken off already.
    #[must_use]
    pub fn frames(&self, task: &Task) -> &[Frame] {
        self.tasks.of(task)
    }

    /// What runs on any task, in no particular order.
    pub fn running(&self) -> impl Iterator<Item = (Task, &Frame)> {
        self.tasks.running()
    }

    /// Whether the return of this function would have been seen, as far as is known.
    #[must_use]
    pub fn sees_return(&self, hook: Hook) -> bool {
        self.facts.entered_only & bit(hook) == 0
    }

    /// Whether this function was recorded by another tool.
    #[must_use]
    pub fn is_recorded(&self, hook: Hook) -> bool {
        self.coverage.attachment(hook) == Some(Attachment::Recorded)
    }

    /// Whether nothing that was entered is still running, on any task. Walks all of them.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.tasks.any_runs()
    }

    /// How much has been seen.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many living devices lack something that the source should have seen. Walks all of them.
    #[must_use]
    pub fn doubtful_devices(&self) -> u64 {
        self.devices
            .living()
            .filter(|(_, record)| self.is_doubtful(record))
            .count() as u64
    }

    /// The place of the last event in the order of everything seen.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The place of the last loss of events in the order of everything seen.
    #[must_use]
    pub fn last_loss(&self) -> Option<u64> {
        self.last_loss.map(|(sequence, _)| sequence)
    }

    /// The current event does not fit; it counts once, however many devices it puts in doubt.
    fn misfit(&mut self) {
        if self.last_misfit != self.tally.events {
            self.last_misfit = self.tally.events;
            self.tally.misfits += 1;
        }
    }

    /// Something is wrong with the place of the current event: nothing of whom it is about is sure.
    fn doubt_order(&mut self, misplaced: Misplaced, changes: &mut Changes) {
        let reason = match misplaced {
            Misplaced::Late => Taint::Disordered,
            Misplaced::Again => Taint::Repeated,
            Misplaced::Unfitting => Taint::Unfitting,
        };
        self.misfit();
        for id in self.involved() {
            self.taint(id, reason, changes);
        }
    }

    fn told(&mut self, message: &Message, changes: &mut Changes) {
        let device = self.subject(changes);
        changes.push(Change::KernelMessage {
            device,
            message: Box::new(message.clone()),
        });
    }

    fn lose(&mut self, loss: &Loss, changes: &mut Changes) {
        self.tally.lost = self.tally.lost.saturating_add(loss.count);
        self.last_loss = Some((self.sequence, loss.cause));
        if loss.cause == LossCause::ProbeSkipped && self.coverage.times {
            self.losing = Some((self.now.time, loss.cause));
        }
        changes.push(Change::Lost(loss.clone()));
        self.watch_loss(loss.cause, changes);
    }

    /// A loss counts as the latest that there was until its time is over: what was lost may have come anywhere before that.
    fn stay_in_doubt(&mut self, changes: &mut Changes) {
        let Some((until, cause)) = self.losing else {
            return;
        };
        let before = self.sequence - 1;
        self.last_loss = Some((before, cause));
        self.watch.lost(before);
        if self.now.time > until {
            self.losing = None;
            changes.push(Change::Lost(Loss { count: 0, cause }));
        }
    }

    fn tainted_at(&self, record: &Record) -> Option<u64> {
        let loss = self
            .last_loss()
            .filter(|sequence| *sequence > record.clean_since);
        let own = (!record.taints.is_empty()).then_some(record.tainted_at);
        loss.max(own)
    }

    fn forget_departed(&mut self) {
        while let Some(slot) = self.departed.pop() {
            self.arena.free(slot);
        }
        for mut record in self.devices.take_gone() {
            for mut list in [record.list, record.releasing] {
                while let Some(slot) = list.last() {
                    self.arena.unlink(&mut list, slot);
                    self.arena.free(slot);
                }
            }
            record.groups.clear();
        }
    }
}
