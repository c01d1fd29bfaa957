//! What keeps two recordings from being called the same.

use super::Side;
use crate::{
    event::Hook,
    evidence::{Before, NodeEvents},
    history::{DeviceHistory, Histories, StepKind},
    model::Taint,
};

/// The functions on which lives are built.
const WANTED: &[Hook] = &[
    Hook::Probe,
    Hook::Bound,
    Hook::Unbind,
    Hook::Remove,
    Hook::Cleanup,
    Hook::ReleaseAll,
    Hook::ReleaseGroup,
    Hook::OpenGroup,
    Hook::CloseGroup,
    Hook::PmAttach,
    Hook::PmDetach,
    Hook::Initialise,
    Hook::Delete,
    Hook::FinalPut,
];

/// Why what one of them didn't show may have happened all the same.
pub(super) fn reasons(good: &Side<'_>, bad: &Side<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    for side in [good, bad] {
        if side.histories.lost > 0 {
            reasons.push(format!(
                "{} events were lost in {}",
                side.histories.lost, side.name
            ));
        }
        let hidden = hidden(side.histories);
        if hidden > 0 {
            reasons.push(format!(
                "{} is so large that {hidden} steps, probes or lives of it were not kept (--device, \
                 --driver and --bus choose)",
                side.name
            ));
        }
    }
    for (one, other) in [(good, bad), (bad, good)] {
        let blind: Vec<&str> = WANTED
            .iter()
            .filter(|hook| one.coverage.sees(**hook) && !other.coverage.sees(**hook))
            .map(|hook| hook.symbol())
            .collect();
        if !blind.is_empty() {
            reasons.push(format!(
                "only {} shows {}, which was not compared",
                one.name,
                blind.join(", ")
            ));
        }
    }
    if good.coverage.nodes != bad.coverage.nodes {
        let side = if good.coverage.nodes == NodeEvents::Concluded {
            good
        } else {
            bad
        };
        reasons.push(format!(
            "the kernel of {} doesn't log releases: they are inferred",
            side.name
        ));
    }
    let known = |before: &Before| !matches!(before, Before::Unknown(_));
    if known(&good.coverage.before) != known(&bad.coverage.before) {
        let side = if known(&good.coverage.before) {
            bad
        } else {
            good
        };
        reasons.push(format!(
            "{} does not show the resources from before it started",
            side.name
        ));
    }
    for (one, other) in [(good, bad), (bad, good)] {
        let theirs = said(other.histories);
        let mut only = said(one.histories);
        only.retain(|message| !theirs.contains(message));
        if let Some(first) = only.first() {
            reasons.push(format!(
                "only {} shows, for an unknown device: {first}{}",
                one.name,
                if only.len() > 1 { ", and more" } else { "" }
            ));
        }
    }
    reasons
}

/// What the kernel said without naming a device.
fn said(histories: &Histories) -> Vec<String> {
    histories
        .said
        .iter()
        .map(|step| match step.kind {
            StepKind::Warned(label, _) => format!("a warning in {}", histories.names.text(label)),
            StepKind::FreedActive(label) => {
                format!("an active {} in freed memory", histories.names.text(label))
            }
            StepKind::Splat(label) => format!("the kernel's {}", histories.names.text(label)),
            _ => "a refused probe".to_owned(),
        })
        .collect()
}

fn hidden(histories: &Histories) -> u64 {
    let of_lives = histories.devices.iter().map(|history| {
        let steps: u64 = history
            .bindings
            .iter()
            .map(|binding| binding.steps_hidden)
            .sum();
        steps + history.bindings_hidden + history.initial.hidden
    });
    histories.devices_hidden + of_lives.sum::<u64>()
}

/// Why what is known of a life in one recording may be less than in the other.
pub(super) fn doubts<'s>(
    one: &DeviceHistory,
    other: &DeviceHistory,
    good: &'s str,
    bad: &'s str,
) -> impl Iterator<Item = String> {
    let only = |mine: &DeviceHistory, theirs: &DeviceHistory, side: &'s str| {
        let name = mine
            .name
            .as_deref()
            .unwrap_or("an unnamed device")
            .to_owned();
        let doubts: Vec<Taint> = mine
            .doubts
            .iter()
            .copied()
            .filter(|doubt| !theirs.doubts.contains(doubt) && !matches!(doubt, Taint::Loss(_)))
            .collect();
        doubts
            .into_iter()
            .map(move |doubt| format!("{name} in {side}: {doubt}"))
    };
    only(one, other, good).chain(only(other, one, bad))
}
