//! How much memory a trace file takes while it is written and read.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

mod support;

use std::{fs::File, io::BufReader, path::Path};

use devres_tracer::{
    event::{Event, Hook},
    evidence::SourceInformation,
    trace_file::{Events, Header, Recorder, RecorderOptions},
};
use peak_alloc::PeakAlloc;
use support::{Dev, Story, whole};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes that reading may take: a block, its compressed form and its tables.
const MOST_FOR_READING: usize = 4 << 20;
/// Bytes that recording may take: what waits for the disk, and the block that is being filled.
const MOST_FOR_WRITING: usize = 24 << 20;

// One test, because all parts read what the whole process has allocated.
#[test]
fn memory_does_not_follow_the_number_of_events() {
    let path = std::env::temp_dir().join(format!("memory-{}.dvrt", std::process::id()));
    for rounds in [20, 2_000] {
        let events = rounds * story(0).len();
        let written = peak_of(|| write(&path, rounds));
        let read = peak_of(|| assert_eq!(read(&path), events));
        println!("{events} events: {written} bytes for writing, {read} for reading");
        assert!(written < MOST_FOR_WRITING, "{written}");
        assert!(read < MOST_FOR_READING, "{read}");
    }
    std::fs::remove_file(path).unwrap();
}

fn peak_of(run: impl FnOnce()) -> usize {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    run();
    ALLOCATED.peak_usage().saturating_sub(before)
}

/// Names, stacks, devices and tasks that no other round has.
fn story(round: usize) -> Vec<Event> {
    let mut story = Story::new();
    story.task(
        &format!("task{round}"),
        u32::try_from(round).unwrap() + 1_000,
    );
    for number in 0..50 {
        let device = Dev(0xff11_0000_0000_0000 + (round * 50 + number) as u64 * 0x800);
        let name = format!("device{round}.{number}");
        story
            .enter(device, Hook::Initialise)
            .named(device, &name, "platform", "driver")
            .stack(&[&format!("function{round}.{number}"), "really_probe"])
            .add(device, device.0 + 0x100, &format!("release_{name}"), 8)
            .rel(device, device.0 + 0x100, &format!("release_{name}"), 8)
            .last_put(device);
    }
    story.events
}

fn write(path: &Path, rounds: usize) {
    let header = Header::of_recording(SourceInformation {
        tool: "test".to_owned(),
        kernel: None,
        machine: None,
        coverage: whole(),
        filters: Vec::new(),
    });
    let options = RecorderOptions {
        overwrite: true,
        ..RecorderOptions::default()
    };
    let mut recorder = Recorder::start(path, header, options).unwrap();
    for round in 0..rounds {
        for event in story(round) {
            recorder.event(&event);
        }
    }
    assert_eq!(recorder.finish(Vec::new()).unwrap().unwritten, 0);
}

fn read(path: &Path) -> usize {
    let (_, mut events) = Events::new(BufReader::new(File::open(path).unwrap())).unwrap();
    let mut count = 0;
    while events.next_event().unwrap().is_some() {
        count += 1;
    }
    assert!(events.ending().end.is_some());
    count
}
