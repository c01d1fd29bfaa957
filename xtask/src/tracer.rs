//! The tracer as guests and packages have it: one static program.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::target::Target;
use crate::{toolchain, workspace};

/// Where guests have it: on their search path.
pub(crate) const PATH_IN_GUEST: &str = "/usr/local/bin/devres-tracer";

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be run in guests by tests: built again after each change, so built fast. It doesn't know its commit, for
    /// which it would have to be built again after each commit.
    Guest,
    /// To be shipped: small, and the same bytes wherever the workspace and the registry lie.
    Package,
}

impl Purpose {
    /// The profile in the workspace's `Cargo.toml`.
    const fn profile(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Package => "dist",
        }
    }
}

/// Builds `devres-tracer` for guests of x86-64, as [`build_static_for`] does.
pub(crate) fn build_static() -> Result<PathBuf> {
    build_static_for(Target::Amd64, Purpose::Guest)
}

/// Builds `devres-tracer` and returns its path: static, optimized, stripped, with a build id.
///
/// It has a target directory of its own: its flags differ from the ordinary build's, and would undo it each time.
/// Warnings are left to the ordinary build.
pub(crate) fn build_static_for(target: Target, purpose: Purpose) -> Result<PathBuf> {
    target.prepare()?;
    let directory = workspace::root().join("target/guest");
    let cargo_home = toolchain::cargo_home()?;
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Clink-arg=-Wl,--build-id=sha1".to_owned(),
        // Nothing unwinds a stack in a program that a panic ends at once.
        "-Cforce-unwind-tables=no".to_owned(),
        "-Awarnings".to_owned(),
        format!(
            "--remap-path-prefix={}=/devres-tracer",
            workspace::root().display()
        ),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
    ];
    let mut cargo = toolchain::cargo();
    cargo
        .args(["build", "--locked", "--profile", purpose.profile()])
        .args(["--package", "devres-tracer", "--target", target.rust()])
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("DEVRES_TRACER_EBPF_OBJECT")
        .envs(target.linker());
    match purpose {
        Purpose::Guest => cargo.env("DEVRES_TRACER_COMMIT", "built for tests"),
        Purpose::Package => cargo.env_remove("DEVRES_TRACER_COMMIT"),
    };
    eprintln!("building the tracer for {}", target.debian());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the static build of devres-tracer failed ({status})"
    );
    Ok(directory
        .join(target.rust())
        .join(purpose.profile())
        .join("devres-tracer"))
}
