//! `cargo xtask deny`: checks the dependencies with cargo-deny against `deny.toml`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{command, toolchain, workspace};

/// The version of cargo-deny that is built.
const VERSION: &str = "0.20.2";

/// Arguments of `cargo xtask deny`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check for security advisories too: fetches their database from GitHub.
    #[arg(long)]
    advisories: bool,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    fuzz_targets_are_locked()?;
    let mut deny = Command::new(provide()?);
    deny.current_dir(workspace::root())
        .args(["--locked", "check", "licenses", "bans", "sources"]);
    if args.advisories {
        deny.arg("advisories");
    }
    command::show(&mut deny)?;
    if !args.advisories {
        println!("security advisories were not checked: `cargo xtask deny --advisories` does");
    }
    Ok(())
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
