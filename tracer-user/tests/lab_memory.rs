//! How much memory the tables of a lab take while they are written.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Observer as _, Summary},
    event::{Event, Hook},
    evidence::{SourceEnd, SourceInformation},
    filter::DeviceFilter,
    finding::Severity,
    rules::RuleSet,
    sink::{
        Sink as _,
        lab::{Directory, Outcome, Recorded},
    },
};
use peak_alloc::PeakAlloc;
use support::{Dev, Story, whole};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes that writing may take: a group of rows of each table, what is made of it, and the model.
const MOST: usize = 64 << 20;

// One test, because all parts read what the whole process has allocated.
#[test]
fn memory_does_not_follow_the_number_of_rows() {
    let mut peaks = Vec::new();
    // Each has enough rows to fill a group of every table that grows.
    for rounds in [1_000, 2_500] {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let events = write(rounds);
        let peak = ALLOCATED.peak_usage().saturating_sub(before);
        println!("{events} events: {peak} bytes");
        assert!(peak < MOST, "{peak}");
        peaks.push(peak);
    }
    assert!(peaks[1] < peaks[0] * 5 / 4, "{peaks:?}");
}

/// Devices that come, are bound and unbound, and go, with names and stacks that no other round has.
fn story(round: usize) -> Vec<Event> {
    let mut story = Story::new();
    for number in 0..10_u64 {
        let device = Dev(0xff11_0000_0000_0000 + number * 0x1_0000);
        let name = format!("device{round}.{number}");
        story
            .task("modprobe", 7)
            .named(device, &name, "platform", "")
            .enter(device, Hook::Initialise)
            .enter(device, Hook::Probe)
            .stack(&[&format!("function{round}.{number}"), "really_probe"])
            .add(device, device.0 + 0x100, &format!("release_{name}"), 8)
            .add(device, device.0 + 0x200, "devm_kzalloc_release", 8)
            .bound(device)
            .begin_unbind(device)
            .rel(device, device.0 + 0x200, "devm_kzalloc_release", 8)
            .rel(device, device.0 + 0x100, &format!("release_{name}"), 8)
            .end_unbind(device, 2)
            .enter(device, Hook::Delete)
            .last_put(device);
    }
    for event in &mut story.events {
        event.time.0 += round as u64 * 1_000_000_000;
    }
    story.events
}

fn write(rounds: usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let information = SourceInformation {
        tool: "test".to_owned(),
        kernel: None,
        machine: None,
        coverage: whole(),
        filters: Vec::new(),
    };
    let recorded = Recorded {
        id: "0a",
        name: "made up",
        information: &information,
        header: None,
        machine: None,
        recorded_at: None,
        redacted: false,
    };
    let mut lab = Directory::open(directory.path()).unwrap();
    let (mut events, mut lives, files) = lab.record(&recorded, DeviceFilter::default()).unwrap();
    let mut engine = Engine::new(Arc::new(whole()), RuleSet::all());
    let mut written = 0;
    for round in 0..rounds {
        for event in story(round) {
            engine.apply_with(&event, |change, model| lives.observe(change, model));
            events.event(&event, engine.model()).unwrap();
            written += 1;
        }
    }
    let outcome = engine.conclude();
    let summary = Summary::new(&outcome, whole(), SourceEnd::default(), Severity::Error);
    let outcome = Outcome {
        model: engine.model(),
        findings: &outcome.findings,
        summary: &summary,
    };
    lab.finish(&recorded, (events, lives, files), &outcome)
        .unwrap();
    written
}
