//! Trace files: as they are, and as if every checksum in them were right, which no accident would make.

use std::{io::Write as _, sync::Arc};

use devres_tracer::{
    engine::Engine,
    event::Event,
    rules::RuleSet,
    trace_file::{End, Events, Header, MAGIC, TraceFile, TraceFileWriter},
};

use super::{Bound, Target, judge::judge};

pub(super) const TARGET: Target = Target {
    name: "trace_file",
    run,
    size,
    held: Bound::new(1 << 20, 60),
    asked_for: Bound::new(1 << 20, 600),
};

/// The lengths of what a file begins with and of a block's header, and the mark of a block: docs/trace-format.md.
const PREAMBLE: usize = 24;
const HEADER: usize = 60;
const MARK: [u8; 4] = *b"DVRB";
/// The most that a block may have when it is unpacked.
const MOST_CONTENT: usize = 8 << 20;
/// Events that are written again, and blocks that are read from: the first ones do.
const MOST: usize = 64;

fn run(input: &[u8]) -> String {
    let mended = mended(input);
    format!("{} {} {}", read(input), read(&mended), from_blocks(&mended))
}

/// What the rules say of a file's events, which are the same when they were written again.
fn read(file: &[u8]) -> String {
    let (header, mut events) = match Events::new(file) {
        Ok(read) => read,
        Err(error) => return error.to_string(),
    };
    let mut engine = Engine::new(Arc::new(header.source.coverage.clone()), RuleSet::all());
    let mut first = Vec::new();
    loop {
        match events.next_event() {
            Ok(Some(event)) => {
                engine.apply(&event);
                if first.len() < MOST {
                    first.push(event);
                }
            }
            Ok(None) => break,
            Err(error) => panic!("{error}"),
        }
    }
    is_the_same_again(&header, &first);
    format!("{:?} {:?}", engine.finish(), events.ending())
}

fn is_the_same_again(header: &Header, events: &[Event]) {
    let mut written = Vec::new();
    let result = TraceFileWriter::begin(&mut written, header).and_then(|mut writer| {
        events.iter().try_for_each(|event| writer.event(event))?;
        writer.finish(End::default()).map(drop)
    });
    // One that is too long for a file is no fault.
    if result.is_err() {
        return;
    }
    let Ok((again, mut read)) = Events::new(&written[..]) else {
        panic!("the file that was written can't be read");
    };
    assert_eq!(again, *header);
    for event in events {
        let read = read.next_event().ok().flatten();
        assert_eq!(read.as_ref(), Some(event));
    }
    assert!(matches!(read.next_event(), Ok(None)));
    assert!(read.ending().end.is_some());
}

/// What the rules say of what begins with each block, as the live view goes to it.
fn from_blocks(file: &[u8]) -> String {
    let opened = tempfile::NamedTempFile::new().and_then(|mut on_disk| {
        on_disk.write_all(file)?;
        Ok(on_disk)
    });
    let on_disk = match opened {
        Ok(on_disk) => on_disk,
        Err(error) => panic!("{error}"),
    };
    let trace = match TraceFile::open(on_disk.path()) {
        Ok(trace) => trace,
        Err(error) => return error.to_string(),
    };
    let mut told = vec![format!("{:?}", trace.blocks())];
    for block in trace.blocks().iter().take(MOST) {
        let Ok(mut events) = trace.events_from(block) else {
            continue;
        };
        let mut first = Vec::new();
        while first.len() < MOST
            && let Ok(Some(event)) = events.next_event()
        {
            first.push(event);
        }
        let outcome = judge(&trace.header().source.coverage, &first);
        told.push(format!("{outcome:?}"));
    }
    told.concat()
}

/// Where blocks seem to begin.
fn blocks(file: &[u8]) -> impl Iterator<Item = usize> {
    let marks = file.windows(MARK.len()).enumerate();
    marks.filter_map(|(place, bytes)| (bytes == MARK && place >= PREAMBLE).then_some(place))
}

fn number(file: &[u8], place: usize) -> usize {
    let bytes = file.get(place..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// What its blocks say that they hold: a block of zeros is much smaller than that.
fn size(file: &[u8]) -> usize {
    let held = blocks(file).map(|block| number(file, block + 20).min(MOST_CONTENT));
    file.len() + held.sum::<usize>()
}

/// The file with a whole beginning, blocks that are as long as they say, and checksums that fit.
fn mended(file: &[u8]) -> Vec<u8> {
    let mut mended = file.to_vec();
    if mended.len() < PREAMBLE {
        return mended;
    }
    put(&mut mended, 0, &MAGIC);
    let checksum = crc32fast::hash(&mended[..PREAMBLE - 4]);
    put(&mut mended, PREAMBLE - 4, &checksum.to_le_bytes());
    let mut place = PREAMBLE;
    for block in blocks(file) {
        let content = block + HEADER;
        if block < place {
            continue;
        }
        let Some(room) = mended.len().checked_sub(content) else {
            break;
        };
        let stored = number(&mended, block + 16).min(room);
        let length = u32::try_from(stored).unwrap_or_default().to_le_bytes();
        put(&mut mended, block + 6, &[0, 0]);
        put(&mut mended, block + 16, &length);
        // As it is, not compressed.
        if mended[block + 5] == 0 {
            put(&mut mended, block + 20, &length);
        }
        let checksum = crc32fast::hash(&mended[content..content + stored]);
        put(&mut mended, block + 28, &checksum.to_le_bytes());
        let checked = [&mended[12..20], &mended[block..block + HEADER - 4]].concat();
        let checksum = crc32fast::hash(&checked);
        put(&mut mended, block + HEADER - 4, &checksum.to_le_bytes());
        place = content + stored;
    }
    mended
}

fn put(file: &mut [u8], place: usize, bytes: &[u8]) {
    file[place..place + bytes.len()].copy_from_slice(bytes);
}
