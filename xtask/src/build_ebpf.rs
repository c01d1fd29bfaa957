//! `cargo xtask build-ebpf`: writes the committed eBPF objects, or checks that they are what the source gives.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::bpf_linker;
use crate::ebpf_object::{Arch, ObjectBuilder, committed_directory};
use crate::rust_source::Origin;
use crate::toolchain::Toolchain;

/// Arguments of `cargo xtask build-ebpf`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare with the committed objects instead of writing them; fail if they differ.
    #[arg(long)]
    check: bool,
    /// Run clippy on the probes instead of building them.
    #[arg(long, conflicts_with = "check")]
    clippy: bool,
    /// Where the source of Rust's `core` comes from [default: rustup, or else Debian].
    #[arg(long, value_name = "ORIGIN")]
    rust_source: Option<Origin>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let toolchain = Toolchain::active()?;
    let tools = Tools::of(&toolchain);
    if args.check {
        tools.ensure_same(&Tools::committed()?)?;
    }
    let builder = ObjectBuilder::prepare(toolchain, args.rust_source)?;
    if args.clippy {
        return Arch::ALL
            .into_iter()
            .try_for_each(|arch| builder.clippy(arch));
    }
    for arch in Arch::ALL {
        let object = builder.build(arch)?;
        let committed = arch.committed_object();
        if args.check {
            ensure_same_bytes(&object, &committed)?;
            println!("{} is what the source gives", committed.display());
        } else {
            write(&object, &committed)?;
            println!("wrote {}", committed.display());
        }
    }
    if !args.check {
        tools.record()?;
    }
    Ok(())
}

fn write(object: &Path, committed: &Path) -> Result<()> {
    fs::create_dir_all(committed_directory()).context("cannot create the objects' directory")?;
    fs::copy(object, committed).with_context(|| format!("cannot write {}", committed.display()))?;
    Ok(())
}

fn ensure_same_bytes(built: &Path, committed: &Path) -> Result<()> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if read(built)? != read(committed)? {
        bail!(
            "{} is not what the source gives ({}): run `cargo xtask build-ebpf` and commit what it writes",
            committed.display(),
            built.display()
        );
    }
    Ok(())
}

/// The tools whose versions decide which bytes a source gives.
#[derive(Debug, PartialEq, Eq)]
struct Tools {
    rustc: String,
    bpf_linker: String,
}

impl Tools {
    fn of(toolchain: &Toolchain) -> Self {
        Self {
            rustc: toolchain.name.clone(),
            bpf_linker: format!(
                "bpf-linker {} (LLVM {})",
                bpf_linker::VERSION,
                toolchain.llvm
            ),
        }
    }

    /// The record beside the committed objects.
    fn path() -> PathBuf {
        committed_directory().join("BUILT-WITH")
    }

    fn committed() -> Result<Self> {
        let path = Self::path();
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}: `cargo xtask build-ebpf` writes it",
                path.display()
            )
        })?;
        Self::parse(&text)
            .with_context(|| format!("{} does not name rustc and bpf-linker", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        Some(Self {
            rustc: lines.next()?.to_owned(),
            bpf_linker: lines.next()?.to_owned(),
        })
    }

    fn record(&self) -> Result<()> {
        let path = Self::path();
        fs::write(&path, format!("{}\n{}\n", self.rustc, self.bpf_linker))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Fails, and says how to get the toolchain of the `committed` objects, unless these are the same tools.
    fn ensure_same(&self, committed: &Self) -> Result<()> {
        if self == committed {
            return Ok(());
        }
        let release = committed
            .rustc
            .split_whitespace()
            .nth(1)
            .unwrap_or("VERSION");
        bail!(
            "the committed objects were built by {} and {}, but here are {} and {}, which give other bytes: nothing was \
             checked.\n\
             To check: rustup toolchain install {release} --component rust-src && cargo +{release} xtask build-ebpf --check\n\
             To move the committed objects to the compiler in use: cargo xtask build-ebpf",
            committed.rustc,
            committed.bpf_linker,
            self.rustc,
            self.bpf_linker
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(release: &str) -> Tools {
        Tools {
            rustc: format!("rustc {release} (0123456 2026-01-01)"),
            bpf_linker: "bpf-linker 0.13.0 (LLVM 22.1.2)".to_owned(),
        }
    }

    #[test]
    fn another_compiler_is_an_error_that_tells_how_to_get_the_first() {
        assert!(tools("1.95.0").ensure_same(&tools("1.95.0")).is_ok());
        let error = tools("1.96.0")
            .ensure_same(&tools("1.95.0"))
            .expect_err("two releases");
        let message = error.to_string();
        assert!(message.contains("cargo +1.95.0 xtask"), "{message}");
        assert!(message.contains("rustc 1.96.0"), "{message}");
    }

    #[test]
    fn a_record_without_a_linker_is_refused() {
        assert_eq!(Tools::parse("rustc 1.95.0\n"), None);
    }

    #[test]
    fn different_bytes_are_an_error() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("xtask-objects-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let (one, other) = (directory.join("one.o"), directory.join("other.o"));
        fs::write(&one, b"\x7fELF1")?;
        fs::write(&other, b"\x7fELF2")?;
        let different = ensure_same_bytes(&one, &other);
        let same = ensure_same_bytes(&one, &one);
        fs::remove_dir_all(&directory)?;
        assert!(different.is_err());
        same
    }
}
