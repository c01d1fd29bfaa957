//! The probe of `devres_log` as it was when its goal was set, and as it is: each is run by its own benchmark, in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{ROUNDS, figures::Figures};
use crate::{command, toolchain, workspace};

/// The commit whose probe the goal is about.
const COMMIT: &str = "46febdf";

/// Measures both.
pub(super) fn measure(figures: &mut Figures) -> Result<()> {
    let earlier = source()?;
    let build = workspace::root().join("target/goals/build");
    eprintln!("building the benchmark of commit {COMMIT}, and today's");
    for _ in 0..ROUNDS {
        let printed = command::output(benchmark(&earlier).env("CARGO_TARGET_DIR", &build))?;
        figures.take_lines("then: ", &printed);
        let printed = command::output(&mut benchmark(workspace::root()))?;
        figures.take_lines("now: ", &printed);
    }
    Ok(())
}

fn benchmark(tree: &Path) -> Command {
    let mut cargo = toolchain::cargo();
    cargo.current_dir(tree).args([
        "bench",
        "--locked",
        "--quiet",
        "--package",
        "devres-tracer",
        "--bench",
        "probe",
    ]);
    cargo
}

/// The tree of that commit.
fn source() -> Result<PathBuf> {
    let tree = workspace::root().join("target/goals/earlier");
    if tree.join("Cargo.toml").is_file() {
        return Ok(tree);
    }
    fs::create_dir_all(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
    let mut archive = Command::new("git")
        .current_dir(workspace::root())
        .args(["archive", COMMIT])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run git")?;
    let output = archive.stdout.take().context("git has no output")?;
    let unpacked = Command::new("tar")
        .arg("-x")
        .current_dir(&tree)
        .stdin(output)
        .status()
        .context("cannot run tar")?;
    let archived = archive.wait().context("cannot wait for git")?;
    ensure!(
        archived.success() && unpacked.success(),
        "commit {COMMIT} can't be had: the clone has to have the whole history"
    );
    Ok(tree)
}
