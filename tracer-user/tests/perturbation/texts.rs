//! Texts.

use std::{fs, path::PathBuf};

use proptest::test_runner::TestRunner;

use crate::{
    Tally, judge,
    operations::{busy, ordinary},
    perturb,
    render::{self, Style},
};

/// The files with one of these endings in a directory of the package, in the order of their names.
fn files(directory: &str, endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let Ok(entries) = fs::read_dir(&directory) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.is_some_and(|ending| endings.contains(&ending))
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Of made-up texts there are enough for a sample.
const TEXT_STRIDE: usize = 3;

fn try_all(inputs: &[(String, Vec<u8>)], stride: usize) -> Tally {
    let mut tally = Tally::default();
    for (name, content) in inputs {
        let Some(before) = judge(content.clone()) else {
            continue;
        };
        perturb::texts(content, stride, |kind, at, text| {
            if let Some(after) = judge(text) {
                tally.compare((name, kind, at), &before, &after);
            }
        });
    }
    tally
}

/// Texts of drivers that do nothing wrong, made up: the same each time.
fn made_up() -> Vec<(String, Vec<u8>)> {
    let mut runner = TestRunner::deterministic();
    let mut texts = Vec::new();
    for number in 0..8 {
        let operations = busy(&mut runner);
        for style in [Style::Hashed, Style::Real, Style::Concluded] {
            let kernel = ordinary(&operations, style != Style::Concluded);
            let text = render::text(&kernel.story.events, style);
            texts.push((format!("made-up {number} {style:?}"), text.into_bytes()));
        }
    }
    texts
}

#[test]
fn texts_of_this_repository_accuse_nobody_more() {
    let inputs = [
        files("tests/cli", &["log", "trace"]),
        files("tests/perturbation/texts", &["txt"]),
    ]
    .concat();
    let tally = try_all(&inputs, 1);
    tally.check();
    tally.check_table("texts");
}

#[test]
fn made_up_texts_accuse_nobody() {
    let texts = made_up();
    for (name, text) in &texts {
        let judged = judge(text.clone()).unwrap();
        assert!(judged.is_innocent(), "{name}: {judged:?}");
    }
    let tally = try_all(&texts, TEXT_STRIDE);
    tally.check();
    tally.check_table("made-up texts");
}

#[test]
fn captures_and_logs_accuse_nobody_more() {
    let mut inputs = Vec::new();
    for directory in ["ftrace", "kernel-log"] {
        for place in ["../../shared/inputs", "../../../shared/inputs"] {
            inputs.extend(files(&format!("{place}/{directory}"), &["txt"]));
        }
    }
    if inputs.is_empty() {
        eprintln!("SKIPPED: no captures beside the workspace");
        return;
    }
    // All places take minutes.
    let stride = if std::env::var_os("EVERY_PLACE").is_some() {
        1
    } else {
        5
    };
    let tally = try_all(&inputs, stride);
    println!("{}", tally.table());
    tally.check();
}
