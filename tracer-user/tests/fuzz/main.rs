//! The fuzz targets on their seeds and on a bounded number of inputs made of these: the same ones in every run. What is
//! not found here, a long run of libFuzzer may find (`cargo xtask fuzz`).

#[path = "../support/any_text.rs"]
mod any_text;
mod mutate;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::{
    fs, io,
    panic::{catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

use mutate::Mutator;
use targets::Target;

/// Inputs that are made of the seeds of each target.
const MADE: usize = 60;

// One test, since it counts what the whole process allocates.
#[test]
fn every_target_takes_its_seeds_and_what_is_made_of_them() {
    for target in &targets::ALL {
        let seeds = match seeds(target) {
            Ok(seeds) => seeds,
            Err(error) => panic!("the seeds of {}: {error}", target.name),
        };
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let mut mutator = Mutator::new(&seeds);
        let made = (0..MADE).map(|_| mutator.next());
        for input in seeds.iter().cloned().chain(made) {
            check(target, &input);
        }
    }
}

/// Keeps an input that fails.
fn check(target: &Target, input: &[u8]) {
    let Err(panic) = catch_unwind(|| target.check(input)) else {
        return;
    };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
    match fs::write(&path, input) {
        Ok(()) => eprintln!("the input is in {}", path.display()),
        Err(error) => eprintln!("the input can't be kept: {error}"),
    }
    resume_unwind(panic);
}

fn seeds(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let mut paths: Vec<PathBuf> = fs::read_dir(seeds.join(target.name))?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}
