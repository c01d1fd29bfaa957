//! DR004 group-open-at-bound: a device is bound while one of its groups is still open, so that everything
//! added from then on belongs to it.

use super::{Rule, blame, bus_group::is_of_bus};
use crate::{
    event::Hook,
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Device, DeviceId, Model, Node, Origin},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR004",
    name: "group-open-at-bound",
    severities: &[Severity::Warn],
    description: "A group is still open when its device is bound.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::Bound],
    ],
    page: include_str!("dr004.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub(super) struct GroupOpenAtBound;

impl Rule for GroupOpenAtBound {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::Bound(device) = change {
            bound(*device, model, report);
        }
    }
}

fn bound(id: DeviceId, model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let open = device
        .groups()
        .filter(|(_, _, close)| close.is_none())
        .filter_map(|(_, open, _)| model.node(open));
    for marker in open {
        if is_by_design(marker, device) {
            continue;
        }
        let subject = Subject::of(device);
        let who = marker.stack().is_some() || device.identity().bus.is_some();
        if !who {
            report.stay_silent(INFO.id, subject.key, Doubt::OpenGroupUnexplained);
            continue;
        }
        if !device.is_whole() || marker.origin() != Origin::Seen {
            report.stay_silent(INFO.id, subject.key, Doubt::OpenGroupAfterMiss);
            continue;
        }
        let opener = marker
            .stack()
            .and_then(|stack| blame::caller(stack, "devres_open_group"));
        let by = opener.map_or_else(|| "its driver".to_owned(), ToString::to_string);
        let what = marker
            .stack()
            .and_then(|stack| stack.lasting_name(opener?))
            .unwrap_or("?");
        report.submit(Finding {
            summary: format!(
                "{} was bound while a group that {by} had opened was still open.",
                subject.name()
            ),
            meaning: "Everything added to the device from now on belongs to that group. Releasing \"the\" group by \
                      NULL releases all of it; DR003 is the consequence."
                .to_owned(),
            order: vec![
                Step::at(marker.added(), format!("{by} opens a group on {}", subject.name())),
                Step::at(model.now(), format!("{} is bound; the group is open", subject.name())),
            ],
            expected: vec![
                "whoever opens a group during the probe closes it with devres_close_group(), or takes it away with \
                 devres_remove_group()"
                    .to_owned(),
                "the device is bound".to_owned(),
            ],
            resources: vec![finding::live_resource(marker)],
            ..subject.finding(&INFO, Severity::Warn, what, model.now())
        });
    }
}

fn is_by_design(marker: &Node, device: Device<'_>) -> bool {
    let identity = device.identity();
    let bus = identity.bus.as_deref().unwrap_or_default();
    // vgem and vkms open one on a faux device and release it at their module's exit.
    if bus == "faux" || identity.driver.as_deref() == Some("xe") {
        return true;
    }
    let opener = marker
        .stack()
        .and_then(|stack| blame::caller(stack, "devres_open_group"));
    opener.is_some_and(blame::is_component_core) || is_of_bus(marker, device)
}
