//! How a device is taken apart: by an unbind, a probe that fails, a release outside of both, or its last put.

use super::{DeviceId, Hazard, Model, Node, Origin, State};
use crate::event::{Hook, Time};

/// The name of what pin control adds before anything else.
const PINCTRL: &str = "devm_pinctrl_release";

/// A device is taken apart, or may be as long as its probe can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teardown {
    root: Hook,
    sequence: u64,
    began: Time,
    ended: Option<Time>,
    detach: Option<PmDetach>,
}

/// `dev_pm_domain_detach` took the PM domain from a device while that was taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmDetach {
    time: Time,
    sequence: u64,
    binding: u32,
    floor: u64,
}

impl Teardown {
    /// The function with which it began.
    #[must_use]
    pub fn root(&self) -> Hook {
        self.root
    }

    /// The place of its beginning in the order of everything seen: no other teardown has the same.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Time {
        self.began
    }

    /// When it was over, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<Time> {
        self.ended
    }

    /// Whether it is not over.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// It is over, if it isn't already.
    pub(super) fn end(&mut self, now: Time) {
        self.ended.get_or_insert(now);
    }

    /// Whether it ends a binding, or would: an unbind, or a probe that may fail.
    #[must_use]
    pub fn is_of_binding(&self) -> bool {
        is_of_binding(self.root)
    }

    /// The last detach of the PM domain in it, unless the domain was attached again.
    #[must_use]
    pub fn detach(&self) -> Option<&PmDetach> {
        self.detach.as_ref()
    }
}

impl PmDetach {
    /// When.
    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    /// Its place in the order of everything seen.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether a resource that is live after the detach was there before, and should have been released first. What
    /// was added before the domain was attached (pin control) is rightly released after the detach, and what a release
    /// adds is left over by that release, whatever comes after it.
    #[must_use]
    pub fn is_outlived_by(&self, node: &Node) -> bool {
        node.binding() == self.binding
            && node.sequence() > self.floor
            && node.sequence() < self.sequence
            && node.phase() != State::Cleanup
            && node.origin() != Origin::Unknown
            && !node.kind().is_marker()
    }

    /// Whether a resource that is live after the detach is of an earlier binding, as far as was seen. A probe begins with
    /// an empty list: that of this binding was not seen to begin.
    #[must_use]
    pub fn is_of_unseen_probe(&self, node: &Node) -> bool {
        node.binding() < self.binding
            && node.phase() != State::Cleanup
            && node.origin() == Origin::Seen
            && !node.kind().is_marker()
            && !is_pin_control(node)
    }

    /// Whether a resource that was never seen to be added must have been there, where nothing else was missed: after
    /// the detach its addition would have been seen. Of memory nobody knows whose it is.
    #[must_use]
    pub fn must_be_outlived_by(&self, node: &Node) -> bool {
        node.kind().hazard().is_some_and(Hazard::touches_hardware)
            && node.origin() == Origin::Unknown
            && node.binding() == self.binding
            && !is_pin_control(node)
    }
}

fn is_of_binding(root: Hook) -> bool {
    matches!(
        root,
        Hook::Probe | Hook::Unbind | Hook::Remove | Hook::Cleanup
    )
}

/// Whether a node is that of pin control, which the driver core sets up before it attaches the PM domain.
pub(super) fn is_pin_control(node: &Node) -> bool {
    node.name().is_some_and(|name| &**name == PINCTRL)
}

impl Model {
    /// A function is entered with which a teardown may begin.
    pub(super) fn begin_teardown(&mut self, id: DeviceId, hook: Hook) {
        let Some(device) = self.device_by_id(id) else {
            return;
        };
        let begins = match hook {
            Hook::Probe | Hook::Remove | Hook::Cleanup | Hook::ReleaseGroup | Hook::FinalPut => {
                true
            }
            Hook::Unbind => device.may_have_driver(),
            Hook::ReleaseAll => device.node_count() > 0,
            _ => false,
        };
        let running = device.running_teardown();
        let within = running.is_some_and(|last| last.is_of_binding() || !is_of_binding(hook));
        if !begins || within && hook != Hook::Probe {
            return;
        }
        let teardown = Teardown {
            root: hook,
            sequence: self.sequence,
            began: self.now.time,
            ended: None,
            detach: None,
        };
        if let Some(record) = self.devices.get_mut(id) {
            record.teardown = Some(teardown);
        }
    }

    /// A function of the device is over: so is the teardown that began with it.
    pub(super) fn end_teardown(&mut self, id: DeviceId, sequence: u64) {
        let now = self.now.time;
        if let Some(record) = self.devices.get_mut(id)
            && let Some(teardown) = &mut record.teardown
            && teardown.sequence == sequence
            && !matches!(teardown.root, Hook::Remove | Hook::Cleanup)
        {
            teardown.end(now);
        }
    }

    /// A PM domain is attached to the device or detached from it.
    pub(super) fn note_pm(&mut self, id: DeviceId, detaches: bool) {
        let detach = self.device_by_id(id).map(|device| PmDetach {
            time: self.now.time,
            sequence: self.sequence,
            binding: device.binding(),
            floor: device.pm_floor(),
        });
        if let Some(record) = self.devices.get_mut(id)
            && let Some(teardown) = &mut record.teardown
            && teardown.is_running()
        {
            teardown.detach = detach.filter(|_| detaches);
        }
    }
}
