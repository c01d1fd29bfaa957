//! A recorder that is killed at any point leaves what it had written, and that is always a file that can be read.

use std::{fs, thread, time::Duration};

use devres_tracer::{
    engine::Verdict,
    event::{Event, EventKind},
    trace_file::{Recorder, RecorderOptions, TraceFileError},
};

use crate::{header, healthy, read, recorded::Directory, verdict};

/// What is in the file now, which is what a kill would leave there.
fn left(directory: &Directory, events: usize) -> Vec<u8> {
    let path = directory.path("run.dvrt");
    // The thread that writes has its own time.
    for _ in 0..500 {
        let bytes = fs::read(&path).unwrap();
        if read(&bytes).is_ok_and(|(_, read, _)| written(&read) >= events) {
            return bytes;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("{events} events are not written");
}

fn written(events: &[Event]) -> usize {
    let is_written = |event: &&Event| !matches!(event.kind, EventKind::Loss(_));
    events.iter().filter(is_written).count()
}

#[test]
fn the_snapshot_and_the_first_events_outlive_the_recorder() {
    let directory = Directory::new("killed");
    let path = directory.path("run.dvrt");
    let events = healthy();
    let (snapshot, happened) = events.split_at(3);
    let mut recorder = Recorder::start(&path, header(), RecorderOptions::default()).unwrap();
    for event in snapshot {
        recorder.event(event);
    }
    recorder.snapshot_taken().unwrap();
    left(&directory, snapshot.len());
    for event in happened {
        recorder.event(event);
    }
    // Far less than the half second that a block may be old later on.
    thread::sleep(Duration::from_millis(50));
    recorder.pause();
    let bytes = left(&directory, events.len());
    let (header, read, ending) = read(&bytes).unwrap();
    assert_eq!(read[..events.len()], events[..]);
    assert!(!ending.problems().is_empty(), "it was not finished");
    assert_eq!(verdict(&header, &read), Verdict::Inconclusive);
    drop(recorder);
}

#[test]
fn what_is_left_by_a_kill_at_any_byte_is_whole_blocks_and_says_that_it_is_cut() {
    let directory = Directory::new("cut");
    let path = directory.path("run.dvrt");
    let events = healthy();
    let mut recorder = Recorder::start(&path, header(), RecorderOptions::default()).unwrap();
    // A block for each few events, as a slow run makes them.
    for block in events.chunks(3) {
        for event in block {
            recorder.event(event);
        }
        recorder.snapshot_taken().unwrap();
    }
    recorder.finish(Vec::new()).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut most = 0;
    for length in 0..whole.len() {
        match read(&whole[..length]) {
            Err(TraceFileError::Read(error)) => panic!("cut at {length}: {error}"),
            Err(_) => assert_eq!(most, 0, "cut at {length}: nothing can be read any more"),
            Ok((header, read, ending)) => {
                let count = written(&read);
                assert!(count >= most, "cut at {length}: less than before");
                assert_eq!(read[..count], events[..count], "cut at {length}");
                assert!(!ending.problems().is_empty(), "cut at {length}");
                assert_ne!(verdict(&header, &read), Verdict::Clean, "cut at {length}");
                most = count;
            }
        }
    }
    assert_eq!(
        most,
        events.len(),
        "all blocks were whole before the end was"
    );
}
