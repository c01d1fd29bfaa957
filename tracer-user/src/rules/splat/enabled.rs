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
    let place = splat.place.as_deref().unwrap_or_default();
    // Some compilers put the one into the other.
    let puts = match function {
        Some("_regulator_put") => true,
        Some("regulator_put") => place.starts_with("drivers/regulator/core.c:"),
        _ => false,
    };
    splat.kind == SplatKind::Warning && !splat.cut && puts
}

/// What DR023 says of it.
pub(super) fn enabled_at_put(
    info: &RuleInfo,
    splat: &Splat,
    subject: &Subject,
    model: &Model,
) -> Finding {
    let story = Story::of(splat);
    let who = story
        .release()
        .map_or_else(|| "a release".to_owned(), |release| released(&release));
    let callback = story.release().and_then(|release| release.callback);
    let put = Put {
        what: "regulator",
        name: None,
        who,
        phase: story.phase(),
        seen: "the kernel warns that it is enabled",
    };
    let mark = callback.and_then(Function::base_name).unwrap_or_default();
    Finding {
        certainty: Certainty::Likely,
        caused_by: blame::caller_as_cause(subject, model),
        ..put.finding(info, subject, mark, model)
    }
}

/// Something that was put while it was enabled, however that is known.
pub(in crate::rules) struct Put<'p> {
    /// What it is.
    pub(in crate::rules) what: &'static str,
    /// Its name, if known.
    pub(in crate::rules) name: Option<&'p str>,
    /// What has put it.
    pub(in crate::rules) who: String,
    /// When.
    pub(in crate::rules) phase: Phase,
    /// How it shows that it was enabled.
    pub(in crate::rules) seen: &'static str,
}

impl Put<'_> {
    /// The finding, which its `mark` tells from others.
    pub(in crate::rules) fn finding(
        &self,
        info: &RuleInfo,
        subject: &Subject,
        mark: &str,
        model: &Model,
    ) -> Finding {
        let Self {
            what, who, seen, ..
        } = self;
        let phase = when(self.phase);
        let named = self
            .name
            .map_or_else(String::new, |name| format!(" {name}"));
        let before = match self.phase {
            Phase::FailedProbe => format!("the probe has failed, and the {what} is still on"),
            Phase::Unbind => format!("remove is over, and the {what} is still on"),
            _ => format!("the {what} is still on"),
        };
        let whose = match self.phase {
            Phase::FailedProbe | Phase::Unbind => " for a device that has no driver",
            _ => "",
        };
        Finding {
            summary: format!("A {what} was still enabled when {who} put it{phase}."),
            meaning: format!(
                "{}{whose}, and the {what}'s users are counted wrong from here on. Nobody disabled it; or somebody enabled \
                 it again since, as an interrupt or a work item can; or an action that disables it was added before the \
                 {what} was acquired, and so is released after it.",
                if *what == "clock" {
                    "The clock stays on"
                } else {
                    "The supply stays on"
                },
            ),
            order: vec![
                step(model, before),
                step(
                    model,
                    format!("{who} puts the {what}{named}, and {seen}{phase}"),
                ),
            ],
            expected: vec![
                format!("the {what} is acquired, and then enabled with an action that disables it"),
                "that action is released first and disables it".to_owned(),
                format!("the {what} is put"),
            ],
            ..subject.finding(info, Severity::Warn, mark, model.now())
        }
    }
}
