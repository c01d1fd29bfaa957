//! DR016 managed-free-miss: a resource is to be given up by hand, and the device has none such, or what it stands for
//! is kept.

use super::{
    Rule, blame, dr005,
    known::{self, Observed},
    splat::{self, Proof},
};
use crate::{
    event::{Function, Hook, Message, StackDefinition},
    finding::{Cause, Certainty, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, DeviceId, Left, Model},
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR016",
    name: "managed-free-miss",
    severities: &[Severity::Warn],
    description: "An explicit free finds no such resource on the device, or drops it without releasing it.",
    needs: &[
        &[Hook::Destroy],
        &[Hook::Release],
        &[Hook::ReleaseAll],
        &[Hook::ReleaseGroup],
    ],
    page: include_str!("dr016.md"),
    ..RuleInfo::PLAIN
};

/// The kernel's `ENOENT`.
const ENOENT: i64 = 2;

/// Callers that are prepared to find nothing: a descriptor may be shared, or was given up already; and
/// `pci_release_regions()` gives up every region of a device, requested or not.
const PREPARED: &[&str] = &[
    "devm_gpiod_unhinge",
    "devm_gpio_free",
    "pcim_release_region",
];

/// Callers of `devres_destroy()` that free nothing by hand after it, so that what the resource stood for stays: each
/// of them calls `devres_release()` where it has been mended.
const MEANT_RELEASE: &[&str] = &[
    "devm_free_percpu",
    "devm_of_phy_provider_unregister",
    "devm_pci_epc_destroy",
    "devm_phy_destroy",
    "devm_phy_put",
    "devm_usb_put_phy",
];

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub(super) struct ManagedFreeMiss;

impl Rule for ManagedFreeMiss {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::Left(
            left @ Left {
                hook: Hook::Destroy | Hook::Release,
                device: Some(device),
                value: Some(value),
                inferred: false,
                ..
            },
        ) = change
        {
            match *value {
                0 if left.hook == Hook::Destroy => destroyed(left, *device, model, report),
                value if value == -ENOENT => missed(left, *device, model, report),
                _ => {}
            }
        }
        let Change::KernelMessage { device, message } = change else {
            return;
        };
        match &**message {
            Message::Warning { function, line } => {
                let function = function.as_deref().unwrap_or_default();
                if !dr005::is_of_groups(function) {
                    let certainty = blame::certainty_of_warning(*line);
                    warned(*device, function, certainty, model, report);
                }
            }
            // Elsewhere a managed function may warn of something else, too.
            Message::Splat(splat) if splat::proof(splat) == Proof::Missed => {
                let function = splat::missed(splat).unwrap_or_default();
                warned(*device, function, Certainty::Likely, model, report);
            }
            message => splat::judge(&INFO, Proof::Missed, *device, message, model, report),
        }
    }

    fn finish(&mut self, model: &Model, report: &mut Report) {
        let mut running: Vec<_> = model
            .running()
            .filter(|(_, frame)| {
                matches!(frame.hook(), Hook::Destroy | Hook::Release)
                    && model.sees_return(frame.hook())
            })
            .filter_map(|(_, frame)| model.device_by_id(frame.device()?))
            .map(|device| Subject::of(device).key)
            .collect();
        running.sort_unstable();
        for key in running {
            report.stay_silent(INFO.id, key, Doubt::EndedInFree);
        }
    }
}

/// The kernel itself warned.
fn warned(
    id: Option<DeviceId>,
    function: &str,
    certainty: Certainty,
    model: &Model,
    report: &mut Report,
) {
    let subject = blame::told_of(id, model);
    let caller = blame::reported_caller(function, model);
    let who = caller.map_or_else(String::new, |caller| format!(", called by {caller}"));
    let place = match function {
        "" => "drivers/base/devres.c".to_owned(),
        function => format!("{function}()"),
    };
    let meaning = match function {
        "" => {
            "The text does not say which function warned: a resource to be freed is not on this device, a group of that \
             identifier is not there, or a resource was freed that is still on a list."
        }
        "devres_release_all" => {
            "The device was never initialized, or its memory no longer holds a device."
        }
        "devres_free" => {
            "A resource that is still on a device's list was freed: the list is corrupt now."
        }
        _ => {
            "The resource to be freed is not on this device: it is on another one, was freed before, or was never \
             acquired. It stays until its device is released, or was freed twice."
        }
    };
    let lasting = model
        .current_stack()
        .and_then(|stack| blame::caller_name(stack, function));
    let what = blame::reported_as("", function, lasting);
    report.submit(Finding {
        certainty,
        summary: format!("The kernel warned in {place}{who}."),
        meaning: meaning.to_owned(),
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, Severity::Warn, &what, model.now())
    });
}

/// `devres_destroy()` has dropped a resource without releasing it.
fn destroyed(left: &Left, id: DeviceId, model: &Model, report: &mut Report) {
    let (Some(device), Some(call)) = (model.device_by_id(id), Call::of(left, model)) else {
        return;
    };
    let Some(name) = call
        .caller
        .and_then(Function::base_name)
        .filter(|name| MEANT_RELEASE.contains(name))
    else {
        return;
    };
    let subject = Subject::of(device);
    report.submit(Finding {
        summary: format!(
            "{name}() dropped a resource of {} with devres_destroy(), which does not release it.",
            subject.name()
        ),
        meaning: "The resource is leaked: it stays acquired, and nothing refers to it any more."
            .to_owned(),
        order: vec![Step::at(
            model.now(),
            format!("{name}() calls devres_destroy(), which returns 0"),
        )],
        expected: vec![format!(
            "{name}() calls devres_release(), which runs the release function"
        )],
        caused_by: Some(call.cause(&subject, model)),
        known: known::of(INFO.id, Observed::function(Some(name))),
        ..subject.finding(&INFO, Severity::Warn, name, model.now())
    });
}

fn missed(left: &Left, id: DeviceId, model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    // A release has taken the whole list off the device: whatever it looks for there, it finds nothing.
    if INFO.missing(model.coverage()).next().is_some()
        || blame::runs(model, Hook::ReleaseAll, id)
        || blame::runs(model, Hook::ReleaseGroup, id)
    {
        return;
    }
    let subject = Subject::of(device);
    let mut stay_silent = |doubt| report.stay_silent(INFO.id, subject.key, doubt);
    if !device.is_whole() {
        stay_silent(Doubt::NotFoundAfterMiss);
        return;
    }
    let call = Call::of(left, model).and_then(|call| Some((call.caller?, call)));
    let Some((caller, call)) = call else {
        stay_silent(Doubt::NotFoundByUnknown);
        return;
    };
    let function = left.hook.symbol();
    let what = caller.base_name().unwrap_or(function);
    if PREPARED.contains(&what) || what.ends_with("_nowarn") {
        return;
    }
    let lasting = call.stack.lasting_name(caller).unwrap_or(function);
    report.submit(Finding {
        summary: format!(
            "{caller} called {function}() on {}, which found no such resource.",
            subject.name()
        ),
        meaning: "Nothing was freed: the resource is on another device, was freed before, or the wrong function \
                  looked for it. It stays until its device is released, or is freed twice."
            .to_owned(),
        order: vec![Step::at(model.now(), format!("{caller} calls {function}(), which returns -ENOENT"))],
        expected: vec![
            "the resource is added to the device".to_owned(),
            format!("{function}() finds it there, once, and returns 0"),
        ],
        caused_by: Some(call.cause(&subject, model)),
        ..subject.finding(&INFO, Severity::Warn, lasting, model.now())
    });
}

/// A call that gives up a resource, and its stack.
struct Call<'m> {
    stack: &'m StackDefinition,
    caller: Option<&'m Function>,
}

impl<'m> Call<'m> {
    /// The call that has just returned; `None` without a stack.
    fn of(left: &Left, model: &'m Model) -> Option<Self> {
        let stack = left.stack.and_then(|stack| model.stack(stack))?;
        let caller = blame::caller(stack, left.hook.symbol());
        Some(Self { stack, caller })
    }

    fn cause(&self, subject: &Subject, model: &Model) -> Cause {
        subject.cause("a call", model.current_task(), Some(self.stack))
    }
}
