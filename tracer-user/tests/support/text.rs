//! Reads and judges texts, for tests.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses its own part of it"
)]

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Outcome},
    rules::RuleSet,
    source::text::{self, Import},
};

pub(crate) fn import(text: &str) -> Import {
    text::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn judge_by(import: &Import, rules: RuleSet) -> Outcome {
    let mut engine = Engine::new(Arc::new(import.coverage().clone()), rules);
    for event in import.events() {
        engine.apply(&event);
    }
    engine.finish()
}

/// Judges by every rule. The tracer's model never disagrees with a text.
pub(crate) fn judge(text: &str) -> Outcome {
    let outcome = judge_by(&import(text), RuleSet::all());
    assert_eq!(outcome.desync_details, Vec::<String>::new(), "{text}");
    outcome
}
