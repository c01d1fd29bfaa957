//! `cargo xtask fuzz`: libFuzzer on a target of `fuzz/`, with the stable compiler.
//!
//! cargo-fuzz does the same with a nightly one and with checks of memory, which code without `unsafe` has little use for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::command;
use crate::toolchain::{self, Toolchain};
use crate::workspace;

/// Tells libFuzzer which branches an input takes, and what it is compared with.
const INSTRUMENTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// What every run has: inputs that are long enough for what grows faster than they do, a limit for each of them in
/// seconds, and one for the whole process in megabytes.
const LIMITS: [&str; 3] = ["-max_len=8192", "-timeout=60", "-rss_limit_mb=2048"];

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long, such as 90s, 5m or 1h; for each target.
    #[arg(long = "for", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    time: Duration,
    /// What is fuzzed [default: all of them, one after the other].
    targets: Vec<Target>,
}

/// A program of `fuzz/`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Target {
    TraceFile,
    Text,
    JsonLines,
    Policy,
    Expectations,
    Wire,
    Model,
    Diff,
}

impl Target {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let seconds = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("give a duration such as 90s, 5m or 1h".to_owned()),
    };
    let number: u32 = number
        .parse()
        .map_err(|_| "the number is too large, or there is none".to_owned())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let programs = build()?;
    let targets = match &args.targets[..] {
        [] => Target::value_variants(),
        targets => targets,
    };
    for target in targets {
        fuzz(&programs.join(target.name()), &target.name(), args.time)?;
    }
    Ok(())
}

/// Builds the programs; yields where they are.
fn build() -> Result<PathBuf> {
    let toolchain = Toolchain::active()?;
    let built = workspace::root().join("target/fuzz");
    // With a target named, the flags do not reach build scripts.
    command::show(
        toolchain::cargo()
            .args([
                "build",
                "--locked",
                "--release",
                "--target",
                &toolchain.host,
            ])
            .args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
            .arg(&built)
            .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\x1f")),
    )?;
    Ok(built.join(toolchain.host).join("release"))
}

/// What is found goes to `fuzz/corpus`; an input that fails goes to `fuzz/artifacts`.
fn fuzz(program: &PathBuf, name: &str, time: Duration) -> Result<()> {
    let directory = workspace::root().join("fuzz");
    let corpus = directory.join("corpus").join(name);
    let artifacts = directory.join("artifacts").join(name);
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let seeds = workspace::root()
        .join("tracer-user/tests/fuzz/seeds")
        .join(name);
    println!("{name}: {} s", time.as_secs());
    command::show(
        Command::new(program)
            .args(LIMITS)
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg("-print_final_stats=1")
            .args([corpus, seeds]),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "5", "m", "5 m", "5\u{b5}", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
