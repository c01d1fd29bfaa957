//! DR006 null-id-picks-other-group: a group function is called with NULL, which means the newest open group,
//! and that is one that somebody opened by name, or another module.

use super::{Rule, blame};
use crate::{
    event::{Function, GroupId, Hook, StackDefinition},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, DeviceId, Entered, Model, Node, NodeId},
};

pub(super) static INFO: RuleInfo = RuleInfo {
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
    page: include_str!("dr006.md"),
    ..RuleInfo::PLAIN
};

/// The rule. It keeps only what was called a moment ago.
#[derive(Debug, Default)]
pub(super) struct NullIdPicksOther {
    unproven: Vec<Unproven>,
}

/// A group function was called with NULL, and by all that was seen before it selects this group. What the kernel does then
/// shows whether it does.
#[derive(Debug)]
struct Unproven {
    hook: Hook,
    device: DeviceId,
    selected: NodeId,
    tid: u32,
    /// The place of the call in the order of everything seen.
    sequence: u64,
    finding: Box<Finding>,
}

impl Rule for NullIdPicksOther {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        if !self.unproven.is_empty() {
            self.follow(change, model, report);
        }
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
            let finding = called(*hook, *device, *selected, model, report);
            self.unproven.extend(finding.map(|finding| Unproven {
                hook: *hook,
                device: *device,
                selected: *selected,
                tid: model.current_task().tid,
                sequence: model.sequence(),
                finding: Box::new(finding),
            }));
        }
    }

    fn finish(&mut self, _model: &Model, report: &mut Report) {
        for unproven in self.unproven.drain(..) {
            report.submit(*unproven.finding);
        }
    }
}

impl NullIdPicksOther {
    /// Looks whether a change shows which group a call has selected.
    fn follow(&mut self, change: &Change, model: &Model, report: &mut Report) {
        let mut index = 0;
        while let Some(unproven) = self.unproven.get(index) {
            match unproven.shown_by(change, model) {
                None => index += 1,
                Some(selected) => {
                    let finding = self.unproven.swap_remove(index).finding;
                    if selected {
                        report.submit(*finding);
                    } else {
                        let doubt = Doubt::NullSelectedForUnknown;
                        report.stay_silent(INFO.id, finding.instance, doubt);
                    }
                }
            }
        }
    }
}

impl Unproven {
    /// Whether a change shows that the group was selected; `None` if it shows neither.
    fn shown_by(&self, change: &Change, model: &Model) -> Option<bool> {
        match change {
            // The kernel has done something else, or whatever was missed may have been a younger group.
            Change::Lost(_) => return Some(false),
            Change::Tainted { device, .. } if *device == self.device => return Some(false),
            _ => {}
        }
        if model.current_task().tid != self.tid || model.sequence() == self.sequence {
            return None;
        }
        match (self.hook, change) {
            (Hook::CloseGroup, Change::NodeAdded(node)) => {
                let device = model.device_by_id(self.device);
                Some(device.is_some_and(|device| device.opening(*node) == Some(self.selected)))
            }
            (Hook::RemoveGroup, Change::NodeRemoved(node)) => Some(*node == self.selected),
            // A release that the kernel does otherwise taints the device at the latest now.
            (Hook::ReleaseGroup, Change::Left(left))
                if left.hook == self.hook && left.device == Some(self.device) =>
            {
                let device = model.device_by_id(self.device);
                Some(device.is_some_and(|device| !device.is_tainted()))
            }
            (Hook::ReleaseGroup, _) => None,
            // The kernel need not report markers that it takes away.
            (
                hook,
                Change::NodeAdded(_)
                | Change::NodeRemoved(_)
                | Change::Entered(_)
                | Change::Left(_),
            ) => Some(hook == Hook::RemoveGroup),
            _ => None,
        }
    }
}

/// Whether the caller may be a function that left no frame: where a call is the last that a function makes, the compiler
/// leaves none, and who had called it stands in the same place as when the group was opened.
fn is_skipped(caller: &Function, stack: &StackDefinition, marker: &Node) -> bool {
    caller.module.is_none()
        && marker
            .stack()
            .is_some_and(|opening| blame::stand_in_one_place(caller, stack, opening))
}

fn called(
    hook: Hook,
    id: DeviceId,
    selected: NodeId,
    model: &Model,
    report: &mut Report,
) -> Option<Finding> {
    let (device, marker) = (model.device_by_id(id)?, model.node(selected)?);
    let function = hook.symbol();
    let opener = marker
        .stack()
        .and_then(|stack| blame::caller(stack, "devres_open_group"));
    let caller = model.current_stack().and_then(|stack| {
        let caller = blame::caller(stack, function)?;
        if is_skipped(caller, stack, marker) {
            return opener.filter(|_| marker.task().tid == model.current_task().tid);
        }
        Some(caller)
    });
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
        return None;
    }
    // component.c opens by name and closes by NULL right after.
    if caller.is_some_and(blame::is_component_core) {
        return None;
    }
    let subject = Subject::of(device);
    let whole = device.is_whole_since(marker.sequence()) && !device.is_tainted();
    let Some(caller) = caller.filter(|_| whole) else {
        report.stay_silent(INFO.id, subject.key, Doubt::NullSelectedForUnknown);
        return None;
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
    Some(Finding {
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
    })
}
