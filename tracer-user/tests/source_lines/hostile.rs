//! Debug files that are damaged, or made to do harm: nothing panics, and nothing takes more memory than the file says.

use std::fs;

use proptest::prelude::*;

use devres_tracer::source::recording::Annotator as _;

use super::{Recorded, calls, demo, in_directory, loaded, placed, told};

/// Looks up all calls in a file with this content. Whatever comes of that is as well.
fn look_up_all(content: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("demo.ko"), content).unwrap();
    let mut lines = in_directory(directory.path(), Recorded::default());
    lines.loaded(&[loaded(None)]);
    for call in calls("demo.ko").values() {
        told(&mut lines, &placed(call, Some("demo")));
    }
    assert!(!lines.remarks().is_empty());
}

#[test]
fn a_file_that_was_cut_off_is_no_harm() {
    let whole = fs::read(demo("demo.ko")).unwrap();
    for length in (0..whole.len()).step_by(61) {
        look_up_all(&whole[..length]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_no_harm(
        file in prop::sample::select(vec!["demo.ko", "demo-zlib.ko.debug", "demo-zstd.ko.debug", "vmlinux"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut content = fs::read(demo(file)).unwrap();
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        look_up_all(&content);
    }
}
