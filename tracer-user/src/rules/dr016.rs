//! DR016 managed-free-miss: a resource is to be given up by hand, and the device has none such.

use super::{Rule, RuleInfo, blame};
use crate::{
    event::Hook,
    finding::{self, Cause, Finding, Report, Severity, Step, Subject},
    model::{Change, DeviceId, Left, Model},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR016",
    name: "managed-free-miss",
    severities: &[Severity::Warn],
    description: "devres_destroy() or devres_release() finds nothing to give up.",
    needs: &[&[Hook::Destroy], &[Hook::Release]],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr016.md"),
};

/// The kernel's `ENOENT`.
const ENOENT: i64 = 2;

/// Callers that are prepared to find nothing: a descriptor may be shared, or was given up already.
const PREPARED: &[&str] = &["devm_gpiod_unhinge", "devm_gpio_free"];

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
    }
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
