//! A private sysroot with `core` and `compiler_builtins` for the eBPF target.
//!
//! The two crates are built straight with rustc rather than with cargo's `-Zbuild-std`: the symbols that cargo's way
//! gives them depend on where the source lies, and the object must not.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command;
use crate::rust_source::{Origin, RustSource};
use crate::toolchain;

/// The target of the probes: eBPF for little-endian machines.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// What the build script of `compiler_builtins` would decide for [`TARGET`].
const COMPILER_BUILTINS_CFG: [&str; 11] = [
    "feature=\"compiler-builtins\"",
    "feature=\"default\"",
    "feature=\"rustc-dep-of-std\"",
    "feature=\"unstable-intrinsics\"",
    "feature=\"mem\"",
    "feature=\"mem-unaligned\"",
    "f16_enabled",
    "f128_enabled",
    "intrinsics_enabled",
    "arch_enabled",
    "optimizations_enabled",
];

/// Returns the sysroot in `directory`, which belongs to this toolchain alone; builds it if it is not there.
pub(crate) fn provide(source: &RustSource, directory: &Path) -> Result<PathBuf> {
    let sysroot = directory.join(match source.origin {
        Origin::Rustup => "sysroot-rustup",
        Origin::Debian => "sysroot-debian",
    });
    if sysroot.is_dir() {
        return Ok(sysroot);
    }
    eprintln!("building core for {TARGET}");
    // Built aside and renamed, so that what is there is whole.
    let partial = directory.join(format!("sysroot-partial-{}", std::process::id()));
    let libraries = partial.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)
        .with_context(|| format!("cannot create {}", libraries.display()))?;
    build_core(&source.library, &libraries)?;
    build_compiler_builtins(&source.library, &libraries)?;
    fs::rename(&partial, &sysroot)
        .with_context(|| format!("cannot rename {}", partial.display()))?;
    Ok(sysroot)
}

fn build_core(library: &Path, libraries: &Path) -> Result<()> {
    command::output(
        rustc_for_library(library, libraries)
            .args(["--crate-name", "core", "--edition", "2024"])
            .args(["-Cmetadata=bpf-core", "-Cextra-filename=-bpf"])
            .arg("core/src/lib.rs"),
    )
    .context("cannot build core")?;
    Ok(())
}

fn build_compiler_builtins(library: &Path, libraries: &Path) -> Result<()> {
    let mut rustc = rustc_for_library(library, libraries);
    rustc
        .env("CARGO_PKG_NAME", "compiler_builtins")
        .env("CARGO_PKG_VERSION", "0")
        .env(
            "CFG_CARGO_FEATURES",
            r#"["compiler-builtins","default","rustc-dep-of-std"]"#,
        )
        .env("CFG_OPT_LEVEL", "3")
        .env("CFG_TARGET_FEATURES", r#"[""]"#)
        .args(["--crate-name", "compiler_builtins", "--edition", "2024"])
        .args([
            "-Cmetadata=bpf-compiler-builtins",
            "-Cextra-filename=-bpf",
            "-Ccodegen-units=1",
        ]);
    for cfg in COMPILER_BUILTINS_CFG {
        rustc.args(["--cfg", cfg]);
    }
    let core = libraries.join("libcore-bpf.rlib");
    command::output(
        rustc
            .arg(format!("--extern=core={}", core.display()))
            .arg("compiler-builtins/compiler-builtins/src/lib.rs"),
    )
    .context("cannot build compiler_builtins")?;
    Ok(())
}

/// rustc in the library's directory, with what both crates have in common.
fn rustc_for_library(library: &Path, libraries: &Path) -> std::process::Command {
    let mut rustc = toolchain::rustc();
    rustc
        .current_dir(library)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--target", TARGET, "--crate-type", "lib"])
        .args(["-Copt-level=3", "-Cpanic=abort", "-Cdebuginfo=2"])
        .args(["-Cembed-bitcode=no", "-Zforce-unstable-if-unmarked"])
        .args(["--cap-lints", "allow"])
        .arg(format!(
            "--remap-path-prefix={}=/rustc-src/library",
            library.display()
        ))
        .arg("--out-dir")
        .arg(libraries);
    rustc
}
