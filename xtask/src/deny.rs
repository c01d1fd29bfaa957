//! `cargo xtask deny`: checks the dependencies with cargo-deny against `deny.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{command, toolchain, workspace};

/// The version of cargo-deny that is built.
const VERSION: &str = "0.20.2";

/// Arguments of `cargo xtask deny`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail if the database of security advisories can't be fetched. Without this, advisories are checked where it can be.
    #[arg(long)]
    advisories: bool,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    fuzz_targets_are_locked()?;
    let program = provide()?;
    command::show(deny(&program, ".").args(["check", "licenses", "bans", "sources"]))?;
    let fetched = command::output(deny(&program, ".").args(["fetch", "db"]));
    if let Err(error) = fetched {
        if args.advisories {
            return Err(error.context("the database of security advisories can't be fetched"));
        }
        println!("security advisories were NOT checked: their database can't be fetched from here");
        return Ok(());
    }
    for workspace in [".", "fuzz"] {
        command::show(deny(&program, workspace).args(["check", "advisories"]))?;
    }
    Ok(())
}

/// cargo-deny for a workspace of this tree, with the one `deny.toml`.
fn deny(program: &Path, workspace: &str) -> Command {
    let mut deny = Command::new(program);
    deny.current_dir(workspace::root().join(workspace))
        .arg("--locked")
        .arg("--config")
        .arg(workspace::root().join("deny.toml"));
    deny
}

/// The fuzz targets are a workspace of their own, which no other task in CI builds: nothing else shows that its lock file is
/// older than the tracer's dependencies.
fn fuzz_targets_are_locked() -> Result<()> {
    let manifest = workspace::root().join("fuzz/Cargo.toml");
    command::output(
        toolchain::cargo()
            .args(["metadata", "--locked", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(manifest),
    )
    .map(drop)
}

/// Returns the path of cargo-deny in the cache; builds it if it is not there.
fn provide() -> Result<PathBuf> {
    let root = workspace::cache()?.join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("building cargo-deny {VERSION}, which takes some minutes");
    let build = root.join("build");
    command::show(
        toolchain::cargo()
            .env("CARGO_TARGET_DIR", &build)
            // Unoptimized: it is built for longer than it ever runs.
            .args(["install", "cargo-deny", "--locked", "--quiet", "--debug"])
            .args(["--version", VERSION])
            .arg("--root")
            .arg(&root),
    )?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    Ok(program)
}
