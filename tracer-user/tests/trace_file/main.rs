//! Trace files: what is written comes back, and what is damaged says so.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod arbitrary;
mod blocks;
mod damage;
mod golden;
mod killed;
mod recorded;
mod rotated;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use devres_tracer::{
    engine::{Engine, Outcome, Verdict},
    event::{Event, EventKind, Loss, LossCause},
    evidence::SourceInformation,
    finding::{Finding, Severity},
    kernel::System,
    rules::RuleSet,
    trace_file::{End, Events, Header, Integrity, TraceFileError, TraceFileWriter},
};
use proptest::{collection::vec, prelude::*};
use support::{Dev, Story, whole};

/// The header of a file with events that tests have made up.
fn header() -> Header {
    Header {
        system: Some(System {
            version: Some("#1 SMP".to_owned()),
            board: Some("Acme Book 3".to_owned()),
            taint: Some(1 << 12),
        }),
        ..Header::of_recording(SourceInformation {
            tool: "test".to_owned(),
            kernel: Some("6.1.0".to_owned()),
            machine: None,
            coverage: whole(),
            filters: Vec::new(),
        })
    }
}

/// A file with these events, and a block's end after each `each`.
fn file(events: &[Event], each: usize) -> Vec<u8> {
    let mut writer = TraceFileWriter::begin(Vec::new(), &header()).unwrap();
    for chunk in events.chunks(each.max(1)) {
        for event in chunk {
            writer.event(event).unwrap();
        }
        writer.close_block().unwrap();
    }
    writer.finish(End::default()).unwrap()
}

/// Everything that can be read of a file.
fn read(bytes: &[u8]) -> Result<(Header, Vec<Event>, Integrity), TraceFileError> {
    let (header, mut reader) = Events::new(bytes)?;
    let mut events = Vec::new();
    while let Some(event) = reader.next_event()? {
        events.push(event);
    }
    Ok((header, events, reader.ending().clone()))
}

/// What all rules say.
fn judged(header: &Header, events: &[Event]) -> (Vec<Finding>, Outcome) {
    let mut engine = Engine::new(Arc::new(header.source.coverage.clone()), RuleSet::all());
    for event in events {
        engine.apply(event);
    }
    (engine.findings().to_vec(), engine.finish())
}

fn verdict(header: &Header, events: &[Event]) -> Verdict {
    judged(header, events).1.verdict(Severity::Info)
}

/// How many events are said to be missing.
fn missing(events: &[Event]) -> u64 {
    let missing = events.iter().filter_map(|event| match &event.kind {
        EventKind::Loss(Loss {
            count,
            cause: LossCause::Input,
        }) => Some(*count),
        _ => None,
    });
    missing.fold(0, u64::saturating_add)
}

/// A device that is probed and unbound, with everything in order.
fn healthy() -> Vec<Event> {
    let device = Dev(0xff11_0000_0500_0000);
    let mut story = Story::new();
    story
        .task("modprobe", 321)
        .enter(device, devres_tracer::event::Hook::Initialise)
        .named(device, "lm75", "i2c", "lm75")
        .enter(device, devres_tracer::event::Hook::Probe)
        .stack(&["lm75_probe@lm75", "really_probe"])
        .add(device, 0x1000, "devm_kzalloc_release", 64)
        .add(device, 0x2000, "devm_regmap_release", 8)
        .enter(device, devres_tracer::event::Hook::Bound)
        .returned(device, devres_tracer::event::Hook::Probe, Some(0))
        .enter(device, devres_tracer::event::Hook::Unbind)
        .enter(device, devres_tracer::event::Hook::Remove)
        .leave(device, devres_tracer::event::Hook::Remove)
        .enter(device, devres_tracer::event::Hook::Cleanup)
        .enter(device, devres_tracer::event::Hook::ReleaseAll)
        .rel(device, 0x2000, "devm_regmap_release", 8)
        .rel(device, 0x1000, "devm_kzalloc_release", 64)
        .returned(device, devres_tracer::event::Hook::ReleaseAll, Some(2))
        .leave(device, devres_tracer::event::Hook::Cleanup)
        .leave(device, devres_tracer::event::Hook::Unbind);
    story.events
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_was(events in vec(arbitrary::event(), 0..40), each in 1..40_usize) {
        let (found, back, ending) = read(&file(&events, each)).unwrap();
        prop_assert_eq!(found, header());
        prop_assert_eq!(&back, &events);
        prop_assert_eq!(ending.problems(), Vec::<String>::new());
        prop_assert_eq!(ending.end.unwrap().events, events.len() as u64);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        // Behind a good beginning.
        let mut file = file(&healthy(), 100);
        let second = (0..file.len()).filter(|at| file[*at..].starts_with(b"DVRB")).nth(1);
        file.truncate(second.unwrap());
        file.extend(&bytes);
        let (_, _, ending) = read(&file).unwrap();
        prop_assert!(ending.end.is_none());
    }
}

#[test]
fn a_whole_file_changes_no_verdict() {
    let events = healthy();
    let (header, back, ending) = read(&file(&events, 5)).unwrap();
    assert_eq!(ending.problems(), [""; 0]);
    assert_eq!(verdict(&header, &back), Verdict::Clean);
}

#[test]
fn a_block_takes_many_events() {
    let events: Vec<Event> = healthy().into_iter().cycle().take(50_000).collect();
    let mut writer = TraceFileWriter::begin(Vec::new(), &header()).unwrap();
    for event in &events {
        writer.event(event).unwrap();
    }
    let bytes = writer.finish(End::default()).unwrap();
    let (_, back, ending) = read(&bytes).unwrap();
    assert_eq!(back, events);
    assert_eq!(ending.problems(), [""; 0]);
    assert!(
        bytes.len() < events.len() * 4,
        "{} bytes for {} events",
        bytes.len(),
        events.len()
    );
}

#[test]
fn an_event_that_no_block_can_hold_is_refused_and_the_others_stay() {
    let mut events = healthy();
    let frames = vec![
        devres_tracer::event::StackFrame {
            address: u64::MAX,
            function: None,
            offset: u64::MAX,
            line: None,
        };
        1 << 20
    ];
    let mut large = events[0].clone();
    large.kind = EventKind::Stack(devres_tracer::event::StackDefinition {
        id: devres_tracer::event::StackId(7),
        frames: frames.into(),
    });
    let mut writer = TraceFileWriter::begin(Vec::new(), &header()).unwrap();
    writer.event(&events[0]).unwrap();
    writer.event(&large).unwrap_err();
    for event in &events[1..] {
        writer.event(event).unwrap();
    }
    // One that just fits beside others does no harm to them.
    large.kind = EventKind::ModuleFree {
        module: "x".repeat((8 << 20) - 100).into(),
        code: None,
    };
    writer.event(&large).unwrap();
    events.push(large);
    let (_, back, ending) = read(&writer.finish(End::default()).unwrap()).unwrap();
    assert_eq!(back, events);
    assert_eq!(ending.problems(), [""; 0]);
}
