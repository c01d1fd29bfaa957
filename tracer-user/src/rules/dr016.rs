//! DR016 managed-free-miss: a resource is to be given up by hand, and the device has none such.

use super::{Rule, RuleInfo, blame, dr005};
use crate::{
    event::{Hook, Message},
    finding::{self, Cause, Finding, Report, Severity, Step, Subject},
    model::{Change, DeviceId, Left, Model},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR016",
    name: "managed-free-miss",
    severities: &[Severity::Warn],
    description: "A resource is to be given up by hand, and the device has none such.",
    needs: &[&[Hook::Destroy], &[Hook::Release]],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr016.md"),
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

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub struct ManagedFreeMiss;

impl Rule for ManagedFreeMiss {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

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
            && *value == -ENOENT
        {
            missed(left, *device, model, report);
        }
        if let Change::Told { device, message } = change
            && let Message::Warning { function, .. } = &**message
        {
            let function = function.as_deref().unwrap_or_default();
            if !dr005::is_of_groups(function) {
                warned(*device, function, model, report);
            }
        }
    }
}

/// The kernel itself warned.
fn warned(id: Option<DeviceId>, function: &str, model: &Model, report: &mut Report) {
    let subject = blame::told_of(id, model);
    let caller = blame::reported_caller(function, model);
    let who = caller.map_or_else(String::new, |caller| format!(", called by {caller}"));
    let place = match function {
        "" => "drivers/base/devres.c".to_owned(),
        function => format!("{function}()"),
    };
    let meaning = match function {
        "devres_release_all" => {
            "The device was never initialised, or its memory is no device any more."
        }
        "devres_free" => {
            "A resource is freed that is still on a device's list: that list is broken now."
        }
        _ => {
            "What was to be given up is not on this device: it belongs to another one, was given up before, or was \
             never acquired. It stays until its device goes, or was given up twice."
        }
    };
    let what = blame::reported_as("", function, caller);
    report.submit(Finding {
        summary: format!("The kernel warned in {place}{who}."),
        meaning: meaning.to_owned(),
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, Severity::Warn, &what, model.now())
    });
}

fn missed(left: &Left, id: DeviceId, model: &Model, report: &mut Report) {
    let Some(device) = model.device_by_id(id) else {
        return;
    };
    let function = left.hook.symbol();
    let stack = left.stack.and_then(|stack| model.stack(stack));
    let caller = stack.and_then(|stack| blame::caller(stack, function));
    let what = caller
        .and_then(|caller| caller.name.as_deref())
        .unwrap_or(function);
    // A release has taken the whole list off the device: whatever it looks for there, it finds nothing.
    let in_release =
        blame::runs(model, Hook::ReleaseAll, id) || blame::runs(model, Hook::ReleaseGroup, id);
    if in_release || PREPARED.contains(&what) || what.ends_with("_nowarn") {
        return;
    }
    let subject = Subject::of(device);
    let who = caller.map_or_else(|| "Somebody".to_owned(), ToString::to_string);
    let task = model.current_task();
    report.submit(Finding {
        summary: format!(
            "{who} called {function}() on {}, which found no such resource.",
            subject.name()
        ),
        meaning: "What was meant to be given up was not: it is on another device, was given up before, or is \
                  looked for in the wrong way. It stays until its device goes, or is given up twice."
            .to_owned(),
        order: vec![Step {
            time: model.now(),
            what: format!("{function}() returns -ENOENT"),
        }],
        caused_by: stack.map(|stack| Cause {
            device: subject.name().to_owned(),
            instance: subject.key,
            driver: subject.driver().map(str::to_owned),
            frame: "a call",
            task: task.comm.name().into_owned(),
            tid: task.tid,
            stack: finding::frames(stack),
        }),
        ..subject.finding(&INFO, Severity::Warn, what, model.now())
    });
}
