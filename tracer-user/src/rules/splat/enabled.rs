//! A regulator that was still on when its release put it, by the kernel's own word (DR023).

use super::{released, step, when};
use crate::{
    event::{
        Function,
        splat::{Phase, Splat, SplatKind, Story},
    },
    finding::{Certainty, Finding, RuleInfo, Severity, Subject},
    model::Model,
    rules::blame,
};

/// Whether the kernel warned that what is put is enabled.
pub(super) fn is_enabled_at_put(splat: &Splat) -> bool {
    let function = splat.function.as_deref().and_then(Function::base_name);
    splat.kind == SplatKind::Warning && !splat.cut && function == Some("_regulator_put")
}

/// What DR023 says of it.
pub(super) fn enabled_at_put(
    info: &RuleInfo,
    splat: &Splat,
    subject: &Subject,
    model: &Model,
) -> Finding {
    let story = Story::of(splat);
    let phase = when(story.phase());
    let who = story
        .release()
        .map_or_else(|| "a release".to_owned(), |release| released(&release));
    let callback = story.release().and_then(|release| release.callback);
    let mark = callback.and_then(Function::base_name).unwrap_or_default();
    let missing = match story.phase() {
        Phase::FailedProbe => {
            "the probe enables the regulator, fails later, and does not disable it"
        }
        _ => "remove does not disable the regulator, and no release before this one does",
    };
    Finding {
        certainty: Certainty::Likely,
        summary: format!("A regulator was still enabled when {who} put it{phase}."),
        meaning: "The supply stays on for a device that has no driver, and the regulator's users are counted wrong from \
                  here on. Nobody disabled it, or an action that does was added before the regulator was acquired, and \
                  so is released after it."
            .to_owned(),
        order: vec![
            step(model, missing.to_owned()),
            step(
                model,
                format!("{who} puts the regulator, and the kernel warns that it is enabled{phase}"),
            ),
        ],
        expected: vec![
            "the regulator is acquired, and then enabled with an action that disables it".to_owned(),
            "that action is released first and disables it".to_owned(),
            "the regulator is put".to_owned(),
        ],
        caused_by: blame::caller_as_cause(subject, model),
        ..subject.finding(info, Severity::Warn, mark, model.now())
    }
}
