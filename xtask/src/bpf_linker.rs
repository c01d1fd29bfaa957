//! bpf-linker, built against the LLVM of the toolchain in use.
//!
//! The linker reads the bitcode that rustc writes, so its LLVM must not be older than rustc's, and rustc's own is the
//! one that is always at hand and always fits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::toolchain::{self, Toolchain};

/// The version that is built. Another version may write other bytes: rebuild the committed objects when this changes.
pub(crate) const VERSION: &str = "0.13.0";

/// The LLVM versions that [`VERSION`] can be built for.
const LLVM_MAJORS: [&str; 3] = ["21", "22", "23"];

/// Returns the path of the linker in `directory`, which belongs to this toolchain alone; builds it if it is not there.
pub(crate) fn provide(toolchain: &Toolchain, directory: &Path) -> Result<PathBuf> {
    let root = directory.join(format!("bpf-linker-{VERSION}"));
    let linker = root.join("bin/bpf-linker");
    if linker.is_file() {
        return Ok(linker);
    }
    ensure!(
        LLVM_MAJORS.contains(&toolchain.llvm_major()),
        "bpf-linker {VERSION} supports LLVM {}, but {} has LLVM {}: use another toolchain (`cargo +VERSION xtask …`), \
         or raise the version in xtask/src/bpf_linker.rs",
        LLVM_MAJORS.join(", "),
        toolchain.name,
        toolchain.llvm
    );
    let llvm = llvm_prefix(toolchain, directory)?;
    eprintln!("building bpf-linker {VERSION}, which takes some minutes");
    command::show(
        toolchain::cargo()
            .env("LLVM_PREFIX", &llvm)
            .env("CARGO_ENCODED_RUSTFLAGS", link_flags(toolchain))
            .env("CARGO_TARGET_DIR", directory.join("bpf-linker-build"))
            .args(["install", "bpf-linker", "--locked", "--quiet"])
            .args(["--version", VERSION, "--no-default-features"])
            .arg(format!("--features=llvm-{}", toolchain.llvm_major()))
            .arg("--root")
            .arg(&root),
    )?;
    fs::remove_dir_all(directory.join("bpf-linker-build"))
        .context("cannot remove bpf-linker's build directory")?;
    Ok(linker)
}

/// The linker finds rustc's libLLVM at run time where rustc has it.
fn link_flags(toolchain: &Toolchain) -> String {
    format!(
        "-Clink-arg=-Wl,-rpath,{}",
        toolchain.sysroot.join("lib").display()
    )
}

/// A directory that looks like an LLVM installation to bpf-linker's build script and holds rustc's libLLVM.
fn llvm_prefix(toolchain: &Toolchain, directory: &Path) -> Result<PathBuf> {
    let prefix = directory.join("llvm");
    let library = find_llvm(toolchain)?;
    for part in ["lib", "bin"] {
        let part = prefix.join(part);
        fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
    }
    let link = prefix.join("lib/libLLVM.so");
    if !link.is_symlink() {
        std::os::unix::fs::symlink(&library, &link)
            .with_context(|| format!("cannot create {}", link.display()))?;
    }
    // The build script looks for an executable of this name, and does not run it.
    let config = prefix.join("bin/llvm-config");
    fs::write(&config, "").with_context(|| format!("cannot write {}", config.display()))?;
    fs::set_permissions(&config, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", config.display()))?;
    Ok(prefix)
}

/// The toolchain's shared LLVM library, such as `libLLVM.so.22.1-rust-1.95.0-stable`.
fn find_llvm(toolchain: &Toolchain) -> Result<PathBuf> {
    let libraries = toolchain.sysroot.join("lib");
    let start = format!("libLLVM.so.{}.", toolchain.llvm_major());
    fs::read_dir(&libraries)
        .with_context(|| format!("cannot read {}", libraries.display()))?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&start))
        .map(|entry| entry.path())
        .with_context(|| {
            format!(
                "{} has no {start}*: the toolchains that rustup installs on Linux have one",
                libraries.display()
            )
        })
}
