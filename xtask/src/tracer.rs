//! The tracer as guests need it: one static program.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::target::Target;
use crate::{toolchain, workspace};

/// Where guests have it: on their search path.
pub(crate) const PATH_IN_GUEST: &str = "/usr/local/bin/devres-tracer";

/// Builds `devres-tracer` for guests of x86-64, as [`build_static_for`] does.
pub(crate) fn build_static() -> Result<PathBuf> {
    build_static_for(Target::Amd64)
}

/// Builds `devres-tracer` as it is shipped, and as guests get it, and returns its path: static, optimized, stripped, with a
/// build id, and the same bytes wherever the workspace and the registry lie.
///
/// It has a target directory of its own: its flags differ from the ordinary build's, and would undo it each time.
/// Warnings are left to the ordinary build.
pub(crate) fn build_static_for(target: Target) -> Result<PathBuf> {
    target.prepare()?;
    let directory = workspace::root().join("target/guest");
    let cargo_home = toolchain::cargo_home()?;
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Clink-arg=-Wl,--build-id=sha1".to_owned(),
        "-Awarnings".to_owned(),
        format!(
            "--remap-path-prefix={}=/devres-tracer",
            workspace::root().display()
        ),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
    ];
    let mut cargo = toolchain::cargo();
    cargo
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--package", "devres-tracer", "--target", target.rust()])
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("DEVRES_TRACER_EBPF_OBJECT")
        .envs(target.linker());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the static build of devres-tracer failed ({status})"
    );
    Ok(directory.join(target.rust()).join("release/devres-tracer"))
}
