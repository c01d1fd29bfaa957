//! What the table shows of one device.

use crate::{
    escape::escape,
    event::Time,
    finding::Severity,
    model::{Device, InstanceKey, Origin, State},
};

/// What the table shows of a device. Strings are escaped.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which instance.
    pub key: InstanceKey,
    /// Its name; empty before it has one.
    pub name: String,
    /// Its driver, in parentheses if it was the last one and none is set now.
    pub driver: String,
    /// Its bus or class.
    pub bus: String,
    /// Where it is in its life.
    pub state: State,
    /// Resources, without markers of groups.
    pub resources: usize,
    /// Those of them that were there before the trace began.
    pub from_snapshot: usize,
    /// Resources that a running release has still to release.
    pub releasing: usize,
    /// Payload bytes.
    pub bytes: u64,
    /// Groups.
    pub groups: usize,
    /// Those of them that are open.
    pub open_groups: usize,
    /// Findings on it.
    pub findings: usize,
    /// The worst of them.
    pub worst: Option<Severity>,
    /// When something last happened to it.
    pub last: Option<Time>,
    /// Something of it may be missing.
    pub tainted: bool,
    /// When it ended.
    pub gone: Option<Time>,
}

impl Row {
    /// What is known of a device, without its findings. `last` is when something last happened to it.
    #[must_use]
    pub fn of(device: Device<'_>, last: Option<Time>) -> Self {
        let identity = device.identity();
        let driver = match (&identity.driver, device.last_driver()) {
            (Some(driver), _) => escape(driver),
            (None, Some(last)) => format!("({})", escape(last)),
            (None, None) => String::new(),
        };
        let (mut resources, mut from_snapshot, mut bytes) = (0, 0, 0_u64);
        for node in device.resources() {
            resources += 1;
            from_snapshot += usize::from(node.origin() == Origin::Snapshot);
            bytes = bytes.saturating_add(node.size().unwrap_or(0));
        }
        let (mut groups, mut open_groups) = (0, 0);
        for (_, _, close) in device.groups() {
            groups += 1;
            open_groups += usize::from(close.is_none());
        }
        Self {
            key: device.key(),
            name: escape(device.name()),
            driver,
            bus: identity.bus.as_deref().map(escape).unwrap_or_default(),
            state: device.state(),
            resources,
            from_snapshot,
            releasing: device.releasing().count(),
            bytes,
            groups,
            open_groups,
            findings: 0,
            worst: None,
            last,
            tainted: device.is_tainted(),
            gone: None,
        }
    }

    /// Whether there is nothing to say of it: it owns nothing, nothing happens, nothing was found.
    pub(super) fn is_idle(&self) -> bool {
        self.resources == 0
            && self.groups == 0
            && self.findings == 0
            && self.last.is_none()
            && !self.is_busy()
    }

    /// Whether it is between being bound and being not.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(
            self.state,
            State::Probing | State::Removing | State::Cleanup
        ) || self.releasing > 0
    }
}
