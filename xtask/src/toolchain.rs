//! The Rust toolchain in use: what it calls itself and where its parts lie.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{command, workspace};

/// The active toolchain, as `rustc --version --verbose` describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The whole first line, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub(crate) name: String,
    /// The release, such as `1.95.0`.
    pub(crate) release: String,
    /// The target triple of the machine.
    pub(crate) host: String,
    /// The version of the LLVM inside, such as `22.1.2`.
    pub(crate) llvm: String,
    /// The directory that holds `lib/rustlib`.
    pub(crate) sysroot: PathBuf,
}

impl Toolchain {
    /// Asks the rustc that cargo would use in the workspace.
    pub(crate) fn active() -> Result<Self> {
        let description = command::output(rustc().args(["--version", "--verbose"]))?;
        let sysroot = command::output(rustc().args(["--print", "sysroot"]))?;
        Self::parse(&description, PathBuf::from(sysroot.trim()))
    }

    fn parse(description: &str, sysroot: PathBuf) -> Result<Self> {
        let field = |name: &str| {
            description
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .with_context(|| format!("`rustc --version --verbose` has no line `{name}`"))
        };
        Ok(Self {
            name: description.lines().next().unwrap_or_default().to_owned(),
            release: field("release:")?,
            host: field("host:")?,
            llvm: field("LLVM version:")?,
            sysroot,
        })
    }

    /// The first number of the LLVM version, such as `22`.
    pub(crate) fn llvm_major(&self) -> &str {
        self.llvm.split('.').next().unwrap_or(&self.llvm)
    }

    /// The architecture of the machine, such as `x86_64`.
    pub(crate) fn host_arch(&self) -> &str {
        self.host.split('-').next().unwrap_or(&self.host)
    }

    /// A name for this very compiler that is fit for a directory, such as `rustc-1.95.0-59807616e-2026-04-14`.
    pub(crate) fn directory_name(&self) -> String {
        let kept: String = self
            .name
            .chars()
            .filter(|&character| character != '(' && character != ')')
            .collect();
        kept.replace([' ', '/'], "-")
    }
}

/// A call of rustc in the workspace, where `rust-toolchain.toml` has a say.
pub(crate) fn rustc() -> Command {
    in_workspace("RUSTC", "rustc")
}

/// A call of cargo in the workspace.
pub(crate) fn cargo() -> Command {
    in_workspace("CARGO", "cargo")
}

fn in_workspace(variable: &str, program: &str) -> Command {
    let program = std::env::var_os(variable).unwrap_or_else(|| OsString::from(program));
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

pub(crate) fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(workspace::root().join(home));
    }
    std::env::home_dir()
        .map(|home| home.join(".cargo"))
        .context("there is no home directory: set CARGO_HOME")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = "\
rustc 1.95.0 (59807616e 2026-04-14)
binary: rustc
commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860
commit-date: 2026-04-14
host: x86_64-unknown-linux-gnu
release: 1.95.0
LLVM version: 22.1.2
";

    #[test]
    fn the_description_is_read() -> Result<()> {
        let toolchain = Toolchain::parse(DESCRIPTION, PathBuf::from("/sysroot"))?;
        assert_eq!(toolchain.name, "rustc 1.95.0 (59807616e 2026-04-14)");
        assert_eq!(toolchain.release, "1.95.0");
        assert_eq!(toolchain.host_arch(), "x86_64");
        assert_eq!(toolchain.llvm_major(), "22");
        assert_eq!(
            toolchain.directory_name(),
            "rustc-1.95.0-59807616e-2026-04-14"
        );
        Ok(())
    }

    #[test]
    fn a_missing_line_is_named() {
        let without_llvm = DESCRIPTION.replace("LLVM version", "Backend");
        let error = Toolchain::parse(&without_llvm, PathBuf::new()).expect_err("no LLVM version");
        assert!(error.to_string().contains("LLVM version:"), "{error}");
    }
}
