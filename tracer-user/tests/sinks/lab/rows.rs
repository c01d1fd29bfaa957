//! What the rows say.

use std::{collections::BTreeSet, fs::File, sync::Arc};

use devres_tracer::{
    engine::Engine,
    event::{EventKind, Hook},
    history::{HistoryObserver, Limits, Outcome as Probed, Window},
    rules::RuleSet,
};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tempfile::TempDir;

use super::{Row, cell, export, files, material_of, rows_of, table};
use crate::{
    forms::Material,
    inert,
    support::{Dev, Story},
};

const RECORDINGS: [&str; 5] = [
    "demo/pvpanic-6.1.dvrt",
    "../docs/recordings/dr001-fixed.dvrt",
    "../docs/recordings/dr006.dvrt",
    "../docs/recordings/dr013.dvrt",
    "tests/recordings/one-address-eight-lives.dvrt",
];

#[test]
fn events_are_rows_in_their_order() {
    for name in RECORDINGS {
        let material = material_of(name);
        let directory = TempDir::new().unwrap();
        export(&material, "0a", directory.path());
        let rows = table(directory.path(), "events");
        assert_eq!(rows.len(), material.events.len(), "{name}");
        for ((row, event), number) in rows.iter().zip(&material.events).zip(1..) {
            let is = |column: &str, value: String| {
                assert_eq!(
                    cell(row, column),
                    Some(value.as_str()),
                    "{name}: {column} of {event:?}"
                );
            };
            is("number", number.to_string());
            is("time", event.time.0.to_string());
            is("tid", event.task.tid.to_string());
            is("recording", "0a".to_owned());
            let json = serde_json::to_value(event).unwrap();
            is("event", json["event"].as_str().unwrap().to_owned());
            match &event.kind {
                EventKind::Add(node) => is("node", node.node.to_string()),
                EventKind::Release(node) | EventKind::Remove(node) => {
                    is("node", node.node.to_string());
                }
                EventKind::Enter(call) => is("function", call.hook.symbol().to_owned()),
                EventKind::Leave(left) => is("function", left.hook.symbol().to_owned()),
                _ => {}
            }
        }
    }
}

#[test]
fn each_resource_has_its_life() {
    for name in RECORDINGS {
        let material = material_of(name);
        let directory = TempDir::new().unwrap();
        export(&material, "0a", directory.path());
        let rows = table(directory.path(), "resources");
        let is_marker = |name: Option<&str>| matches!(name, Some("grp<" | "grp>"));
        let (mut added, mut released) = (BTreeSet::new(), BTreeSet::new());
        for event in &material.events {
            match &event.kind {
                EventKind::Add(node) if !is_marker(node.name.as_deref()) => {
                    added.insert((event.time.0.to_string(), node.node.to_string()));
                }
                EventKind::Release(node) if !is_marker(node.name.as_deref()) => {
                    released.insert((event.time.0.to_string(), node.node.to_string()));
                }
                _ => {}
            }
        }
        let life = |at: &str, wanted: &dyn Fn(&Row) -> bool| -> BTreeSet<(String, String)> {
            let rows = rows.iter().filter(|row| wanted(row));
            rows.filter_map(|row| {
                let node = cell(row, "node").unwrap().to_owned();
                Some((cell(row, at)?.to_owned(), node))
            })
            .collect()
        };
        assert_eq!(life("added_at", &|_| true), added, "{name}");
        let by_release = |row: &Row| cell(row, "ended") == Some("released");
        assert_eq!(life("ended_at", &by_release), released, "{name}");
        assert!(!added.is_empty(), "{name}");
        let sequences: BTreeSet<_> = rows.iter().map(|row| cell(row, "sequence")).collect();
        assert_eq!(sequences.len(), rows.len(), "{name}: a life is there twice");
    }
}

#[test]
fn bindings_are_those_of_the_histories() {
    for name in RECORDINGS {
        let material = material_of(name);
        let directory = TempDir::new().unwrap();
        export(&material, "0a", directory.path());
        let coverage = material.information.coverage.clone();
        let mut engine = Engine::new(Arc::new(coverage), RuleSet::all());
        let mut observer = HistoryObserver::new(Limits::default(), Window::default(), true);
        for event in &material.events {
            engine.apply_with(event, |change, model| observer.observe(change, model));
        }
        let histories = observer.finish(engine.model());
        let mut expected = Vec::new();
        for history in &histories.devices {
            for binding in history.bindings.iter().filter(|binding| binding.number > 0) {
                let outcome = match binding.outcome {
                    Probed::Open => "open",
                    Probed::Bound => "bound",
                    outcome if outcome.is_deferred() => "deferred",
                    Probed::Failed(_) => "failed",
                };
                expected.push((
                    binding.began.0.to_string(),
                    history.name.as_deref().map(str::to_owned),
                    outcome.to_owned(),
                    binding.ended.map(|(time, _)| time.0.to_string()),
                    binding.ended.is_some().to_string(),
                    binding
                        .bound
                        .as_ref()
                        .map(|(_, held)| held.resources.to_string()),
                ));
            }
        }
        let rows = table(directory.path(), "bindings");
        let rows = rows.iter().filter(|row| cell(row, "number") != Some("0"));
        let text = |row: &Row, column: &str| cell(row, column).map(str::to_owned);
        let mut found: Vec<_> = rows
            .map(|row| {
                (
                    text(row, "began_at").unwrap(),
                    text(row, "device"),
                    text(row, "outcome").unwrap(),
                    text(row, "ended_at"),
                    text(row, "exercised").unwrap(),
                    text(row, "resources_bound"),
                )
            })
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        assert!(!found.is_empty(), "{name}");
    }
}

#[test]
fn findings_and_the_verdict_are_there() {
    let material = material_of(RECORDINGS[0]);
    let directory = TempDir::new().unwrap();
    export(&material, "0a", directory.path());
    let findings = table(directory.path(), "findings");
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    for (column, value) in [
        ("rule", "DR001"),
        ("severity", "error"),
        ("certainty", "confirmed"),
        ("driver", "pvpanic-mmio"),
        ("fingerprint", "DR001/platform/pvpanic-mmio"),
        ("count", "1"),
        ("resources", "3"),
        ("known_fixed", "true"),
    ] {
        assert_eq!(cell(finding, column), Some(value), "{column}");
    }
    let recordings = table(directory.path(), "recordings");
    let [recording] = recordings.as_slice() else {
        panic!("{recordings:?}");
    };
    for (column, value) in [
        ("verdict", "findings"),
        ("errors", "1"),
        ("lost", "0"),
        ("name", "pvpanic-6.1.dvrt"),
        ("recorded_at", "1000000"),
        ("has_times", "true"),
    ] {
        assert_eq!(cell(recording, column), Some(value), "{column}");
    }
}

#[test]
fn a_release_lasts_until_the_next_one_or_the_return() {
    const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
    let mut story = Story::new();
    story
        .task("unbind", 7)
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "acme.0", "platform", "acme")
        .enter(DEVICE, Hook::Probe)
        .add(DEVICE, 0x10, "devm_clk_release", 16)
        .add(DEVICE, 0x20, "devm_kzalloc_release", 100)
        .bound(DEVICE)
        .begin_unbind(DEVICE)
        .rel(DEVICE, 0x20, "devm_kzalloc_release", 100)
        .rel(DEVICE, 0x10, "devm_clk_release", 16)
        .end_unbind(DEVICE, 2);
    for (event, step) in story.events.iter_mut().zip(1_u64..) {
        event.time.0 = step * step * 1_000;
    }
    let times: Vec<u64> = story.events.iter().map(|event| event.time.0).collect();
    let place = |wanted: fn(&EventKind) -> bool| {
        story
            .events
            .iter()
            .position(|event| wanted(&event.kind))
            .unwrap()
    };
    let first = place(|kind| matches!(kind, EventKind::Release(_)));
    let material = Material {
        events: story.events,
        ..inert::material("acme")
    };
    let directory = TempDir::new().unwrap();
    export(&material, "0a", directory.path());
    let rows = table(directory.path(), "resources");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            ["name", "release_order", "release_took", "ended_in", "ended"]
                .map(|column| cell(row, column))
        })
        .collect();
    let took = |at: usize| (times[at + 1] - times[at]).to_string();
    let (memory, clock) = (took(first), took(first + 1));
    assert_eq!(
        told,
        [
            [
                Some("devm_kzalloc_release"),
                Some("1"),
                Some(&memory),
                Some("devres_release_all"),
                Some("released")
            ],
            [
                Some("devm_clk_release"),
                Some("2"),
                Some(&clock),
                Some("devres_release_all"),
                Some("released")
            ],
        ]
    );
}

#[test]
fn many_rows_are_written_in_groups() {
    const DEVICE: Dev = Dev(0xff11_0000_0500_0000);
    let mut story = Story::new();
    story
        .enter(DEVICE, Hook::Initialise)
        .named(DEVICE, "acme.0", "platform", "acme");
    for _ in 0..25_000 {
        story.add(DEVICE, 0x10, "devm_kzalloc_release", 8).rem(
            DEVICE,
            0x10,
            "devm_kzalloc_release",
            8,
        );
    }
    let material = Material {
        events: story.events,
        ..inert::material("acme")
    };
    let directory = TempDir::new().unwrap();
    export(&material, "0a", directory.path());
    let [file] = &files(&directory.path().join("events"))[..] else {
        panic!("there is one file");
    };
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let metadata = reader.metadata();
    assert!(
        metadata.num_row_groups() > 2,
        "{}",
        metadata.num_row_groups()
    );
    let rows = rows_of(file);
    assert_eq!(rows.len(), material.events.len());
    let numbers = rows
        .iter()
        .map(|row| cell(row, "number").unwrap().parse::<usize>().unwrap());
    assert!(numbers.eq(1..=rows.len()));
    assert_eq!(table(directory.path(), "resources").len(), 25_000);
}
