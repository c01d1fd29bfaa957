//! The crates as cargo publishes them: the tracer, which is a library as well, and the wire format that it shares with the
//! probes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{command, toolchain};

/// Which crates these are.
const CRATES: [&str; 4] = ["--package", "devres-tracer", "--package", "tracer-ebpf"];

/// Does all that publishing does but the upload: each crate is built from what is packed, and from nothing else. Cargo takes
/// a version that it has seen at a place for the same, so each time has a place of its own in `directory`.
pub(super) fn publish_without_upload(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let target = tempfile::tempdir_in(directory).context("cannot create a directory")?;
    command::output(
        call(target.path())
            .args(["publish", "--dry-run"])
            .args(CRATES),
    )
    .map(drop)
}

fn call(target: &Path) -> Command {
    let mut cargo = toolchain::cargo();
    cargo.env("CARGO_TARGET_DIR", target);
    cargo
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    /// What must be in the packages beside the source.
    const CONTENTS: [(&str, &[&str]); 2] = [
        ("tracer-ebpf", &["LICENSE-MIT", "LICENSE-GPL-2.0"]),
        (
            "devres-tracer",
            &[
                "README.md",
                "LICENSE-MIT",
                "LICENSE-APACHE",
                "LICENSE-GPL-2.0",
                "demo/pvpanic-6.1.dvrt",
                "ebpf/devres-tracer-probes.x86_64.o",
                "ebpf/devres-tracer-probes.aarch64.o",
                "ebpf/devres-tracer-probes.riscv64.o",
                "examples/findings.rs",
            ],
        ),
    ];

    /// Without the network, and without building: `cargo xtask dist --test` builds what is packed.
    #[test]
    fn crates_are_packed_with_all_that_they_need() -> Result<()> {
        let target = tempfile::tempdir()?;
        command::output(
            call(target.path())
                .args(["package", "--no-verify", "--allow-dirty", "--offline"])
                .args(CRATES),
        )?;
        for (name, files) in CONTENTS {
            let stem = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
            let archive = target.path().join(format!("package/{stem}.crate"));
            let list = command::output(
                Command::new("tar")
                    .arg("--list")
                    .arg("--file")
                    .arg(&archive),
            )
            .with_context(|| format!("{name} was not packed"))?;
            for file in files {
                let path = format!("{stem}/{file}");
                ensure!(list.lines().any(|line| line == path), "{path} is missing");
            }
        }
        Ok(())
    }
}
