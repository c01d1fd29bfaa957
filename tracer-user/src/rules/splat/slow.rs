//! A release that takes long, by the kernel's own word (DR019).

use super::{mark, released, step, when};
use crate::{
    event::splat::{Splat, SplatKind, Story},
    finding::{Certainty, Finding, RuleInfo, Severity, Subject},
    model::Model,
    rules::blame,
};

/// What DR019 says of it.
pub(super) fn slow(info: &RuleInfo, splat: &Splat, subject: &Subject, model: &Model) -> Finding {
    let story = Story::of(splat);
    let who = story
        .release()
        .map_or_else(|| "a release".to_owned(), |release| released(&release));
    let phase = when(story.phase());
    let how = match (splat.kind, splat.number) {
        (SplatKind::Hung, Some(seconds)) => format!("was blocked for more than {seconds} s"),
        (SplatKind::Hung, None) => "was blocked".to_owned(),
        (_, Some(seconds)) => format!("kept a CPU for {seconds} s"),
        (_, None) => "kept a CPU for a long time".to_owned(),
    };
    let within = story.function().map_or_else(String::new, |function| {
        format!(" It was in {function} then.")
    });
    Finding {
        certainty: Certainty::Likely,
        summary: format!(
            "{} {how}{phase}: it had not ended when the kernel reported it.",
            who.replacen("the release", "The release", 1)
                .replacen("a release", "A release", 1)
        ),
        meaning: format!(
            "The unbind or probe that waits for it holds the device's lock, and whatever needs that waits, too.{within} \
             What it waits for may already have been stopped or released: by the driver's remove, or by a release before \
             it."
        ),
        order: vec![
            step(model, format!("{who} begins{phase}")),
            step(model, format!("the kernel reports that it {how}")),
        ],
        expected: vec!["whatever a release waits for can still answer".to_owned()],
        caused_by: blame::caller_as_cause(subject, model),
        ..subject.finding(info, Severity::Warn, &mark(splat), model.now())
    }
}
