//! A run that is kept in several files, each of which can be read alone.

use std::fs;

use devres_tracer::{
    engine::Verdict,
    event::{Event, EventKind, Hook},
    evidence::Before,
    trace_file::{EndedBy, Header, Recorder, RecorderError, RecorderOptions, Rotation},
};

use crate::{
    Dev, Story, header, judged, missing, read,
    recorded::{Directory, eventful},
    verdict,
};

struct Part {
    header: Header,
    events: Vec<Event>,
    ended: EndedBy,
    bytes: usize,
}

/// The files of a run that begins another one after so many bytes.
fn parts(name: &str, events: &[Event], max_size: u64, max_files: Option<u32>) -> (u32, Vec<Part>) {
    let directory = Directory::new(name);
    let options = RecorderOptions {
        rotation: Some(Rotation {
            max_size,
            max_files,
        }),
        ..RecorderOptions::default()
    };
    let mut recorder = Recorder::start(&directory.path("run.dvrt"), header(), options).unwrap();
    // Nothing was there before; that the files are small for what comes is what is tried.
    let _ = recorder.snapshot_taken();
    for event in events {
        recorder.event(event);
    }
    let all = recorder.finish(Vec::new()).unwrap();
    assert_eq!(all.unwritten, 0);
    let mut parts = Vec::new();
    for number in 1..=all.files {
        let path = directory.path(&format!("run.{number:04}.dvrt"));
        let Ok(bytes) = fs::read(path) else {
            continue;
        };
        let (header, events, ending) = read(&bytes).unwrap();
        assert_eq!(ending.problems(), [""; 0]);
        assert_eq!(header.part, Some(number));
        parts.push(Part {
            header,
            events,
            ended: ending.end.unwrap().ended.unwrap(),
            bytes: bytes.len(),
        });
    }
    (all.files, parts)
}

/// Devices that stay bound with what they own.
fn lasting(devices: u64) -> Vec<Event> {
    let mut story = Story::new();
    for number in 0..devices {
        let device = Dev(0xff11_0000_0900_0000 + number * 0x800);
        let node = 0xff11_2000_0000_0000 + number * 0x1000;
        story
            .enter(device, Hook::Initialise)
            .named(device, &format!("lasting{number}"), "pci", "lasting")
            .enter(device, Hook::Probe)
            .open_group(device, 0, node)
            .stack(&["lasting_probe@lasting", "really_probe"])
            .add(device, node + 0x100, "devm_kzalloc_release", 64)
            .close_group(device, node, node)
            .add_action(device, node + 0x300, "lasting_stop")
            .bound(device);
    }
    story.events
}

/// The same devices are unbound.
fn unbound(devices: u64) -> Vec<Event> {
    let mut story = Story::new();
    story.wait(1_000_000_000).task("init", 1);
    for number in 0..devices {
        let device = Dev(0xff11_0000_0900_0000 + number * 0x800);
        let node = 0xff11_2000_0000_0000 + number * 0x1000;
        story
            .begin_unbind(device)
            .rel(device, node + 0x300, "lasting_stop", 64)
            .rel(device, node, "grp<", 0)
            .rel(device, node + 0x100, "devm_kzalloc_release", 64)
            .end_unbind(device, 3);
    }
    story.events
}

#[test]
fn each_file_can_be_read_alone_and_knows_what_came_before() {
    let (lasts, between) = (lasting(20), eventful(5_000));
    let events: Vec<Event> = lasts
        .iter()
        .chain(&between)
        .cloned()
        .chain(unbound(20))
        .collect();
    let (files, parts) = parts("alone", &events, 12 << 10, None);
    assert!(files >= 3, "{files} files");
    assert_eq!(parts.len(), files as usize);
    let mut rest = events.iter().peekable();
    for (number, part) in parts.iter().enumerate() {
        // Every round has call stacks of its own, with which all later files begin.
        assert!(part.bytes < 40 << 10, "{} bytes", part.bytes);
        let last = number + 1 == parts.len();
        assert_eq!(part.ended == EndedBy::Run, last);
        let before = if number == 0 {
            Before::Nothing
        } else {
            Before::Snapshot
        };
        assert_eq!(part.header.source.coverage.before, before);
        let beginning = if number == 0 {
            0
        } else {
            part.events
                .iter()
                .position(|event| {
                    !matches!(event.kind, EventKind::Snapshot(_) | EventKind::Stack(_))
                })
                .unwrap_or(part.events.len())
        };
        // It may have been full with the very last event, and nothing follows its beginning.
        assert!(last || beginning < part.events.len(), "file {number}");
        // Identities whose event had not come yet stand there once more.
        let again = part.events[beginning..]
            .iter()
            .take_while(|event| {
                matches!(event.kind, EventKind::Device(_)) && rest.peek() != Some(event)
            })
            .count();
        assert!(again <= 1, "{again} identities");
        for event in &part.events[beginning + again..] {
            assert_eq!(Some(event), rest.next());
        }
        let (_, outcome) = judged(&part.header, &part.events);
        assert_eq!(outcome.desync_details, [""; 0], "file {number}");
        assert_eq!(
            missing(&part.events),
            0,
            "every file begins when nothing is under way"
        );
    }
    assert_eq!(rest.next(), None);
    // What was added in the first file is released in the last, which knows it from its beginning.
    let (_, outcome) = judged(&parts.last().unwrap().header, &parts.last().unwrap().events);
    assert_eq!(outcome.desyncs, 0);
}

/// A number without a pattern (the finalizer of splitmix64).
fn scattered(number: u64) -> u64 {
    let mut number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ (number >> 31)) | 1
}

#[test]
fn no_file_is_larger_than_it_may_be() {
    let mut events = lasting(10);
    let mut story = Story::new();
    story.task("busy", 9);
    let device = Dev(0xff11_0000_0a00_0000);
    // Addresses that hardly compress; nothing is ever under way in the first half, and something always in the second.
    for round in 0..20_000_u64 {
        let node = scattered(round);
        story.add(device, node, "devm_kzalloc_release", 8).rem(
            device,
            node,
            "devm_kzalloc_release",
            8,
        );
        if round == 10_000 {
            story.enter(device, Hook::Unbind);
        }
    }
    events.extend(story.events);
    for max_size in [8 << 10, 20 << 10, 64 << 10] {
        let (files, parts) = parts(&format!("bound-{max_size}"), &events, max_size, None);
        assert!(
            files > 1,
            "{files} files for {max_size}, of {} bytes",
            parts[0].bytes
        );
        for part in &parts {
            let bytes = part.bytes as u64;
            assert!(bytes <= max_size, "{bytes} of {max_size} bytes");
        }
        // Not for want of using the room.
        let first = parts[0].bytes as u64;
        assert!(first > max_size / 3, "{first} of {max_size} bytes");
    }
}

#[test]
fn a_size_that_hardly_holds_the_snapshot_is_refused() {
    let directory = Directory::new("too-small");
    let snapshot_of = |max_size| {
        let options = RecorderOptions {
            sync: false,
            rotation: Some(Rotation {
                max_size,
                max_files: None,
            }),
            overwrite: true,
        };
        let mut recorder = Recorder::start(&directory.path("run.dvrt"), header(), options).unwrap();
        for event in lasting(500) {
            recorder.event(&event);
        }
        recorder.snapshot_taken()
    };
    let error = snapshot_of(2_000).unwrap_err();
    let RecorderError::TooSmall { least, .. } = error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains(&least.to_string()), "{error}");
    assert!(snapshot_of(least).is_ok());
}

#[test]
fn only_the_newest_files_are_kept() {
    let (files, parts) = parts("newest", &eventful(5_000), 16 << 10, Some(2));
    assert!(files > 3, "{files} files");
    let numbers: Vec<_> = parts.iter().map(|part| part.header.part).collect();
    assert_eq!(numbers, [Some(files - 1), Some(files)]);
}

#[test]
fn a_file_that_begins_with_much_still_gets_on() {
    let mut events = lasting(500);
    events.extend(eventful(3_000));
    let (files, parts) = parts("much", &events, 1_000, None);
    // A third of what a file begins with is left for what happens.
    assert!((2..1_000).contains(&files), "{files} files");
    assert_eq!(parts.len(), files as usize);
}

#[test]
fn what_was_under_way_when_a_file_began_is_not_judged_to_be_clean() {
    // A device in whose unbind the file ends; the detach came too early and is in the first file.
    let device = Dev(0xff11_0000_0900_0000);
    let mut story = Story::new();
    story
        .enter(device, Hook::Initialise)
        .named(device, "unlucky", "platform", "unlucky")
        .enter(device, Hook::Probe)
        .attach(device)
        .add(device, 0x1000, "devm_clk_release", 8)
        .bound(device)
        .enter(device, Hook::Unbind)
        .enter(device, Hook::Remove)
        .detach(device);
    let first = story.events.len();
    story.task("other", 9);
    let other = Dev(0xff11_0000_0a00_0000);
    for number in 0..100_000 {
        story
            .add(other, 0x5000 + number % 2, "devm_kzalloc_release", 8)
            .rem(other, 0x5000 + number % 2, "devm_kzalloc_release", 8);
    }
    story
        .task("init", 1)
        .leave(device, Hook::Remove)
        .enter(device, Hook::Cleanup)
        .enter(device, Hook::ReleaseAll)
        .rel(device, 0x1000, "devm_clk_release", 8)
        .end_unbind(device, 1);
    assert!(first < story.events.len());
    let (files, parts) = parts("under-way", &story.events, 2 << 10, None);
    assert!(files >= 2, "{files} files");
    let unbound = parts
        .iter()
        .find(|part| part.events.iter().any(is_end_of_unbind))
        .unwrap();
    assert_eq!(missing(&unbound.events), 1);
    assert_ne!(verdict(&unbound.header, &unbound.events), Verdict::Clean);
}

fn is_end_of_unbind(event: &Event) -> bool {
    matches!(&event.kind, EventKind::Leave(left) if left.hook == Hook::Unbind)
}
