//! Who did it: callers by their stacks, culprits by what runs on the task.

use crate::{
    event::{Function, Hook, StackDefinition},
    finding::{Cause, Certainty, Subject},
    model::{DeviceId, Frame, Model},
};

/// The function that called `function`, by a stack taken in it, at its entry, or in what it calls.
pub(super) fn caller<'s>(stack: &'s StackDefinition, function: &str) -> Option<&'s Function> {
    let functions = || functions(stack);
    let is_called = |known: &Function| known.base_name() == Some(function);
    // Without a frame of its own it was called from the innermost one.
    let inner = functions().position(is_called).map_or(0, |place| place + 1);
    functions().nth(inner)
}

/// The name of the function that called `function`, the same in every run.
pub(super) fn caller_name<'s>(stack: &'s StackDefinition, function: &str) -> Option<&'s str> {
    stack.lasting_name(caller(stack, function)?)
}

/// Whether `function` is on the stack.
pub(super) fn passes_through(stack: &StackDefinition, function: &Function) -> bool {
    functions(stack)
        .any(|known| known.base_name() == function.base_name() && known.module == function.module)
}

/// Whether a function is at the same place of its code on both stacks: it has called the same function there.
pub(super) fn stand_in_one_place(
    function: &Function,
    one: &StackDefinition,
    other: &StackDefinition,
) -> bool {
    let place = |stack: &StackDefinition| {
        stack.frames.iter().find_map(|frame| {
            let known = frame.function.as_deref()?;
            (known.name == function.name && known.module == function.module).then_some(frame.offset)
        })
    };
    place(one).is_some_and(|offset| place(other) == Some(offset))
}

/// Whether the function's name, without what the compiler has put behind it, fits.
pub(super) fn is_named(function: &Function, fits: impl Fn(&str) -> bool) -> bool {
    function.base_name().is_some_and(fits)
}

/// Whether a function of the kernel adds to the device that it is given, as its name says.
pub(super) fn is_managed_function(name: &str) -> bool {
    name == "add_dr"
        || ["devm_", "devres_", "pcim_", "dmam_"]
            .iter()
            .any(|beginning| name.trim_start_matches('_').starts_with(beginning))
}

/// Whether the stack goes through a callback of runtime power management that an unbind itself has called for: what the
/// driver's remove calls for is remove's.
pub(super) fn in_runtime_pm_of_unbind(stack: &StackDefinition) -> bool {
    let is_callers = |function: &Function| {
        function.module.is_none()
            && is_named(function, |name| {
                matches!(name, "rpm_resume" | "rpm_suspend" | "rpm_idle")
            })
    };
    let is_called = |function: &Function| {
        let is_pm = |name: &str| name.trim_start_matches('_').starts_with("pm_runtime_");
        is_callers(function) || function.module.is_none() && is_named(function, is_pm)
    };
    // One device's callback may call for another's.
    let outermost = functions(stack)
        .enumerate()
        .filter(|(_, function)| is_callers(function))
        .last();
    let Some((outermost, _)) = outermost else {
        return false;
    };
    // Behind it stands who has called for it. Where the stack ends before, it may be the unbind.
    let caller = functions(stack)
        .skip(outermost)
        .find(|function| !is_called(function));
    caller.is_none_or(|function| {
        is_named(function, |name| {
            matches!(
                name,
                "__device_release_driver" | "device_release_driver_internal"
            )
        })
    })
}

/// Whether the stack is that of an interrupt, which has nothing to do with the task that it interrupts.
pub(super) fn in_interrupt(stack: &StackDefinition) -> bool {
    functions(stack).any(|function| {
        function.module.is_none()
            && is_named(function, |name| {
                matches!(
                    name,
                    "__do_softirq"
                        | "handle_softirqs"
                        | "common_interrupt"
                        | "handle_irq_event"
                        | "el1_irq"
                ) || name.starts_with("asm_sysvec_")
                    || name.starts_with("el1h_64_irq")
            })
    })
}

/// The functions on a stack, innermost first.
pub(super) fn functions(stack: &StackDefinition) -> impl Iterator<Item = &Function> {
    stack
        .frames
        .iter()
        .filter_map(|frame| frame.function.as_deref())
}

/// Whether a function of the kernel itself is on the stack.
pub(super) fn passes(stack: &StackDefinition, function: &str) -> bool {
    functions(stack).any(|known| is_named(known, |name| name == function))
}

/// Whether the function is one of drivers/base/component.c, which keeps groups on the devices of others by
/// design.
pub(super) fn is_component_core(function: &Function) -> bool {
    let name = function.base_name().unwrap_or_default();
    function.module.is_none()
        && [
            "component_",
            "__component_",
            "take_down_",
            "try_to_bring_up_",
        ]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

/// Whether component.c is on the stack.
pub(super) fn through_component_core(stack: &StackDefinition) -> bool {
    functions(stack).any(is_component_core)
}

/// The probe or unbind of another device that runs on the current task: the innermost one of which it is
/// certain that it still runs.
pub(super) fn foreign(model: &Model, device: DeviceId) -> Option<&Frame> {
    model
        .frames(model.current_task())
        .iter()
        .filter(|frame| model.last_loss().is_none_or(|lost| lost < frame.sequence()))
        .rfind(|frame| {
            matches!(frame.hook(), Hook::Probe | Hook::Unbind)
                && frame.device().is_some_and(|other| other != device)
        })
}

/// The culprit, by the frame of its probe or unbind on the current task.
pub(super) fn cause(model: &Model, frame: &Frame) -> Option<Cause> {
    let culprit = Subject::of(model.device_by_id(frame.device()?)?);
    let task = model.current_task();
    let ran = match frame.hook() {
        Hook::Probe => "probe",
        _ => "unbind",
    };
    Some(culprit.cause(ran, task, model.current_stack()))
}

/// Whether the current task is inside this function for this device.
pub(super) fn runs(model: &Model, hook: Hook, device: DeviceId) -> bool {
    model
        .frames(model.current_task())
        .iter()
        .any(|frame| frame.hook() == hook && frame.device() == Some(device))
}

/// Whether what is removed now is run by whoever removes it.
pub(super) fn runs_removed(model: &Model) -> bool {
    let innermost = model.frames(model.current_task()).last();
    innermost.is_some_and(|frame| matches!(frame.hook(), Hook::ReleaseAction | Hook::Release))
}

/// The device's own driver as the culprit, with the stack of the current event.
pub(super) fn caller_as_cause(subject: &Subject, model: &Model) -> Option<Cause> {
    let stack = model.current_stack()?;
    Some(subject.cause("a call", model.current_task(), Some(stack)))
}

/// The device that a message of the kernel is about.
pub(super) fn told_of(id: Option<DeviceId>, model: &Model) -> Subject {
    id.and_then(|id| model.device_by_id(id))
        .map_or_else(Subject::unknown, Subject::of)
}

/// How certain it is that the kernel warned: without the line of the source the report's first lines are missing, and
/// its registers are all there is.
pub(super) fn certainty_of_warning(line: Option<u64>) -> Certainty {
    line.map_or(Certainty::Likely, |_| Certainty::Confirmed)
}

/// Who called `function`, by the stack that the kernel wrote behind its message.
pub(super) fn reported_caller<'m>(function: &str, model: &'m Model) -> Option<&'m Function> {
    caller(model.current_stack()?, function)
}

/// What distinguishes a message of the kernel about `function`: the caller, or else the function itself.
pub(super) fn reported_as(sort: &str, function: &str, caller: Option<&str>) -> String {
    let parts = [Some(sort), Some(function), caller];
    let words: Vec<&str> = parts
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect();
    words.join("/")
}
