//! DR002 pm-domain-leak-on-failed-probe: a probe that fails leaves the PM domain attached that was attached
//! in it.

use hashbrown::HashMap;

use super::{
    Rule,
    known::{self, Observed},
};
use crate::{
    errno,
    event::{Hook, Role},
    finding::{Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, Device, DeviceId, Entered, Left, Model, State},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR002",
    name: "pm-domain-leak-on-failed-probe",
    severities: &[Severity::Warn],
    description: "A failed probe does not detach the PM domain it attached.",
    needs: &[&[Hook::Probe], &[Hook::PmAttach]],
    details: &[(Hook::Probe, Role::PmDomain), (Hook::Probe, Role::Returned)],
    page: include_str!("dr002.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps the place at which each running probe began without a domain.
#[derive(Debug, Default)]
pub(super) struct PmDomainLeak {
    without: HashMap<DeviceId, u64>,
}

impl Rule for PmDomainLeak {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook: Hook::Probe,
                device: Some(id),
                detail: Detail::Pm(pm),
            }) => {
                let began = model.device_by_id(*id).map(Device::binding_sequence);
                match began.filter(|_| !pm.detaches()) {
                    Some(began) => self.without.insert(*id, began),
                    None => self.without.remove(id),
                };
            }
            Change::Left(
                left @ Left {
                    hook: Hook::Probe,
                    device: Some(id),
                    ..
                },
            ) => {
                let without = self.without.remove(id);
                if !left.inferred {
                    failed(left, *id, without, model, report);
                }
            }
            Change::DeviceGone { device, .. } if !self.without.is_empty() => {
                self.without.remove(device);
            }
            _ => {}
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut running: Vec<_> = model
            .running()
            .filter(|(_, frame)| frame.hook() == Hook::Probe)
            .filter_map(|(_, frame)| model.device_by_id(frame.device()?))
            .filter(|device| device.pm().detaches() && device.state() == State::Probing)
            .map(|device| Subject::of(device).key)
            .collect();
        running.sort_unstable();
        for key in running {
            report.stay_silent(INFO.id, key, Doubt::EndedInProbe);
        }
    }
}

/// A probe has returned; `without` is where it began, if the device had no domain then. A bus may set one by other
/// ways than `dev_pm_domain_attach`.
fn failed(left: &Left, id: DeviceId, without: Option<u64>, model: &Model, report: &mut Report) {
    let (Some(device), Some(pm)) = (model.device_by_id(id), left.pm) else {
        return;
    };
    // 5.10 returns 1 for a bound device, and 0 for a probe that failed: the state says.
    let failed = left.value.is_some_and(|value| value != 1) && device.state() == State::Unbound;
    let attached = without.or_else(|| {
        device
            .pm_attached()
            .filter(|place| *place > device.binding_sequence())
    });
    let Some(attached) = attached.filter(|_| failed && pm.detaches()) else {
        return;
    };
    let subject = Subject::of(device);
    if !device.is_whole() || !device.is_whole_since(attached) {
        report.stay_silent(INFO.id, subject.key, Doubt::ProbeFailedAfterMiss);
        return;
    }
    let name = subject.name();
    // Before 5.18 the kernel keeps the error to itself.
    let error = left.probe_error();
    let value = error.map_or_else(String::new, |error| format!(" ({})", errno::name(error)));
    report.submit(Finding {
        summary: format!(
            "The probe of {name} failed{value} and did not detach the PM domain it had attached."
        ),
        meaning: "The domain stays powered on for a device without a driver, and the next probe finds a domain \
                  already attached. The bus's probe must detach it on failure."
            .to_owned(),
        order: vec![
            Step::at(left.entered, "probe begins"),
            Step::at(model.now(), format!("probe fails{value}, and the PM domain is still attached")),
        ],
        expected: vec![
            "the driver's resources are released, newest first".to_owned(),
            "dev_pm_domain_detach() detaches the PM domain".to_owned(),
            "probe returns its error".to_owned(),
        ],
        known: known::of(
            INFO.id,
            Observed {
                bus: subject.bus(),
                ..Observed::default()
            },
        ),
        ..subject.finding(&INFO, Severity::Warn, "", model.now())
    });
}
