//! Streams of events: trace files, JSON lines, and made-up ones.

use std::{fs, io::Cursor, ops::ControlFlow, path::PathBuf};

use devres_tracer::{event::Event, evidence::Coverage, source::recording::Recording};
use proptest::test_runner::TestRunner;

use crate::{
    Tally, judge, judge_events,
    operations::{busy, ordinary},
    perturb,
    support::{reduced, whole},
};

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The recordings of correct drivers that the documents show.
fn of_documents() -> Vec<String> {
    let directory = "../docs/recordings";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("-fixed.dvrt"))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    names.sort();
    names
}

pub(crate) fn stream(content: Vec<u8>) -> (Vec<Event>, Coverage) {
    let mut recording = Recording::read(Box::new(Cursor::new(content)), "-".to_owned()).unwrap();
    let mut events = Vec::new();
    recording
        .for_each(|event| {
            events.push(event.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    (events, recording.information().coverage.clone())
}

fn try_all(streams: &[(String, Vec<Event>, Coverage)]) -> Tally {
    let mut tally = Tally::default();
    for (name, events, coverage) in streams {
        let before = judge_events(events, coverage);
        if std::env::var("SHOW_EVENTS").is_ok_and(|wanted| wanted == *name) {
            for (number, event) in events.iter().enumerate() {
                eprintln!("{number} {event:?}");
            }
        }
        perturb::events(events, 1, |kind, at, events| {
            let after = judge_events(&events, coverage);
            tally.compare((name, kind, at), &before, &after);
        });
    }
    tally
}

#[test]
fn events_of_recordings_accuse_nobody_more() {
    let mut names = [
        "demo/pvpanic-6.1.dvrt",
        "tests/trace_file/golden/version-1.dvrt",
        "tests/cli/culprit.jsonl",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(of_documents());
    let streams: Vec<_> = names
        .into_iter()
        .map(|name| {
            let (events, coverage) = stream(file(&name));
            (name, events, coverage)
        })
        .collect();
    let tally = try_all(&streams);
    tally.check();
    tally.check_table("recordings");
}

#[test]
fn made_up_events_accuse_nobody() {
    let mut runner = TestRunner::deterministic();
    let mut streams = Vec::new();
    for number in 0..12 {
        let operations = busy(&mut runner);
        for (what, logs, coverage) in [("logged", true, whole()), ("concluded", false, reduced())] {
            let kernel = ordinary(&operations, logs);
            let name = format!("made-up {number} {what}");
            streams.push((name, kernel.story.events, coverage));
        }
    }
    for (name, events, coverage) in &streams {
        let judged = judge_events(events, coverage);
        assert!(judged.is_innocent(), "{name}: {judged:?}");
    }
    let tally = try_all(&streams);
    tally.check();
    tally.check_table("made-up events");
}

#[test]
fn json_lines_accuse_nobody_more() {
    let content = file("tests/cli/culprit.jsonl");
    let before = judge(content.clone()).unwrap();
    let mut tally = Tally::default();
    perturb::texts(&content, 1, |kind, at, text| {
        if let Some(after) = judge(text) {
            tally.compare(("culprit.jsonl", kind, at), &before, &after);
        }
    });
    tally.check();
    tally.check_table("JSON lines");
}
