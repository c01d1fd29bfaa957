//! Files that were cut off or changed: never a panic, never more events than there were, never clean.

use devres_tracer::{
    engine::Verdict,
    event::{Event, EventKind},
    trace_file::{TraceFileError, VERSION},
};
use proptest::{collection::vec, prelude::*};

use crate::{arbitrary, file, healthy, missing, read, verdict};

/// What is left of a damaged file must be said to be incomplete, and what is read must have been written.
fn must_say_so(original: &[Event], damaged: &[u8], what: &str) {
    match read(damaged) {
        Err(TraceFileError::Read(error)) => panic!("{what}: {error}"),
        Err(_) => {}
        Ok((header, events, ending)) => {
            assert!(!ending.problems().is_empty(), "{what}: nothing is said");
            assert!(missing(&events) > 0, "{what}: nothing is missing");
            let mut rest = original.iter();
            for event in events
                .iter()
                .filter(|event| !matches!(event.kind, EventKind::Loss(_)))
            {
                assert!(
                    rest.any(|written| written == event),
                    "{what}: {event:?} was never written"
                );
            }
            assert_ne!(verdict(&header, &events), Verdict::Clean, "{what}");
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_says_so() {
    let events = healthy();
    let whole = file(&events, 4);
    for length in 0..whole.len() {
        must_say_so(&events, &whole[..length], &format!("cut at {length}"));
    }
}

#[test]
fn a_file_with_any_byte_changed_says_so() {
    let events = healthy();
    let mut bytes = file(&events, 4);
    for position in 0..bytes.len() {
        let was = bytes[position];
        for change in [0x01, 0x80, 0xff, was] {
            bytes[position] = was ^ change;
            if bytes[position] != was {
                must_say_so(&events, &bytes, &format!("byte {position} ^ {change:#x}"));
            }
        }
        bytes[position] = was;
    }
}

#[test]
fn a_file_with_any_byte_missing_or_too_much_says_so() {
    let events = healthy();
    let whole = file(&events, 4);
    for position in 0..=whole.len() {
        let mut bytes = whole.clone();
        bytes.insert(position, b'D');
        must_say_so(&events, &bytes, &format!("one more at {position}"));
        if position < whole.len() {
            bytes.drain(position..=position + 1);
            if bytes != whole {
                must_say_so(&events, &bytes, &format!("one less at {position}"));
            }
        }
    }
}

#[test]
fn a_file_with_a_block_missing_twice_or_moved_says_so() {
    let events = healthy();
    let whole = file(&events, 4);
    let starts: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(b"DVRB"))
        .chain([whole.len() - 16])
        .collect();
    for pair in starts.windows(2) {
        let block = pair[0]..pair[1];
        let mut without = whole.clone();
        without.drain(block.clone());
        must_say_so(&events, &without, &format!("without {block:?}"));
        for place in &starts {
            let mut more = whole.clone();
            more.splice(*place..*place, whole[block.clone()].iter().copied());
            must_say_so(&events, &more, &format!("{block:?} again at {place}"));
        }
    }
}

#[test]
fn what_comes_after_a_damaged_block_is_read_and_the_loss_is_counted() {
    let events = healthy();
    let mut bytes = file(&events, 4);
    let second = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(b"DVRB"))
        .nth(2)
        .unwrap();
    bytes[second + 70] ^= 1;
    let (_, back, ending) = read(&bytes).unwrap();
    let EventKind::Loss(loss) = &back[4].kind else {
        panic!("{:?}", back[4]);
    };
    assert_eq!(loss.count, 4);
    assert_eq!(back[..4], events[..4]);
    assert_eq!(back[5..], events[8..]);
    assert_eq!(
        ending.problems(),
        [format!(
            "damaged at byte {second}: a block's checksum is wrong"
        )]
    );
}

#[test]
fn a_file_that_was_never_finished_has_its_whole_blocks() {
    let events = healthy();
    let whole = file(&events, 4);
    // The index, the end and the trailer are gone.
    let last = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(b"DVRB"))
        .rev()
        .nth(1)
        .unwrap();
    let (_, back, ending) = read(&whole[..last]).unwrap();
    assert_eq!(back[..events.len()], events);
    assert_eq!(missing(&back), 1);
    assert_eq!(back.len(), events.len() + 1);
    assert!(ending.problems()[0].starts_with("not cleanly finished"));
}

#[test]
fn blocks_of_another_file_are_not_taken_for_its_own() {
    let (events, other) = (healthy(), healthy());
    let (whole, stale) = (file(&events, 4), file(&other, 4));
    let mut bytes = whole[..whole.len() / 2].to_vec();
    bytes.extend(&stale[bytes.len()..]);
    must_say_so(&events, &bytes, "another file's end");
    let (_, back, _) = read(&bytes).unwrap();
    assert!(back.len() < events.len());
}

#[test]
fn a_content_that_would_not_fit_into_memory_is_not_unpacked() {
    // A block that says it has four gigabytes: its header is refused, whatever its checksum.
    let events = healthy();
    let mut bytes = file(&events, 4);
    let block = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(b"DVRB"))
        .nth(1)
        .unwrap();
    let file_number = bytes[12..20].to_vec();
    for field in [16, 20] {
        bytes[block + field..block + field + 4].copy_from_slice(&[0xff; 4]);
        let mut summed = file_number.clone();
        summed.extend(&bytes[block..block + 56]);
        let checksum = crc32fast::hash(&summed).to_le_bytes();
        bytes[block + 56..block + 60].copy_from_slice(&checksum);
        must_say_so(&events, &bytes, "four gigabytes");
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = file(&healthy(), 4);
    let newer = VERSION + 1;
    bytes[8..10].copy_from_slice(&newer.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..20]).to_le_bytes();
    bytes[20..24].copy_from_slice(&checksum);
    let TraceFileError::Newer(named) = read(&bytes).unwrap_err() else {
        panic!("it was read");
    };
    assert_eq!(named, newer);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_large_file_changed_anywhere_says_so(
        events in vec(arbitrary::event(), 100..400),
        changes in vec((any::<prop::sample::Index>(), 1..=255_u8), 1..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let whole = file(&events, 50);
        let mut bytes = whole.clone();
        for (position, change) in &changes {
            bytes[position.index(whole.len())] ^= change;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(whole.len()));
        }
        if bytes != whole {
            must_say_so(&events, &bytes, "changed");
        }
    }
}
