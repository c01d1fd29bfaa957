//! Two recordings, compared.

use std::sync::Arc;

use devres_tracer::{
    diff::{Sameness, Side, compare},
    event::Event,
    evidence::{Coverage, SourceInformation},
    history::{Histories, HistoryObserver, Limits, Window},
    model::Model,
    sink::{
        diff::{Differences, write_json, write_text},
        page::Page,
    },
};

use super::{Bound, Target, script};
use crate::support::{reduced, whole};

pub(super) const TARGET: Target = Target {
    name: "diff",
    run,
    size: <[u8]>::len,
    held: Bound::new(1 << 20, 500),
    asked_for: Bound::new(2 << 20, 3000),
};

/// Bytes of a place and what stands there in the second recording.
const CHANGE: usize = 3;

/// The first two bytes say what the second recording is: the other half of the input, or the first with changes.
fn run(input: &[u8]) -> String {
    let (&[how, changes], story) = input.split_first_chunk().unwrap_or((&[0, 0], &[]));
    let (good, bad) = if how.is_multiple_of(4) {
        let (good, bad) = story.split_at(story.len() / 2);
        (good.to_vec(), bad.to_vec())
    } else {
        let length = (usize::from(changes) * CHANGE).min(story.len());
        let (changes, story) = story.split_at(length);
        (story.to_vec(), changed(story, changes))
    };
    let coverage = if how & 4 == 0 { whole() } else { reduced() };
    let (good, bad) = (script::events(&good), script::events(&bad));
    let same = compared(&good, &good, &coverage, &coverage);
    assert_ne!(
        same.0,
        Sameness::Different,
        "a recording differs from itself"
    );
    let there = compared(&good, &bad, &whole(), &coverage);
    let back = compared(&bad, &good, &coverage, &whole());
    assert_eq!(there.0, back.0, "it differs in one direction only");
    format!("{} {}", same.1, there.1)
}

fn changed(story: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut story = story.to_vec();
    for &[low, high, byte] in changes.as_chunks::<CHANGE>().0 {
        let place = usize::from(u16::from_le_bytes([low, high]));
        if let Some(place) = place
            .checked_rem(story.len())
            .and_then(|place| story.get_mut(place))
        {
            *place = byte;
        }
    }
    story
}

fn histories(events: &[Event], coverage: &Coverage) -> Histories {
    let mut model = Model::new(Arc::new(coverage.clone()));
    let mut observer = HistoryObserver::new(Limits::default(), Window::default(), false);
    for event in events {
        for change in model.apply(event) {
            observer.observe(&change, &model);
        }
    }
    observer.finish(&model)
}

/// How two recordings compare, and what is written of that.
fn compared(
    good: &[Event],
    bad: &[Event],
    good_coverage: &Coverage,
    bad_coverage: &Coverage,
) -> (Sameness, String) {
    let of = |coverage: &Coverage| SourceInformation {
        tool: "1".to_owned(),
        kernel: None,
        machine: None,
        coverage: coverage.clone(),
        filters: Vec::new(),
    };
    let (good_source, bad_source) = (of(good_coverage), of(bad_coverage));
    let (good, bad) = (histories(good, good_coverage), histories(bad, bad_coverage));
    let side = |name, coverage, histories| Side {
        name,
        coverage,
        histories,
    };
    let comparison = compare(
        side("GOOD", good_coverage, &good),
        side("BAD", bad_coverage, &bad),
        &[],
    );
    let differences = Differences {
        good: ("good", &good_source, &good),
        bad: ("bad", &bad_source, &bad),
        comparison: &comparison,
        strict: true,
    };
    let mut written = Vec::new();
    let text = write_text(&differences, &mut Page::new(&mut written, false));
    if let Err(error) = text.and_then(|()| write_json(&differences, &mut written)) {
        panic!("{error}");
    }
    let written = String::from_utf8_lossy(&written).into_owned();
    (comparison.sameness(true), written)
}
