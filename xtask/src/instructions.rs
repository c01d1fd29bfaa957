//! `cargo xtask instructions`: how many instructions the work on each event takes, compared with the figures in the tree.
//!
//! Valgrind counts them, so they say the same on a machine that has other things to do, and nearly the same on another
//! processor. Each kind of work is done with a few rounds and with more: what the rounds differ by is free of what a
//! start costs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{command, tools, tracer, workspace};

/// The figures in the tree.
const FIGURES: &str = "tracer-user/benches/instructions/figures.txt";

/// What stands above them.
const HEADING: &str = "# Instructions for each event, or for each byte of text. `cargo xtask instructions --write` writes them.\n";

/// By how much a figure may grow: the seeds of hash tables, and another processor's way to search a text, change it by less.
const TOLERANCE: f64 = 1.05;

/// The rounds that are compared.
const ROUNDS: [u32; 2] = [2, 6];

/// Arguments of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the figures instead of comparing with them.
    #[arg(long)]
    write: bool,
}

/// Runs the task: fails if a figure has grown, or if one is missing.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    tools::require(&["valgrind"])?;
    let program = tracer::build_instructions()?;
    let works = command::output(&mut Command::new(&program))?;
    let path = workspace::root().join(FIGURES);
    let before = if args.write {
        String::new()
    } else {
        fs::read_to_string(&path).with_context(|| format!("cannot read {FIGURES}"))?
    };
    let mut written = HEADING.to_owned();
    let mut failed = 0;
    for work in works.lines() {
        let now = each(&program, work)?;
        writeln!(written, "{work} {now:.1}")?;
        if args.write {
            println!("{work}: {now:.1}");
            continue;
        }
        let told = told(figure(&before, work), now);
        failed += u32::from(told.is_err());
        let (Ok(told) | Err(told)) = told;
        println!("{work}: {told}");
    }
    if args.write {
        fs::write(&path, written).with_context(|| format!("cannot write {FIGURES}"))?;
    } else if failed > 0 {
        println!(
            "if the growth is worth it, say why in the commit, and run `cargo xtask instructions --write`"
        );
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// What is said of a figure; the error is that of one which has grown, or is missing.
fn told(before: Option<f64>, now: f64) -> Result<String, String> {
    let Some(before) = before else {
        return Err(format!("{now:.1}, and FAILED: {FIGURES} has no figure"));
    };
    let ratio = now / before;
    let told = format!("{now:.1}, {ratio:.2} times the {before:.1} in the tree");
    if ratio > TOLERANCE {
        Err(format!("{told}: FAILED"))
    } else {
        Ok(told)
    }
}

/// The figure of a kind of work.
fn figure(figures: &str, work: &str) -> Option<f64> {
    let (_, figure) = figures
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == work)?;
    figure.parse().ok()
}

/// The instructions of a kind of work for each of its events, or bytes of text.
fn each(program: &Path, work: &str) -> Result<f64> {
    let [few, many] = ROUNDS;
    let (fewer, size) = count(program, work, few)?;
    let (more, _) = count(program, work, many)?;
    Ok((more - fewer) / (f64::from(many - few) * size))
}

/// The instructions of so many rounds, and the size of one.
fn count(program: &Path, work: &str, rounds: u32) -> Result<(f64, f64)> {
    let log = workspace::root().join("target/instructions.log");
    let size = command::output(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--log-file={}", log.display()))
            .arg(program)
            .args([work, &rounds.to_string()]),
    )?;
    let log = fs::read_to_string(&log).context("cannot read what valgrind says")?;
    let counted = log
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .with_context(|| format!("valgrind has counted nothing:\n{log}"))?;
    Ok((counted, size.trim().parse().context("the size of a round")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_has_grown_or_is_missing_fails() {
        let figures = format!("{HEADING}decode 100.0\nmodel 20.0\n");
        assert_eq!(figure(&figures, "model"), Some(20.0));
        assert!(told(figure(&figures, "decode"), 104.0).is_ok());
        assert!(told(figure(&figures, "decode"), 106.0).is_err());
        assert!(told(figure(&figures, "read"), 1.0).is_err());
    }
}
