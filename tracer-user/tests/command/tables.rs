//! The tables of a lab, and how they get there.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::Place;

#[test]
fn tables_are_written_whole_and_private() {
    let place = Place::new();
    let export = |more: &[&str]| {
        let export = ["export", "--format", "parquet", "-o", "lab"];
        place.run(&[&export[..], more].concat())
    };
    let written = || {
        let mut found: Vec<String> = Vec::new();
        let mut waiting = vec![place.path("lab")];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).expect("it is there") {
                let path = entry.expect("it can be listed").path();
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    let mode = fs::metadata(&path)
                        .expect("it is there")
                        .permissions()
                        .mode();
                    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
                    let path = path.strip_prefix(place.path("lab")).expect("it is below");
                    found.push(path.to_str().expect("it is text").to_owned());
                }
            }
        }
        found.sort();
        found
    };
    let ran = export(&["whole.jsonl"]);
    assert_eq!(ran.code, 0, "{}", ran.error);
    let whole = written();
    assert_eq!(whole.len(), 5, "{whole:?}");
    assert!(whole[0].starts_with("bindings/kernel=6.1.0-"), "{whole:?}");
    assert!(whole[0].contains("/machine=unknown/"), "{whole:?}");
    // What can't be read, or is cut off, keeps nothing else from being exported.
    let cut = place.lines();
    place.write("cut.jsonl", cut[..cut.len() / 2].join("\n"));
    place.write("empty", "");
    let ran = export(&["nowhere", "cut.jsonl", "whole.jsonl"]);
    assert_eq!(ran.code, 4, "{}", ran.error);
    assert!(
        ran.error.contains("nowhere can't be opened"),
        "{}",
        ran.error
    );
    assert_eq!(export(&["cut.jsonl"]).code, 3);
    assert_eq!(export(&["empty", "cut.jsonl"]).code, 2);
    assert_eq!(written().len(), 10);
    assert!(whole.iter().all(|path| written().contains(path)));
    assert_eq!(export(&["-"]).code, 2);
    // Another name of the machine: the files move.
    assert_eq!(
        export(&["whole.jsonl", "cut.jsonl", "--machine", "board/7"]).code,
        3
    );
    let moved = written();
    assert_eq!(moved.len(), 10, "{moved:?}");
    assert!(
        moved
            .iter()
            .all(|path| path.contains("/machine=board%2F7/")),
        "{moved:?}"
    );
    let ran = place.run(&["export", "whole.jsonl", "--format", "parquet"]);
    assert_eq!(ran.code, 2, "{}", ran.error);
    let ran = place.run(&[
        "export",
        "whole.jsonl",
        "--format",
        "json",
        "--machine",
        "x",
    ]);
    assert_eq!(ran.code, 2, "{}", ran.error);
    place.write("file", "");
    let ran = place.run(&["export", "whole.jsonl", "--format", "parquet", "-o", "file"]);
    assert_eq!(ran.code, 4, "{}", ran.error);
}
