//! What a report that is over says about devres, if anything.

use std::sync::Arc;

use super::Over;
use crate::{
    event::{
        Function, Message, NodeReference, StackFrame, Text,
        splat::{Phase, Splat, SplatKind, Story, is_devres, warns_of_miss},
    },
    model::kind::plain_name,
    source::text::record::message::line_of_source,
};

/// What a report says.
#[derive(Debug)]
pub(in crate::source::text) struct Meaning {
    pub(in crate::source::text) message: Message,
    /// It is about the release that it follows.
    pub(in crate::source::text) of_release: bool,
    /// It happened after a failed probe: the one that the line before reports.
    pub(in crate::source::text) of_failed_probe: bool,
}

/// Functions of drivers/base/devres.c that warn.
const WARNING: [&str; 13] = [
    "add_dr",
    "devm_free_pages",
    "devm_free_percpu",
    "devm_kfree",
    "devm_krealloc",
    "devm_release_action",
    "devm_remove_action",
    "devres_close_group",
    "devres_free",
    "devres_release_all",
    "devres_release_group",
    "devres_remove_group",
    "remove_nodes",
];

/// What a report says that follows the release of `block` closely, or none. Nothing where devres does not occur in it.
pub(in crate::source::text) fn meaning(
    over: &Over,
    block: Option<NodeReference>,
) -> Option<Meaning> {
    let splat = &over.splat;
    if let (SplatKind::FreedActive, Some(object), Some(block)) = (splat.kind, &splat.detail, &block)
        && holds(block, object)
    {
        let message = Message::FreedActive {
            object: Arc::clone(object),
            hint: splat.hint.clone(),
            block: block.clone(),
        };
        return (!is_refuted(&over.frames)).then_some(Meaning {
            message,
            of_release: true,
            of_failed_probe: false,
        });
    }
    if let Some(message) = warning(splat) {
        return Some(Meaning {
            message,
            of_release: false,
            of_failed_probe: false,
        });
    }
    let of_release = block.is_some_and(|block| is_about(splat, &block));
    let of_devres = of_release
        || Story::of(splat).is_of_devres()
        || splat.function.as_deref().is_some_and(is_devres)
        || splat.kind == SplatKind::Warning && is_miss(splat);
    of_devres.then(|| Meaning {
        message: Message::Splat(Box::new(splat.clone())),
        of_release,
        of_failed_probe: Story::of(splat).phase() == Phase::FailedProbe,
    })
}

/// Whether the function that reports is one that does so where something managed is not there.
fn is_miss(splat: &Splat) -> bool {
    let function = splat.function.as_deref().and_then(Function::base_name);
    function.is_some_and(warns_of_miss)
}

/// The report of drivers/base/devres.c itself, if it is one: a warning, or a BUG.
fn warning(splat: &Splat) -> Option<Message> {
    let function = splat
        .function
        .as_deref()
        .and_then(|function| function.name.clone());
    let place = splat.place.as_deref().unwrap_or_default();
    if matches!(splat.kind, SplatKind::Warning | SplatKind::Bug)
        && let Some(line) = line_of_source(place)
    {
        let line = line.parse().ok();
        // What stops the kernel in it is the addition of its marker, a part of it.
        let adds =
            splat.kind == SplatKind::Bug && function.as_deref() == Some("devres_close_group");
        let function = if adds {
            Some("add_dr".into())
        } else {
            function
        };
        return Some(Message::Warning { function, line });
    }
    // Registers alone are of a warning where nothing shows that they are of something else.
    let can_warn = splat.function.as_deref().is_some_and(|function| {
        function.module.is_none()
            && function
                .base_name()
                .is_some_and(|name| WARNING.contains(&name))
    });
    let is_cut = splat.cut && place.is_empty() && !splat.fatal;
    let is_warning = matches!(splat.kind, SplatKind::Warning | SplatKind::Stack);
    (is_cut && is_warning && can_warn).then_some(Message::Warning {
        function,
        line: None,
    })
}

/// Whether a report is about the release that it follows: it happened in that very function.
fn is_about(splat: &Splat, block: &NodeReference) -> bool {
    let Some(name) = block.name.as_deref().map(plain_name) else {
        return false;
    };
    if splat.kind == SplatKind::FreedIrq && name == "devm_irq_release" {
        return true;
    }
    let story = Story::of(splat);
    let is_it = |function: Option<&str>| function == Some(name);
    match story.release() {
        Some(release) if !release.by_hand => match release.callback {
            Some(callback) => {
                is_it(callback.base_name())
                    // Older kernels call all actions alike.
                    || name == "devm_action_release" && passes(story.frames(), name)
            }
            None => is_memory(name),
        },
        Some(_) => false,
        None => is_it(
            splat
                .function
                .as_deref()
                .and_then(|function| function.base_name()),
        ),
    }
}

fn passes(frames: &[StackFrame], name: &str) -> bool {
    frames.iter().any(|frame| {
        let function = frame.function.as_deref();
        function.and_then(|function| function.base_name()) == Some(name)
    })
}

fn is_memory(release: &str) -> bool {
    matches!(
        release,
        "devm_kzalloc_release" | "devm_kmalloc_release" | "devm_krealloc_release"
    )
}

/// Whether a block that is released can have had an object of this type in it. Only of plain memory does the
/// size say: others release more than their payload.
fn holds(block: &NodeReference, object: &Text) -> bool {
    // As small as on 32-bit kernels.
    let smallest = match &**object {
        "timer_list" => 20,
        "work_struct" => 16,
        "hrtimer" => 40,
        _ => 0,
    };
    !block.name.as_deref().is_some_and(is_memory) || block.size.is_none_or(|size| size >= smallest)
}

/// Whether the stack of freed memory that was in use shows that it was no release of resources that freed it.
fn is_refuted(frames: &[StackFrame]) -> bool {
    let releases = |frame: &StackFrame| {
        let name = frame
            .function
            .as_ref()
            .and_then(|function| function.name.as_deref());
        name.is_some_and(|name| {
            [
                "release_nodes",
                "devres_",
                "devm_",
                "device_",
                "__device_",
                "really_probe",
            ]
            .iter()
            .any(|beginning| name.starts_with(beginning))
        })
    };
    !frames.is_empty() && !frames.iter().any(releases)
}
