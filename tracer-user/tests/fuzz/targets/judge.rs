//! Judges what a target has read.

use std::{io::Cursor, sync::Arc};

use devres_tracer::{
    engine::{Engine, Outcome},
    event::Event,
    evidence::Coverage,
    finding::Severity,
    rules::RuleSet,
    source::recording::{Recording, RecordingError},
};

/// What every rule says of these events.
pub(super) fn judge<'e>(
    coverage: &Coverage,
    events: impl IntoIterator<Item = &'e Event>,
) -> Outcome {
    let mut engine = Engine::new(Arc::new(coverage.clone()), RuleSet::all());
    for event in events {
        engine.apply(event);
    }
    engine.finish()
}

/// A recording of which these bytes are the file.
pub(super) fn recording(bytes: &[u8]) -> Result<Recording, RecordingError> {
    Recording::read(Box::new(Cursor::new(bytes.to_vec())), "input".to_owned())
}

/// What every rule says of a recording, and what the recording says of itself.
pub(super) fn judge_recording(bytes: &[u8]) -> String {
    let mut recording = match recording(bytes) {
        Ok(recording) => recording,
        Err(error) => return format!("{error}: {error:?}"),
    };
    let coverage = recording.information().coverage.clone();
    let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
    let end = recording.replay(|event| {
        engine.apply(event);
        std::ops::ControlFlow::Continue(())
    });
    let outcome = engine.finish();
    let verdict = outcome.verdict(Severity::Warn);
    format!("{verdict:?} {outcome:?} {end:?}")
}
