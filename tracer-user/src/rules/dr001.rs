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
    event::{Hook, Time},
    finding::{self, Certainty, Doubt, Finding, Known, Report, RuleInfo, Severity, Step, Subject},
    model::{
        Change, Detail, Device, DeviceId, Entered, Left, Model, Node, Origin, PmDetach, State,
        Taint, Teardown,
    },
    number::plural,
};

pub(super) static INFO: RuleInfo = RuleInfo {
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
    page: include_str!("dr001.md"),
    ..RuleInfo::PLAIN
};

/// Resources whose details a finding keeps.
const MOST_RESOURCES: usize = 100;
/// Releases that the order of a finding lists one by one.
const MOST_STEPS: usize = 16;

/// The rule. It keeps something only of devices between a detach and the end of their binding.
#[derive(Debug, Default)]
pub(super) struct PmDetachBeforeRelease {
    detached: HashMap<DeviceId, Detach>,
}

/// A detach that came while resources were live.
#[derive(Debug)]
struct Detach {
    subject: Subject,
    /// The probe or unbind around it.
    around: Teardown,
    at: PmDetach,
    /// What the device held was not seen to be added: what is released without an addition since was there.
    halfway: bool,
    /// What is known of whoever detached it.
    known: Option<&'static Known>,
    released: Vec<finding::Resource>,
    /// All that were released, also those of which no details are kept.
    count: usize,
    severity: Severity,
}

impl Rule for PmDetachBeforeRelease {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(entered) if entered.hook == Hook::PmDetach => {
                match (entered.device, &entered.detail) {
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
            Change::Left(Left {
                hook: Hook::PmDetach,
                sequence: 0,
                ..
            }) => missed(model, report),
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
        open.sort_by_key(|(_, detach)| detach.at.sequence());
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
                if detach.at.is_outlived_by(node) {
                    detach.keep(finding::resource(node, None, detach.at.time()));
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

/// It is not known whether the device has a PM domain to detach.
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
        // The virtual devices behind a device with several domains are detached by their consumer.
        let virtual_device = device.identity().bus.as_deref() == Some("genpd");
        if virtual_device || self.detached.contains_key(&id) {
            return;
        }
        let around = device.teardown().filter(|around| around.is_of_binding());
        let Some((around, detach)) = around.and_then(|around| Some((around, around.detach()?)))
        else {
            if device.state() == State::Unknown {
                let subject = Subject::of(device);
                report.stay_silent(INFO.id, subject.key, Doubt::DetachedInUnseenUnbind);
            }
            return;
        };
        let mut detach = Detach {
            subject: Subject::of(device),
            around: *around,
            at: *detach,
            halfway: false,
            known: known_of(device, model),
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
        } else if device
            .resources()
            .any(|node| detach.at.is_outlived_by(node))
        {
            self.detached.insert(id, detach);
        } else if device
            .resources()
            .any(|node| detach.at.is_of_unseen_probe(node))
        {
            detach.stay_silent(Doubt::DetachedAfterUnseenProbe, report);
        }
    }
}

/// A detach returns that was not seen to be called. Of the device that is taken apart on the task, as far as is known.
fn missed(model: &Model, report: &mut Report) {
    let mut frames = model.frames(model.current_task()).iter().rev();
    let device = frames.find_map(|frame| match frame.hook() {
        Hook::Probe | Hook::Unbind | Hook::Remove | Hook::Cleanup => frame.device(),
        _ => None,
    });
    if let Some(device) = device.and_then(|id| model.device_by_id(id))
        && device.resources().next().is_some()
    {
        let subject = Subject::of(device);
        report.stay_silent(INFO.id, subject.key, Doubt::DetachMissed);
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

impl Detach {
    fn release(&mut self, node: &Node, now: Time) {
        let was_there = self.halfway && self.at.must_be_outlived_by(node);
        if !self.at.is_outlived_by(node) && !was_there {
            return;
        }
        let severity = match node.kind().hazard() {
            Some(hazard) if hazard.touches_hardware() => Severity::Error,
            Some(_) => Severity::Warn,
            None => Severity::Info,
        };
        self.severity = self.severity.max(severity);
        self.keep(finding::resource(node, Some(now), self.at.time()));
    }

    fn keep(&mut self, resource: finding::Resource) {
        self.count += 1;
        if self.released.len() < MOST_RESOURCES {
            self.released.push(resource);
        }
    }

    fn stay_silent(&self, doubt: Doubt, report: &mut Report) {
        report.stay_silent(INFO.id, self.subject.key, doubt);
    }

    fn finding(self, certainty: Certainty) -> Finding {
        let detached = self.at.time();
        let last = self.released.last();
        Finding {
            certainty,
            known: self.known,
            summary: self.summary(certainty),
            meaning: self.meaning(certainty).to_owned(),
            order: self.order(certainty),
            expected: vec![
                "the driver's resources are released, newest first".to_owned(),
                "dev_pm_domain_detach() detaches the PM domain".to_owned(),
            ],
            delay_since: "the detach",
            last: last
                .and_then(|resource| resource.released)
                .unwrap_or(detached),
            resources: self.released,
            ..self.subject.finding(&INFO, self.severity, "", detached)
        }
    }

    fn summary(&self, certainty: Certainty) -> String {
        let name = self.subject.name();
        let resources = format!(
            "{} {}",
            self.count,
            plural(self.count, "resource", "resources")
        );
        let verb = plural(self.count, "was", "were");
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
        let around = if self.around.root() == Hook::Probe {
            "probe"
        } else {
            "unbind"
        };
        let mut order = vec![
            Step::at(self.around.began(), format!("{around} begins")),
            Step::at(
                self.at.time(),
                "dev_pm_domain_detach() detaches the PM domain",
            ),
        ];
        if certainty == Certainty::Likely {
            return order;
        }
        for resource in self.released.iter().take(MOST_STEPS) {
            order.push(Step::at(
                resource.released.unwrap_or(self.at.time()),
                format!("{} is released", resource.label()),
            ));
        }
        if let Some(last) = self.released.get(MOST_STEPS..).and_then(<[_]>::last) {
            order.push(Step::at(
                last.released.unwrap_or(self.at.time()),
                format!("{} more are released", self.count - MOST_STEPS),
            ));
        }
        order
    }
}
