//! DR001 pm-detach-before-release: a device's PM domain is detached while resources of its driver are
//! still to be released.
//!
//! Releasing them then runs without power or clocks. Whether that does harm depends on what the release
//! does: disabling runtime PM, unregistering a thermal zone or freeing an interrupt may touch registers,
//! memory does not. On buses that were not converted to detach in `device_unbind_cleanup()` this is so for
//! every driver, so findings are counted per bus and driver.

use hashbrown::HashMap;

use super::{
    Rule, blame,
    known::{self, Observed},
};
use crate::{
    event::{DeviceIdentity, Hook, Time},
    finding::{
        self, Certainty, Doubt, Finding, Known, Occurrences, Report, RuleInfo, Severity, Step,
        Subject,
    },
    model::{
        Change, Detail, Device, DeviceId, Entered, Frame, Hazard, InstanceKey, Model, Node, Origin,
        State, Taint,
    },
};

static INFO: RuleInfo = RuleInfo {
    id: "DR001",
    name: "pm-detach-before-release",
    severities: &[Severity::Error, Severity::Warn, Severity::Info],
    description: "A device's PM domain is detached before its driver's resources are released.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::PmAttach],
        &[Hook::PmDetach],
        &[Hook::Probe],
        &[Hook::Unbind, Hook::Remove],
    ],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr001.md"),
};

/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;
/// Releases that the order of a finding lists one by one.
const MOST_STEPS: usize = 16;

/// The rule. It keeps something only of devices between a detach and the end of their binding.
#[derive(Debug, Default)]
pub struct PmDetachBeforeRelease {
    detached: HashMap<DeviceId, Detach>,
}

/// A detach that came while resources were live.
#[derive(Debug)]
struct Detach {
    key: InstanceKey,
    identity: DeviceIdentity,
    binding: u32,
    /// Resources added later than this in the order of everything seen count.
    floor: u64,
    /// The place of the detach in that order.
    sequence: u64,
    /// What the device held was not seen to be added: what is released without an addition since was there.
    halfway: bool,
    /// When the probe or unbind around it began.
    began: Time,
    probing: bool,
    /// What is known of whoever detached it.
    known: Option<&'static Known>,
    entered: Time,
    released: Vec<finding::Resource>,
    /// All that were released, also those of which no details are kept.
    count: usize,
    severity: Severity,
}

impl Rule for PmDetachBeforeRelease {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(entered) if entered.hook == Hook::PmDetach => {
                match (entered.device, entered.detail) {
                    (Some(id), Detail::Pm(pm)) if pm.detaches() => self.detach(id, model, report),
                    (_, Detail::Pm(_)) | (None, _) => {}
                    (Some(id), _) => untold(id, model, report),
                }
            }
            Change::Entered(Entered {
                hook: Hook::PmAttach,
                device: Some(device),
                ..
            })
            | Change::Bound(device) => {
                // It has a PM domain again, or the probe that had detached one goes on without: what is
                // released later is released by somebody else.
                self.detached.remove(device);
            }
            Change::NodeReleased { node, .. } => {
                if let Some(node) = model.node(*node) {
                    self.released(node, model, report);
                }
            }
            Change::BindingEnded { device, .. } | Change::DeviceGone { device, .. } => {
                if let Some(detach) = self.detached.remove(device)
                    && detach.count > 0
                {
                    report.submit(detach.finding(Certainty::Confirmed));
                }
            }
            Change::Lost(_) => {
                for (_, detach) in self.detached.drain() {
                    detach.stay_silent(Doubt::EventsLostAfterDetach, report);
                }
            }
            Change::Tainted { device, .. } => {
                if let Some(detach) = self.detached.remove(device) {
                    detach.stay_silent(Doubt::MissedAfterDetach, report);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut open: Vec<_> = self.detached.drain().collect();
        open.sort_by_key(|(_, detach)| detach.sequence);
        for (id, mut detach) in open {
            if detach.count > 0 {
                report.submit(detach.finding(Certainty::Confirmed));
                continue;
            }
            if detach.halfway {
                continue;
            }
            // What was not released yet when the trace ended is likely to be, and no more than that.
            let Some(device) = model.device_by_id(id) else {
                continue;
            };
            for node in device.resources() {
                if detach.concerns(node) {
                    detach.keep(finding::resource(node, None, detach.entered));
                }
            }
            detach.stay_silent(Doubt::EndedAfterDetach, report);
            report.submit(detach.finding(Certainty::Likely));
        }
        let halfway = model.devices().filter(|device| {
            matches!(device.state(), State::Removing | State::Cleanup)
                && device
                    .resources()
                    .any(|node| node.phase() != State::Cleanup)
        });
        for device in halfway {
            let subject = Subject::of(device);
            report.stay_silent(INFO.id, subject.key, Doubt::EndedInUnbind);
        }
    }
}

/// It is not told whether the device has a PM domain to detach.
fn untold(id: DeviceId, model: &Model, report: &mut Report) {
    // Once for all devices where that is so of every detach.
    if !model.coverage().serves(Hook::PmDetach) {
        return;
    }
    if let Some(device) = model.device_by_id(id) {
        let subject = Subject::of(device);
        report.stay_silent(INFO.id, subject.key, Doubt::DetachUntold);
    }
}

impl PmDetachBeforeRelease {
    fn released(&mut self, node: &Node, model: &Model, report: &mut Report) {
        // Never seen to come, and outside of any unbind that was seen to begin: the trace began within one.
        let began_within = node.origin() == Origin::Unknown && !node.kind().is_marker();
        if self.detached.is_empty() && !began_within {
            return;
        }
        let Some(device) = model.owner(node) else {
            return;
        };
        let id = device.id();
        if let Some(detach) = self.detached.get_mut(&id) {
            detach.release(node, model.now());
        } else if began_within
            && !blame::runs(model, Hook::Unbind, id)
            && !blame::runs(model, Hook::Probe, id)
        {
            let subject = Subject::of(device);
            report.stay_silent(INFO.id, subject.key, Doubt::ReleasedInUnseenUnbind);
        }
    }

    /// A PM domain is about to be detached from a device.
    fn detach(&mut self, id: DeviceId, model: &Model, report: &mut Report) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let within_binding = matches!(
            device.state(),
            State::Probing | State::Removing | State::Cleanup
        ) || blame::runs(model, Hook::Unbind, id);
        // The virtual devices behind a device with several domains are detached by their consumer.
        let virtual_device = device.identity().bus.as_deref() == Some("genpd");
        if virtual_device || self.detached.contains_key(&id) {
            return;
        }
        if !within_binding {
            if device.state() == State::Unknown {
                let subject = Subject::of(device);
                report.stay_silent(INFO.id, subject.key, Doubt::DetachedInUnseenUnbind);
            }
            return;
        }
        let around = model.frames(model.current_task()).iter().rfind(|frame| {
            frame.device() == Some(id) && matches!(frame.hook(), Hook::Unbind | Hook::Probe)
        });
        let mut detach = Detach {
            key: device.key(),
            identity: device.identity().clone(),
            binding: device.binding(),
            floor: floor(device),
            sequence: model.sequence(),
            halfway: false,
            began: around.map_or(model.now(), Frame::entered),
            probing: around.is_some_and(|frame| frame.hook() == Hook::Probe),
            known: known_of(device, model),
            entered: model.now(),
            released: Vec::new(),
            count: 0,
            severity: Severity::Info,
        };
        if let Some(doubt) = doubt(device, model) {
            detach.stay_silent(doubt, report);
            detach.halfway = doubt == Doubt::DetachedFromUnknown;
            if detach.halfway {
                self.detached.insert(id, detach);
            }
        } else if device.resources().any(|node| detach.concerns(node)) {
            self.detached.insert(id, detach);
        }
    }
}

/// What is known of a detach, by who called it: the bus, or somebody else.
fn known_of(device: Device<'_>, model: &Model) -> Option<&'static Known> {
    let caller = blame::caller(model.current_stack()?, Hook::PmDetach.symbol())?;
    let observed = Observed {
        bus: device.identity().bus.as_deref(),
        function: caller.base_name(),
        ..Observed::default()
    };
    known::of(INFO.id, observed)
}

/// Why nothing can be said of the device's current binding, if something since its begin was missed. A
/// release that accounts for every resource makes the list certain again, but not what the device does.
fn doubt(device: Device<'_>, model: &Model) -> Option<Doubt> {
    let (tainted, lost) = (device.tainted_at(), model.last_loss());
    let missed = tainted.max(lost)?;
    if device.binding_sequence() > missed {
        return None;
    }
    // What was added after the domain was attached is all that counts.
    if device
        .pm_attached()
        .is_some_and(|attached| device.is_whole_since(attached))
    {
        return None;
    }
    if lost > tainted {
        return Some(Doubt::DetachedAfterLoss);
    }
    Some(
        match device.taints().next().unwrap_or(Taint::FirstSeenHalfway) {
            Taint::FirstSeenHalfway => Doubt::DetachedFromUnknown,
            Taint::Loss(_) => Doubt::DetachedAfterLoss,
            Taint::TornSnapshot
            | Taint::MissedReturn
            | Taint::Desync
            | Taint::Indistinct
            | Taint::Unfitting
            | Taint::Disordered
            | Taint::Repeated => Doubt::DetachedAfterMiss,
        },
    )
}

/// From where on resources count: what the driver core adds before it attaches the PM domain (pin
/// control) is rightly released after the detach.
fn floor(device: Device<'_>) -> u64 {
    if let Some(attached) = device.pm_attached() {
        return attached;
    }
    // Attached before the trace began: pinctrl_bind_pins() adds its block and itself first of all.
    device
        .nodes()
        .take(2)
        .filter(|(_, node)| node.origin() == Origin::Snapshot)
        .find(|(_, node)| {
            node.name()
                .is_some_and(|name| &**name == "devm_pinctrl_release")
        })
        .map_or(0, |(_, node)| node.sequence())
}

impl Detach {
    /// Whether a resource that is live after the detach was there before, and counts. What a release adds
    /// is left over by that release, whatever comes after it.
    fn concerns(&self, node: &Node) -> bool {
        node.binding() == self.binding
            && node.sequence() > self.floor
            && node.sequence() < self.sequence
            && node.phase() != State::Cleanup
            && node.origin() != Origin::Unknown
            && !node.kind().is_marker()
    }

    /// Whether a resource that was never seen to be added must have been there at the detach: after it, its addition
    /// would have been seen. What pin control holds is rightly released later, and of memory nobody knows whose it is.
    fn was_there(&self, node: &Node) -> bool {
        let needs_device = node.kind().hazard().is_some_and(Hazard::touches_hardware);
        self.halfway
            && needs_device
            && node.origin() == Origin::Unknown
            && node.binding() == self.binding
            && node
                .name()
                .is_none_or(|name| &**name != "devm_pinctrl_release")
    }

    fn release(&mut self, node: &Node, now: Time) {
        if !self.concerns(node) && !self.was_there(node) {
            return;
        }
        let severity = match node.kind().hazard() {
            Some(hazard) if hazard.touches_hardware() => Severity::Error,
            Some(_) => Severity::Warn,
            None => Severity::Info,
        };
        self.severity = self.severity.max(severity);
        self.keep(finding::resource(node, Some(now), self.entered));
    }

    fn keep(&mut self, resource: finding::Resource) {
        self.count += 1;
        if self.released.len() < MOST_RESOURCES {
            self.released.push(resource);
        }
    }

    fn stay_silent(&self, doubt: Doubt, report: &mut Report) {
        report.stay_silent(INFO.id, self.key, doubt);
    }

    fn finding(self, certainty: Certainty) -> Finding {
        let name = self.identity.name.as_deref().unwrap_or("unnamed device");
        let driver = self.identity.driver.as_deref();
        let bus = self.identity.bus.as_deref();
        let last = self
            .released
            .last()
            .and_then(|resource| resource.released)
            .unwrap_or(self.entered);
        let summary = self.summary(name, certainty);
        Finding {
            rule: INFO.id,
            severity: self.severity,
            certainty,
            device: name.to_owned(),
            instance: self.key,
            driver: driver.map(str::to_owned),
            bus: bus.map(str::to_owned),
            fingerprint: format!(
                "{}/{}/{}",
                INFO.id,
                bus.unwrap_or("?"),
                driver.unwrap_or("?")
            ),
            count: 1,
            caused_by: None,
            known: self.known,
            summary,
            meaning: self.meaning(certainty).to_owned(),
            order: self.order(certainty),
            expected: vec![
                "the driver's resources are released, newest first".to_owned(),
                "dev_pm_domain_detach() detaches the PM domain".to_owned(),
            ],
            resources: self.released,
            next: Vec::new(),
            delay_since: "the detach",
            first: self.entered,
            last,
            occurrences: Occurrences::default(),
        }
    }

    fn summary(&self, name: &str, certainty: Certainty) -> String {
        let resources = match self.count {
            1 => "1 resource".to_owned(),
            count => format!("{count} resources"),
        };
        let verb = if self.count == 1 { "was" } else { "were" };
        if certainty == Certainty::Likely {
            return format!(
                "The PM domain of {name} was detached while {resources} {verb} live; the trace ended \
                 before the release."
            );
        }
        let harm = self
            .released
            .iter()
            .find(|resource| resource.touches_hardware)
            .map(|resource| format!("; {} may touch hardware", resource.label()))
            .unwrap_or_default();
        format!("The PM domain of {name} was detached before {resources} {verb} released{harm}.")
    }

    fn meaning(&self, certainty: Certainty) -> &'static str {
        match (certainty, self.severity) {
            (Certainty::Likely, _) => {
                "Not confirmed: no release was seen after the detach, because the trace ended first."
            }
            (Certainty::Confirmed, Severity::Error) => {
                "Code that may touch the device's registers ran, or could still be called, after the PM \
                 domain was detached: power and clocks may have been off."
            }
            (Certainty::Confirmed, Severity::Warn) => {
                "Releases ran after the PM domain was detached. None of them is known to touch the \
                 device's registers."
            }
            (Certainty::Confirmed, Severity::Info) => {
                "Only memory was released after the PM domain was detached: wrong order, but harmless \
                 here."
            }
        }
    }

    fn order(&self, certainty: Certainty) -> Vec<Step> {
        let around = if self.probing { "probe" } else { "unbind" };
        let mut order = vec![
            Step {
                time: self.began,
                what: format!("{around} begins"),
            },
            Step {
                time: self.entered,
                what: "dev_pm_domain_detach() detaches the PM domain".to_owned(),
            },
        ];
        if certainty == Certainty::Likely {
            return order;
        }
        for resource in self.released.iter().take(MOST_STEPS) {
            order.push(Step {
                time: resource.released.unwrap_or(self.entered),
                what: format!("{} is released", resource.label()),
            });
        }
        if let Some(last) = self.released.get(MOST_STEPS..).and_then(<[_]>::last) {
            order.push(Step {
                time: last.released.unwrap_or(self.entered),
                what: format!("{} more are released", self.count - MOST_STEPS),
            });
        }
        order
    }
}
