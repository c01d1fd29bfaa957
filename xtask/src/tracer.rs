//! The tracer as guests need it: one static program.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::workspace;

/// Where guests have it: on their search path.
pub(crate) const PATH_IN_GUEST: &str = "/usr/local/bin/devres-tracer";

/// Builds `devres-tracer` for guests of x86-64, as [`build_static_for`] does.
pub(crate) fn build_static() -> Result<PathBuf> {
    build_static_for(Architecture::Amd64)
}

/// Builds `devres-tracer` for guests and returns its path.
///
/// It has a target directory of its own: its flags differ from the ordinary build's, and would undo it each time.
/// Warnings are left to the ordinary build.
pub(crate) fn build_static_for(architecture: Architecture) -> Result<PathBuf> {
    let target = architecture.rust_target();
    let directory = workspace::root().join("target/guest");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "devres-tracer",
            "--target",
            target,
        ])
        .current_dir(workspace::root())
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static -Awarnings")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    architecture.prepare_build()?;
    cargo.envs(architecture.linker());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the static build of devres-tracer failed ({status})"
    );
    Ok(directory.join(target).join("release/devres-tracer"))
}
