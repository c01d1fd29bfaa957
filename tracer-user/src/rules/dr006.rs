//! DR006 null-id-picks-other-group: a group function is called with NULL, which means the newest open group,
//! and that is one that somebody opened by name, or another module.

use super::{Rule, blame};
use crate::{
    event::{GroupId, Hook},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, DeviceId, Entered, Model, NodeId},
};

static INFO: RuleInfo = RuleInfo {
    id: "DR006",
    name: "null-id-picks-other-group",
    severities: &[Severity::Warn],
    description: "A group function called with NULL selects an unintended group.",
    needs: &[
        &[Hook::DevresLog, Hook::AddDr],
        &[Hook::OpenGroup],
        &[Hook::CloseGroup],
        &[Hook::ReleaseGroup],
    ],
    details: &[],
    sharpened_by: &[],
    optional: false,
    page: include_str!("dr006.md"),
};

/// The rule. It keeps nothing.
#[derive(Debug, Default)]
pub struct NullIdPicksOther;

impl Rule for NullIdPicksOther {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if let Change::Entered(Entered {
            hook: hook @ (Hook::CloseGroup | Hook::ReleaseGroup | Hook::RemoveGroup),
            device: Some(device),
            detail:
                Detail::Group {
                    id: GroupId(0),
                    selected: Some(selected),
                    ..
                },
        }) = change
        {
            called(*hook, *device, *selected, model, report);
        }
    }
}

fn called(hook: Hook, id: DeviceId, selected: NodeId, model: &Model, report: &mut Report) {
    let (Some(device), Some(marker)) = (model.device_by_id(id), model.node(selected)) else {
        return;
    };
    let function = hook.symbol();
    let caller = model
        .current_stack()
        .and_then(|stack| blame::caller(stack, function));
    let opener = marker
        .stack()
        .and_then(|stack| blame::caller(stack, "devres_open_group"));
    let named = marker
        .group()
        .is_some_and(|group| group.0 != 0 && group.0 != marker.address().0);
    let other_module = match (caller, opener) {
        // What a module's initialisation did can't be told: its function is no more.
        (Some(caller), Some(opener)) => {
            caller.module != opener.module
                && caller.base_name() != opener.base_name()
                && opener.base_name() != Some("do_one_initcall")
        }
        _ => false,
    };
    if !named && !other_module {
        return;
    }
    // component.c opens by name and closes by NULL right after.
    if caller.is_some_and(blame::is_component_core) {
        return;
    }
    let subject = Subject::of(device);
    let whole = device.is_whole_since(marker.sequence()) && !device.is_tainted();
    let Some(caller) = caller.filter(|_| whole) else {
        report.stay_silent(INFO.id, subject.key, Doubt::NullSelectedForUnknown);
        return;
    };
    let origin = if named {
        "opened with its own identifier".to_owned()
    } else {
        opener.map_or_else(String::new, |opener| format!("opened by {opener}"))
    };
    let what = model
        .current_stack()
        .and_then(|stack| stack.lasting_name(caller))
        .unwrap_or("?");
    report.submit(Finding {
        summary: format!("{caller} called {function}(NULL) on {}, which selected a group {origin}.", subject.name()),
        meaning: "NULL selects the most recently opened group that is still open. If another one was meant, \
                  this one is closed or released instead."
            .to_owned(),
        order: vec![
            Step::at(marker.added(), format!("the group is {origin}")),
            Step::at(model.now(), format!("{caller} calls {function}(NULL), which selects it")),
        ],
        expected: vec![format!(
            "{function}() is called with the id that devres_open_group() returned"
        )],
        resources: vec![finding::live_resource(marker)],
        caused_by: blame::caller_as_cause(&subject, model),
        ..subject.finding(&INFO, Severity::Warn, what, model.now())
    });
}
