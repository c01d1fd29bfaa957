//! Going to any block of a file.

use std::fs;

use devres_tracer::{
    event::Event,
    trace_file::{BlockInfo, TraceFile},
};

use crate::{file, healthy};

fn opened(bytes: &[u8], name: &str) -> TraceFile {
    let path = std::env::temp_dir().join(format!("{name}-{}.dvrt", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let opened = TraceFile::open(&path).unwrap();
    // What was opened stays open.
    fs::remove_file(&path).unwrap();
    opened
}

fn from(file: &TraceFile, block: &BlockInfo) -> Vec<Event> {
    let mut reader = file.events_from(block).unwrap();
    let mut events = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        events.push(event);
    }
    assert!(reader.ending().end.is_some());
    events
}

#[test]
fn every_block_can_be_read_without_those_before_it() {
    let events = healthy();
    let opened = opened(&file(&events, 4), "seek");
    assert_eq!(opened.blocks().len(), events.len().div_ceil(4));
    for (number, block) in opened.blocks().iter().enumerate() {
        assert_eq!(block.first_event, number as u64 * 4);
        let first = &events[number * 4];
        assert_eq!(block.earliest, first.time);
        assert_eq!(from(&opened, block), events[number * 4..]);
    }
}

#[test]
fn blocks_are_found_without_an_index() {
    let events = healthy();
    let bytes = file(&events, 4);
    let with_index = opened(&bytes, "index");
    let without = opened(&bytes[..bytes.len() - 1], "no-index");
    assert_eq!(with_index.blocks(), without.blocks());
    assert!(!with_index.blocks().is_empty());
}

#[test]
fn blocks_behind_damage_are_found() {
    let events = healthy();
    let mut bytes = file(&events, 4);
    let all = opened(&bytes, "whole").blocks().to_vec();
    // The second block's header, and the index.
    let damaged = usize::try_from(all[1].offset).unwrap();
    bytes[damaged + 9] ^= 1;
    let length = bytes.len();
    bytes[length - 1] ^= 1;
    let opened = opened(&bytes, "damaged");
    let rest: Vec<BlockInfo> = [&all[..1], &all[2..]].concat();
    assert_eq!(opened.blocks(), rest);
    let mut reader = opened.events().unwrap();
    let mut read = 0;
    while reader.next_event().unwrap().is_some() {
        read += 1;
    }
    // A loss in place of four events.
    assert_eq!(read, events.len() - 3 + 1);
}
