//! The source of Rust's standard library, for the very compiler in use.
//!
//! The eBPF targets have no precompiled `core`, so it is built from source. rustup has that source as a component;
//! where rustup cannot fetch it, Debian's package `rust-src` of the same release serves as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, AptRoot, Package};
use crate::command;
use crate::toolchain::Toolchain;

/// The suites that may carry the `rust-src` of a recent release, likeliest first.
const SUITES: [&str; 5] = ["trixie-backports", "sid", "forky", "experimental", "trixie"];

/// Where the source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Origin {
    /// The toolchain's component `rust-src`, which rustup adds if it is missing.
    Rustup,
    /// Debian's package `rust-src` of the compiler's release.
    Debian,
}

/// A directory `library` with the sources of `core` and `compiler_builtins`.
pub(crate) struct RustSource {
    /// The directory itself.
    pub(crate) library: PathBuf,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Finds or fetches the source. Without a wanted origin, rustup is asked first and Debian if rustup cannot help.
///
/// `directory` belongs to this toolchain alone; what is fetched from Debian is kept there.
pub(crate) fn provide(
    toolchain: &Toolchain,
    wanted: Option<Origin>,
    cache: &Path,
    directory: &Path,
) -> Result<RustSource> {
    if wanted != Some(Origin::Debian) {
        match from_rustup(toolchain) {
            Ok(library) => {
                return Ok(RustSource {
                    library,
                    origin: Origin::Rustup,
                });
            }
            Err(error) if wanted == Some(Origin::Rustup) => return Err(error),
            Err(error) => eprintln!("no rust-src from rustup, asking Debian: {error:#}"),
        }
    }
    let library = from_debian(toolchain, cache, directory).with_context(|| {
        format!(
            "the source of Rust's standard library {} is needed: `rustup component add rust-src` is the usual way",
            toolchain.release
        )
    })?;
    Ok(RustSource {
        library,
        origin: Origin::Debian,
    })
}

fn from_rustup(toolchain: &Toolchain) -> Result<PathBuf> {
    let library = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    if !is_complete(&library) {
        let toolchain_name = toolchain
            .sysroot
            .file_name()
            .context("the sysroot has no name")?;
        eprintln!("adding rustup's component rust-src");
        command::output(
            Command::new("rustup")
                .args(["component", "add", "rust-src", "--toolchain"])
                .arg(toolchain_name),
        )?;
    }
    if !is_complete(&library) {
        bail!("rustup did not put rust-src into {}", library.display());
    }
    Ok(library)
}

fn from_debian(toolchain: &Toolchain, cache: &Path, directory: &Path) -> Result<PathBuf> {
    let library = directory.join("rust-src-debian");
    if is_complete(&library) {
        return Ok(library);
    }
    let (apt, package) = find_package(&toolchain.release, cache)?;
    let deb = apt.download(&package)?;
    let unpacked = directory.join(format!("rust-src-partial-{}", std::process::id()));
    apt::unpack(&deb, &unpacked)?;
    let source = unpacked.join(format!("usr/src/rustc-{}/library", toolchain.release));
    fs::rename(&source, &library).with_context(|| {
        format!(
            "{} {} has no directory {}",
            package.name,
            package.version,
            source.display()
        )
    })?;
    fs::remove_dir_all(&unpacked)
        .with_context(|| format!("cannot remove {}", unpacked.display()))?;
    Ok(library)
}

/// The package of exactly this release, from the first suite that has it.
fn find_package(release: &str, cache: &Path) -> Result<(AptRoot, Package)> {
    let mut apt = AptRoot::open(cache, None)?;
    for suite in SUITES {
        for unavailable in apt.update_if_stale(&[suite])? {
            eprintln!(
                "{} is not available: {}",
                unavailable.suite, unavailable.reason
            );
        }
        let found = apt
            .find("rust-src")?
            .into_iter()
            .find(|package| is_release(&package.version, release));
        if let Some(package) = found {
            return Ok((apt, package));
        }
    }
    bail!("no Debian suite has rust-src {release} any more");
}

/// Whether a Debian version, such as `1.95.0+dfsg1-2`, is of the upstream `release`.
fn is_release(version: &str, release: &str) -> bool {
    version
        .strip_prefix(release)
        .is_some_and(|rest| rest.starts_with(['+', '-']))
}

fn is_complete(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file()
        && library
            .join("compiler-builtins/compiler-builtins/src/lib.rs")
            .is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_release_matches() {
        assert!(is_release("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_release("1.95.0-1", "1.95.0"));
        assert!(!is_release("1.95.01-1", "1.95.0"));
        assert!(!is_release("1.95.1+dfsg1-1", "1.95.0"));
        // A beta of a release is another compiler.
        assert!(!is_release("1.95.0~beta.5+dfsg1-1", "1.95.0"));
    }
}
