//! Builds the eBPF object from source, the same bytes wherever the workspace, the cache and the registry lie.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bpf_sysroot::{self, TARGET};
use crate::rust_source::{self, Origin};
use crate::toolchain::{self, Toolchain};
use crate::{bpf_linker, command, workspace};

/// The binary in the package `tracer-ebpf` that becomes the object.
const BINARY: &str = "devres-tracer-probes";

/// An architecture that the probes are built for: where the kernel passes a function's arguments depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM, little-endian.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::X86_64, Self::Aarch64, Self::Riscv64];

    /// The architecture that Rust calls `name`, if there are probes for it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Rust's name for the architecture.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Where the committed object of this architecture lies.
    pub(crate) fn committed_object(self) -> PathBuf {
        committed_directory().join(format!("{BINARY}.{}.o", self.name()))
    }
}

/// The directory of the committed objects.
pub(crate) fn committed_directory() -> PathBuf {
    workspace::root().join("tracer-user/ebpf")
}

/// Everything that building the object takes.
pub(crate) struct ObjectBuilder {
    toolchain: Toolchain,
    sysroot: PathBuf,
    linker: PathBuf,
}

impl ObjectBuilder {
    /// Fetches and builds what is missing, into the cache.
    pub(crate) fn prepare(toolchain: Toolchain, rust_source: Option<Origin>) -> Result<Self> {
        let cache = workspace::cache()?;
        let directory = cache.join("ebpf").join(toolchain.directory_name());
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        // Worktrees may share a cache; the lock ends with this function.
        let lock =
            File::create(directory.join("lock")).context("cannot create the cache's lock")?;
        lock.lock().context("cannot lock the cache")?;
        let source = rust_source::provide(&toolchain, rust_source, &cache, &directory)?;
        Ok(Self {
            sysroot: bpf_sysroot::provide(&source, &directory)?,
            linker: bpf_linker::provide(&toolchain, &directory)?,
            toolchain,
        })
    }

    /// Builds the object for `arch` below the target directory and returns its path.
    pub(crate) fn build(&self, arch: Arch) -> Result<PathBuf> {
        command::show(
            self.cargo(arch, "build")?
                .arg("--quiet")
                .args(["--bin", BINARY]),
        )?;
        let directory = target_directory();
        let linked = directory.join(TARGET).join("release").join(BINARY);
        let object = directory.join(format!("{BINARY}.{}.o", arch.name()));
        self.strip(&linked, &object)?;
        Ok(object)
    }

    /// Runs clippy on the probes.
    pub(crate) fn clippy(&self, arch: Arch) -> Result<()> {
        command::show(
            self.cargo(arch, "clippy")?
                .args(["--bin", BINARY])
                .args(["--", "-Dwarnings"]),
        )
    }

    /// cargo on the probes, for the eBPF target.
    fn cargo(&self, arch: Arch, subcommand: &str) -> Result<Command> {
        let mut cargo = toolchain::cargo();
        cargo
            // aya-ebpf and the private sysroot use unstable features of the stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                self.rustc_flags(arch)?.join("\x1f"),
            )
            .args([subcommand, "--locked", "--package", "tracer-ebpf"])
            // Clippy shares the macros that the compiler runs with the build, which is always optimised.
            .args(["--features", "probes", "--release", "--target", TARGET])
            .arg("--target-dir")
            .arg(target_directory());
        Ok(cargo)
    }

    fn rustc_flags(&self, arch: Arch) -> Result<Vec<String>> {
        let mut flags = vec![
            format!("--cfg=bpf_target_arch=\"{}\"", arch.name()),
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=--btf".to_owned(),
            format!("-Clinker={}", self.linker.display()),
            format!("--sysroot={}", self.sysroot.display()),
            format!(
                "--remap-path-prefix={}=/devres-tracer",
                workspace::root().display()
            ),
        ];
        flags.extend(
            self.registry_sources()?
                .iter()
                .map(|sources| format!("--remap-path-prefix={}=/registry", sources.display())),
        );
        Ok(flags)
    }

    /// Where cargo unpacks the sources of dependencies: one directory for each registry, named after its address.
    fn registry_sources(&self) -> Result<Vec<PathBuf>> {
        // A dependency's sources must be there before the compiler is told what to call their directory.
        command::output(
            toolchain::cargo()
                .args(["fetch", "--locked", "--target", TARGET])
                .args(["--target", &self.toolchain.host]),
        )?;
        let sources = toolchain::cargo_home()?.join("registry/src");
        let read = || -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(&sources)?
                .map(|entry| Ok(entry?.path()))
                .collect()
        };
        let mut registries =
            read().with_context(|| format!("cannot read {}", sources.display()))?;
        registries.sort_unstable();
        Ok(registries)
    }

    /// Removes the DWARF sections, which only the linker needs; the BTF that the kernel needs stays.
    fn strip(&self, linked: &Path, object: &Path) -> Result<()> {
        let objcopy = self
            .toolchain
            .sysroot
            .join("lib/rustlib")
            .join(&self.toolchain.host)
            .join("bin/rust-objcopy");
        command::output(
            Command::new(objcopy)
                // Without rustup's component llvm-tools there is no libLLVM where rust-objcopy looks for it.
                .env("LD_LIBRARY_PATH", self.toolchain.sysroot.join("lib"))
                .arg("--strip-debug")
                .arg(linked)
                .arg(object),
        )
        .context("cannot strip the object with the toolchain's rust-objcopy")?;
        Ok(())
    }
}

/// Apart from the ordinary one. The architectures differ in flags, by which cargo keeps their builds apart; the macros that
/// the compiler runs are built once for all.
fn target_directory() -> PathBuf {
    workspace::root().join("target/ebpf")
}
