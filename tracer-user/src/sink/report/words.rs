//! Lives in words.

use std::fmt::Write as _;

use crate::{
    errno,
    escape::{Escaped, escape},
    event::{Hook, Time, switched},
    history::{Held, Holdings, Item, LabelId, Marker, Names, Step, StepKind, TaskId},
    number::counted,
};

/// Columns that times take, with what separates them from the text.
pub(super) const BEHIND_TIME: usize = 14;

/// A task, as `comm[tid]`; empty where it is not known.
#[must_use]
pub fn task(id: TaskId, names: &Names) -> String {
    match names.task(id) {
        Some(task) if task.tid != 0 || task.comm.0[0] != 0 => {
            format!("{}[{}]", Escaped(&task.comm.name()), task.tid)
        }
        _ => String::new(),
    }
}

/// The frame that added a resource; else the task, where that is known.
#[must_use]
pub fn adder(label: LabelId, by: TaskId, names: &Names) -> String {
    let frame = names.label(label).and_then(|label| label.by.as_deref());
    frame.map_or_else(|| task(by, names), escape)
}

/// A resource: what to call it.
#[must_use]
pub fn resource(label: LabelId, names: &Names) -> String {
    let text = names.text(label);
    let text = if text.is_empty() { "(no name)" } else { text };
    escape(text)
}

/// A group's id.
#[must_use]
pub fn group_id(id: Option<u64>) -> String {
    id.map_or_else(|| "id NULL".to_owned(), |id| format!("id {id:#x}"))
}

/// That a probe has failed.
#[must_use]
pub fn failed(value: Option<i64>) -> String {
    match value {
        Some(errno::PROBE_DEFER) => "deferred (-EPROBE_DEFER)".to_owned(),
        Some(value) => format!("failed ({})", errno::name(value)),
        None => "failed".to_owned(),
    }
}

/// How much is owned.
#[must_use]
pub fn amount(holdings: &Holdings) -> String {
    if holdings.resources == 0 {
        return "holds nothing".to_owned();
    }
    format!(
        "holds {}, {}",
        counted(holdings.resources, "resource", "resources"),
        counted(holdings.bytes, "byte", "bytes")
    )
}

/// A size, in eight columns; blank where not known.
#[must_use]
pub fn size(size: Option<u64>) -> String {
    size.map_or_else(|| " ".repeat(8), |size| format!("{size:>6} B"))
}

/// A marker of a group on a stack, in words. `within` resources lie in the group.
#[must_use]
pub fn marker(held: &Held, marker: Marker, within: u64, names: &Names) -> String {
    if !marker.opens {
        return format!("group ({}) closed here (grp>)", group_id(marker.id));
    }
    let mut text = format!("group (grp<) opened with {}", group_id(marker.id));
    let by = adder(held.item.label, held.task, names);
    if !by.is_empty() {
        let _ = write!(text, " by {by}");
    }
    let state = if marker.open { "still open" } else { "closed" };
    let _ = write!(
        text,
        "; {state}, {} in it",
        counted(within, "resource", "resources")
    );
    text
}

/// How many resources lie in each opened group of a stack, given oldest first: by the place of its marker.
#[must_use]
pub fn within(held: &[Held]) -> Vec<u64> {
    let mut counts = vec![0; held.len()];
    let mut around: Vec<(usize, u8)> = Vec::new();
    for (place, one) in held.iter().enumerate() {
        while around.last().is_some_and(|(_, depth)| one.depth <= *depth) {
            around.pop();
        }
        match one.item.marker() {
            Some(marker) if marker.opens => around.push((place, one.depth)),
            Some(_) => {}
            None => {
                for (opening, _) in &around {
                    if let Some(count) = counts.get_mut(*opening) {
                        *count += 1;
                    }
                }
            }
        }
    }
    counts
}

/// A step, without its time.
#[must_use]
pub fn step(step: &Step, names: &Names) -> String {
    let mut text = match step.kind {
        StepKind::Added(item) | StepKind::Removed(item) | StepKind::Released(item) => {
            match item.marker() {
                Some(marker) => group(step, item, marker, names),
                None => of_resource(step, item, names),
            }
        }
        StepKind::Replaced(item) => {
            format!("replaced {} by devm_krealloc", resource(item.label, names))
        }
        StepKind::Missed(item) => format!("{} removal not observed", resource(item.label, names)),
        StepKind::GroupReleased(call) => {
            let id = if call.own {
                "the group's own id".to_owned()
            } else {
                group_id(call.id)
            };
            let found = if call.found { "" } else { ": no such group" };
            format!("devres_release_group({id}){found}")
        }
        StepKind::Initialised => "initialised".to_owned(),
        StepKind::Probe => "probe".to_owned(),
        StepKind::ProbeFailed(value) => format!("probe {}", failed(value)),
        StepKind::Bound => "bound".to_owned(),
        StepKind::Unbind => "unbind".to_owned(),
        StepKind::Remove => "remove (device_remove)".to_owned(),
        StepKind::Cleanup => "cleanup (device_unbind_cleanup)".to_owned(),
        StepKind::PmAttached(Some(true)) => "PM domain attached".to_owned(),
        StepKind::PmAttached(Some(false)) => "dev_pm_domain_attach: no PM domain".to_owned(),
        StepKind::PmAttached(None) => "dev_pm_domain_attach".to_owned(),
        StepKind::PmDetached(true) => "PM domain detached (dev_pm_domain_detach)".to_owned(),
        StepKind::PmDetached(false) => "dev_pm_domain_detach: nothing to detach".to_owned(),
        StepKind::Switched(hook, name) => {
            let name = if name == LabelId::NONE {
                String::new()
            } else {
                resource(name, names)
            };
            switched(hook, &name).unwrap_or_default()
        }
        StepKind::Deleted => "deleted (device_del)".to_owned(),
        StepKind::Gone => "gone: its last reference was put".to_owned(),
        StepKind::Refused => {
            "the kernel refused the probe: resources present before probing".to_owned()
        }
        StepKind::Warned(function, line) => {
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            let function = resource(function, names);
            format!("the kernel warned in {function}, drivers/base/devres.c{line}")
        }
        StepKind::FreedActive(object) => format!(
            "the kernel found an active {} in freed memory",
            resource(object, names)
        ),
        StepKind::Splat(label) => format!("the kernel's {}", resource(label, names)),
        StepKind::Doubtful(taint) => format!("not certain from here on: {taint}"),
    };
    if step.by != LabelId::NONE {
        let _ = write!(text, ", in a call for {}", resource(step.by, names));
    }
    text
}

/// A step of a group's marker.
fn group(step: &Step, item: Item, marker: Marker, names: &Names) -> String {
    let id = group_id(marker.id);
    match (step.kind, marker.opens) {
        (StepKind::Added(_), true) => {
            let by = adder(item.label, step.task, names);
            let by = if by.is_empty() {
                by
            } else {
                format!(" by {by}")
            };
            format!("group opened with {id}{by} (grp<)")
        }
        (StepKind::Added(_), false) => format!("group with {id} closed (grp>)"),
        (StepKind::Removed(_), _) => format!("group with {id} removed; its resources stay"),
        _ => format!("group with {id} released (grp<)"),
    }
}

/// A step of a resource.
fn of_resource(step: &Step, item: Item, names: &Names) -> String {
    let name = resource(item.label, names);
    match step.kind {
        StepKind::Added(_) => {
            let by = adder(item.label, step.task, names);
            let by = if by.is_empty() { by } else { format!("  {by}") };
            format!("added    {name:<24}{}{by}", size(item.size()))
        }
        StepKind::Removed(_) => {
            let how = match step.frame {
                Some(hook @ (Hook::Release | Hook::ReleaseAction)) => {
                    format!("  released by {}", hook.symbol())
                }
                Some(hook) => format!("  by {}", hook.symbol()),
                None => String::new(),
            };
            format!("removed  {name}{how}")
        }
        _ => format!("released {name}"),
    }
}

/// A time, in twelve columns.
#[must_use]
pub fn time(time: Time, names: &Names) -> String {
    format!("{:>12}", names.moment(time))
}
