//! The tracer as guests and packages have it: one static program.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::target::Target;
use crate::toolchain::{self, Toolchain};
use crate::workspace;

/// Where guests have it: on their search path.
pub(crate) const PATH_IN_GUEST: &str = "/usr/local/bin/devres-tracer";

/// Parts of the zstd library that are left out of packages: how it compresses harder than trace files are compressed, and
/// a second way to decode the same, by which trace files are read no faster.
const LEFT_OUT_OF_ZSTD: [&str; 9] = [
    "ZSTD_EXCLUDE_DFAST_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR",
    "ZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR",
    "HUF_FORCE_DECOMPRESS_X1",
    "ZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT",
];

/// How packages are linked: functions that ask to be inlined are if they are a little smaller than usual (250 of the compiler's units
/// instead of 325), functions with the same code are kept once, relocations are packed, and unwind tables, which the C library and Rust's
/// come with, are left out. None of it names a place of this machine, which would change the bytes.
const SMALL_LINKING: [&str; 6] = [
    "-Cllvm-args=-inlinehint-threshold=250",
    "-Clink-arg=-fuse-ld=lld",
    "-Clink-arg=-Wl,--icf=all",
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
    "-Clink-arg=-Wl,--no-eh-frame-hdr",
    "-Clink-arg=-Wl,-T,xtask/without-unwind-tables.ld",
];

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be run in guests by tests: built again after each change, so built fast. It doesn't know its commit, for
    /// which it would have to be built again after each commit.
    Guest,
    /// The same for the few tests that a change is tried with before it is committed: built faster still.
    QuickGuest,
    /// To be shipped: small, and the same bytes wherever the workspace and the registry lie.
    Package,
}

impl Purpose {
    /// The profile in the workspace's `Cargo.toml`.
    const fn profile(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::QuickGuest => "quick",
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
    let (mut cargo, programs) = static_cargo(target, purpose)?;
    cargo.args(["--package", "devres-tracer", "--bin", "devres-tracer"]);
    match purpose {
        Purpose::Guest | Purpose::QuickGuest => {
            // Debug info of the test module is at hand in guests.
            cargo.args(["--features", "source-lines"]);
            cargo.env("DEVRES_TRACER_COMMIT", "built for tests");
        }
        Purpose::Package => make_small(&mut cargo, target)?,
    }
    eprintln!("building the tracer for {}", target.debian());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the static build of devres-tracer failed ({status})"
    );
    Ok(programs.join("devres-tracer"))
}

/// Builds the program of `benches/instructions`, of the same objects as the tracer for guests of x86-64.
pub(crate) fn build_instructions() -> Result<PathBuf> {
    let (mut cargo, programs) = static_cargo(Target::Amd64, Purpose::Guest)?;
    cargo
        .args(["--package", "instructions"])
        // Built in parts, what is inlined changes with each new function, and figures by a twentieth.
        .args([
            "--config",
            "profile.guest.package.devres-tracer.codegen-units=1",
        ])
        .env("DEVRES_TRACER_COMMIT", "built for tests")
        .env("CARGO_INCREMENTAL", "0");
    command::show(&mut cargo)?;
    Ok(programs.join("instructions"))
}

/// A call of `cargo rustc` that links statically, and where it leaves its programs.
fn static_cargo(target: Target, purpose: Purpose) -> Result<(Command, PathBuf)> {
    let directory = workspace::root().join("target/guest");
    let cargo_home = toolchain::cargo_home()?;
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Clink-arg=-Wl,--build-id=sha1".to_owned(),
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
        .args(["rustc", "--locked", "--profile", purpose.profile()])
        .args(["--target", target.rust(), "--no-default-features"])
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("DEVRES_TRACER_EBPF_OBJECT")
        .envs(target.linker());
    let programs = directory.join(target.rust()).join(purpose.profile());
    Ok((cargo, programs))
}

/// Lets a call of `cargo rustc` build a small program. The linker is the one that comes with Rust, whatever the target.
fn make_small(cargo: &mut Command, target: Target) -> Result<()> {
    let toolchain = Toolchain::active()?;
    let linkers = toolchain
        .sysroot
        .join("lib/rustlib")
        .join(&toolchain.host)
        .join("bin/gcc-ld");
    let defines = LEFT_OUT_OF_ZSTD.map(|name| format!("-D{name}"));
    cargo
        .env_remove("DEVRES_TRACER_COMMIT")
        .env("COMPILER_PATH", linkers)
        .env(
            format!("CFLAGS_{}", target.rust().replace('-', "_")),
            defines.join(" "),
        )
        .arg("--")
        .args(SMALL_LINKING);
    Ok(())
}
