//! One device instance.

use std::{fmt, sync::Arc};

use super::{
    Context, Model, Node, NodeId, Origin, Taint, Teardown,
    arena::{List, Nodes},
    group::{GroupCall, Groups},
    last_event::Last,
    taint::Taints,
    teardown::is_pin_control,
};
use crate::event::{DeviceAddress, DeviceIdentity, GroupId, PmDomain, Text, Time};

/// Where the model has a device instance. It never stands for another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId {
    pub(super) slot: u32,
    pub(super) epoch: u32,
}

/// A device instance for people and files: addresses are reused, so a number tells the uses apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InstanceKey {
    /// The address of the `struct device`.
    pub address: DeviceAddress,
    /// Which life at this address it is, counted from one; zero for a device that was there already when
    /// the address was first seen. No two lives have the same.
    pub generation: u32,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.address, self.generation)
    }
}

/// Where a device is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Not known: the device was first seen halfway.
    Unknown,
    /// It has begun, or is known to have no driver, and was never seen to be probed.
    Initialised,
    /// A driver is being probed.
    Probing,
    /// A driver is bound.
    Bound,
    /// The driver's and the bus's `remove` run.
    Removing,
    /// What the binding left is being released.
    Cleanup,
    /// It had a driver, or a failed probe, and has none now.
    Unbound,
    /// `device_del` has been entered and it has no driver.
    Deleted,
    /// Its last reference is gone.
    Dead,
}

impl State {
    /// In one word, for people and machines: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Initialised => "initialised",
            Self::Probing => "probing",
            Self::Bound => "bound",
            Self::Removing => "removing",
            Self::Cleanup => "cleanup",
            Self::Unbound => "unbound",
            Self::Deleted => "deleted",
            Self::Dead => "dead",
        }
    }
}

impl State {
    /// Whether it has a driver, be it one that is being probed or removed.
    #[must_use]
    pub const fn has_driver(self) -> bool {
        matches!(
            self,
            Self::Probing | Self::Bound | Self::Removing | Self::Cleanup
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the model keeps of a device instance.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the instance"
)]
pub(super) struct Record {
    pub(super) key: InstanceKey,
    pub(super) epoch: u32,
    pub(super) identity: Arc<DeviceIdentity>,
    /// The last driver that it was seen to have.
    pub(super) last_driver: Option<Text>,
    /// What was running on the task that began it.
    pub(super) created_in: Option<Arc<Context>>,
    /// Whether a binding of it has ever succeeded.
    pub(super) ever_bound: bool,
    pub(super) phase: State,
    pub(super) deleted: bool,
    pub(super) dying: bool,
    pub(super) binding: u32,
    pub(super) binding_sequence: u64,
    pub(super) binding_began: Time,
    pub(super) was_bound: bool,
    pub(super) binding_ended: bool,
    /// Its unbind was taken to be over with its cleanup, as no return of any was seen: one may follow.
    pub(super) unbind_dropped: bool,
    pub(super) pm: PmDomain,
    /// The entry of the `dev_pm_domain_attach` that gave the device its domain; zero if not seen.
    pub(super) attach_sequence: u64,
    /// The entry of the last `dev_pm_domain_detach`; zero if not seen.
    pub(super) detach_sequence: u64,
    /// Where it was first told to have a driver that nothing has explained yet; zero if there is none.
    pub(super) driver_came: u64,
    /// Nodes on `dev->devres_head`.
    pub(super) list: List,
    /// Nodes that a running release has taken off it and not released yet, in the order in which the
    /// kernel put them on its own list: the last is released first.
    pub(super) releasing: List,
    pub(super) groups: Groups,
    pub(super) group_call: Option<GroupCall>,
    pub(super) last_added: u64,
    /// The last teardown, or the probe that may fail.
    pub(super) teardown: Option<Teardown>,
    /// What was last seen of it.
    pub(super) last: Option<Last>,
    pub(super) taints: Taints,
    pub(super) tainted_at: u64,
    /// Losses before this don't count.
    pub(super) clean_since: u64,
    /// From where on its state is known if nothing is missed: its begin, its last binding's, or a snapshot;
    /// zero for none.
    pub(super) known_since: u64,
}

impl Record {
    pub(super) fn new(key: InstanceKey, epoch: u32) -> Self {
        Self {
            key,
            epoch,
            identity: Arc::new(DeviceIdentity::default()),
            last_driver: None,
            created_in: None,
            ever_bound: false,
            phase: State::Unknown,
            deleted: false,
            dying: false,
            binding: 0,
            binding_sequence: 0,
            binding_began: Time(0),
            was_bound: false,
            binding_ended: false,
            unbind_dropped: false,
            pm: PmDomain::default(),
            attach_sequence: 0,
            detach_sequence: 0,
            driver_came: 0,
            list: List::default(),
            releasing: List::default(),
            groups: Groups::default(),
            group_call: None,
            last_added: 0,
            teardown: None,
            last: None,
            taints: Taints::default(),
            tainted_at: 0,
            clean_since: 0,
            known_since: 0,
        }
    }

    /// It is this from here on.
    pub(super) fn identify(&mut self, identity: Arc<DeviceIdentity>) {
        if identity.driver.is_some() {
            self.last_driver.clone_from(&identity.driver);
        }
        self.identity = identity;
    }

    /// A binding begins, with a probe or without.
    pub(super) fn begin_binding(&mut self, sequence: u64, now: Time) {
        self.binding = self.binding.saturating_add(1);
        self.binding_sequence = sequence;
        self.known_since = sequence;
        self.binding_began = now;
    }

    pub(super) fn bind(&mut self) {
        self.was_bound = true;
        self.ever_bound = true;
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            State::Probing | State::Bound | State::Removing | State::Cleanup => self.phase,
            _ if self.dying => State::Dead,
            _ if self.deleted => State::Deleted,
            phase => phase,
        }
    }
}

/// A device instance and what it owns.
#[derive(Debug, Clone, Copy)]
pub struct Device<'m> {
    pub(super) model: &'m Model,
    pub(super) record: &'m Record,
    pub(super) id: DeviceId,
}

impl<'m> Device<'m> {
    /// Where the model has it.
    #[must_use]
    pub fn id(self) -> DeviceId {
        self.id
    }

    /// Its address and generation.
    #[must_use]
    pub fn key(self) -> InstanceKey {
        self.record.key
    }

    /// The address of the `struct device`.
    #[must_use]
    pub fn address(self) -> DeviceAddress {
        self.record.key.address
    }

    /// Who it is.
    #[must_use]
    pub fn identity(self) -> &'m DeviceIdentity {
        &self.record.identity
    }

    /// `dev_name()`, or an empty string where not known.
    #[must_use]
    pub fn name(self) -> &'m str {
        self.record.identity.name.as_deref().unwrap_or_default()
    }

    /// Its driver's name, or that of the last one that it had.
    #[must_use]
    pub fn last_driver(self) -> Option<&'m Text> {
        self.record.last_driver.as_ref()
    }

    /// What was running on the task that began it: the innermost probe, unbind or release, if any.
    #[must_use]
    pub fn creator(self) -> Option<&'m Context> {
        self.record.created_in.as_deref()
    }

    /// Whether a driver was ever seen to be bound to it.
    #[must_use]
    pub fn was_ever_bound(self) -> bool {
        self.record.ever_bound
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(self) -> State {
        self.record.state()
    }

    /// Whether it has a driver, as far as anybody knows.
    pub(super) fn may_have_driver(self) -> bool {
        let record = self.record;
        record.phase.has_driver()
            || record.identity.driver.is_some()
            || record.phase == State::Unknown
            || self.is_tainted()
    }

    /// How many bindings were seen to begin; zero is the one that was there before.
    #[must_use]
    pub fn binding(self) -> u32 {
        self.record.binding
    }

    /// When the last binding that was seen to begin did so.
    #[must_use]
    pub fn binding_began(self) -> Time {
        self.record.binding_began
    }

    /// The place of the last binding's begin in the order of everything seen, or of the snapshot that found
    /// the device bound; zero if neither was seen.
    #[must_use]
    pub fn binding_sequence(self) -> u64 {
        self.record.binding_sequence
    }

    /// Its PM domain, as last seen.
    #[must_use]
    pub fn pm(self) -> PmDomain {
        self.record.pm
    }

    /// The place of the `dev_pm_domain_attach` that gave it its PM domain in the order of everything
    /// seen, if it was seen.
    #[must_use]
    pub fn pm_attached(self) -> Option<u64> {
        (self.record.attach_sequence != 0).then_some(self.record.attach_sequence)
    }

    /// From where on resources count that need the PM domain: what the driver core adds before it attaches that
    /// (pin control) does not.
    pub(super) fn pm_floor(self) -> u64 {
        if let Some(attached) = self.pm_attached() {
            return attached;
        }
        // Attached before the trace began: pinctrl_bind_pins() adds its block and itself first of all.
        self.nodes()
            .take(2)
            .filter(|(_, node)| node.origin() == Origin::Snapshot)
            .find(|(_, node)| is_pin_control(node))
            .map_or(0, |(_, node)| node.sequence())
    }

    /// How it is taken apart, or was last; the probe that runs, which may fail, included. `None` while it is bound
    /// and nothing of it was released.
    #[must_use]
    pub fn teardown(self) -> Option<&'m Teardown> {
        self.record.teardown.as_ref()
    }

    /// How it is being taken apart, if it is. `device_del` unbinds devices that have no driver as well: nothing
    /// happens to them then.
    #[must_use]
    pub fn running_teardown(self) -> Option<&'m Teardown> {
        self.teardown().filter(|teardown| teardown.is_running())
    }

    /// The nodes on its list, oldest first, with group markers.
    #[must_use]
    pub fn nodes(self) -> impl DoubleEndedIterator<Item = (NodeId, &'m Node)> {
        named(self.model.arena.iter(&self.record.list))
    }

    /// The nodes that a running release has taken off the list and not released yet; the last is released
    /// first.
    #[must_use]
    pub fn releasing(self) -> impl DoubleEndedIterator<Item = (NodeId, &'m Node)> {
        named(self.model.arena.iter(&self.record.releasing))
    }

    /// Everything that it owns, with group markers: what is being released and what is on its list.
    pub fn owned(self) -> impl Iterator<Item = (NodeId, &'m Node)> {
        self.releasing().chain(self.nodes())
    }

    /// The same without group markers.
    pub fn resources(self) -> impl Iterator<Item = &'m Node> {
        self.owned()
            .map(|(_, node)| node)
            .filter(|node| !node.kind().is_marker())
    }

    /// How many nodes it has, with group markers and those that are being released.
    #[must_use]
    pub fn node_count(self) -> usize {
        (self.record.list.length() + self.record.releasing.length()) as usize
    }

    /// Its groups in the order of opening: id, opening marker, and closing marker if it is closed.
    #[must_use]
    pub fn groups(self) -> impl DoubleEndedIterator<Item = (GroupId, NodeId, Option<NodeId>)> {
        self.record
            .groups
            .iter()
            .map(|group| (group.id, NodeId(group.open), group.close.map(NodeId)))
    }

    /// The opening marker of the group that this marker opens or closes.
    #[must_use]
    pub fn opening(self, marker: NodeId) -> Option<NodeId> {
        let group = self.record.groups.of_marker(marker.0);
        group.map(|group| NodeId(group.open))
    }

    /// The opening marker of the oldest group that goes by this identifier.
    #[must_use]
    pub fn oldest_group(self, id: GroupId) -> Option<NodeId> {
        let group = self.record.groups.oldest_of(id);
        group.map(|group| NodeId(group.open))
    }

    /// The markers of a group that was opened before the one that `opening` opens, and closed between the two markers
    /// of that.
    #[must_use]
    pub fn overlapped(self, opening: NodeId) -> Option<(NodeId, NodeId)> {
        let group = self.record.groups.overlapped(opening.0)?;
        Some((NodeId(group.open), NodeId(group.close?)))
    }

    /// Why what the model says of it may be incomplete.
    pub fn taints(self) -> impl Iterator<Item = Taint> {
        let loss = self
            .model
            .last_loss
            .filter(|(sequence, _)| *sequence > self.record.clean_since)
            .map(|(_, cause)| Taint::Loss(cause));
        self.record.taints.iter().chain(loss)
    }

    /// Whether what the model says of it may be incomplete.
    #[must_use]
    pub fn is_tainted(self) -> bool {
        self.tainted_at().is_some()
    }

    /// Whether nothing that may concern it was missed since this place in the order of everything seen. That
    /// its resources are all known again, which ends a taint, does not undo what was missed; and where they
    /// are not, even what came later may be taken for something else. Only what a device had before the trace
    /// began does no harm to what came later.
    #[must_use]
    pub fn is_whole_since(self, place: u64) -> bool {
        self.record.tainted_at < place
            && self.model.last_loss().is_none_or(|lost| lost < place)
            && self.taints().all(|taint| taint == Taint::FirstSeenHalfway)
    }

    /// Whether its state is known: nothing was missed since its present or last binding began, or since
    /// itself did if it was never probed.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.record.known_since > 0 && self.is_whole_since(self.record.known_since)
    }

    /// The last place in the order of everything seen where something of it was missed; what came after
    /// is whole.
    #[must_use]
    pub fn tainted_at(self) -> Option<u64> {
        self.model.tainted_at(self.record)
    }
}

fn named(nodes: Nodes<'_>) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
    nodes.map(|(id, node)| (NodeId(id), node))
}
