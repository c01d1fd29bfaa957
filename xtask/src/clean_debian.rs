//! A Debian that nobody has used: its required packages, and those that are asked for. Its kernel is this machine's.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::apt::{self, AptRoot};
use crate::{command, tools, workspace};

/// A Debian in a directory of its own, which goes away with this value.
pub(crate) struct CleanDebian {
    directory: tempfile::TempDir,
}

impl CleanDebian {
    /// Unpacks the Debian `suite` with `packages`. The archive of it is kept in the cache. `mirror` as in
    /// [`AptRoot::open`].
    pub(crate) fn new(suite: &str, packages: &[&str], mirror: Option<&str>) -> Result<Self> {
        let cache = workspace::cache()?.join("clean-debian");
        fs::create_dir_all(&cache).context("cannot create the cache of the clean Debian")?;
        let lock = File::create(cache.join("lock")).context("cannot create its lock")?;
        lock.lock().context("cannot lock the clean Debian")?;
        let archive = cache.join(format!("{suite}+{}.tar", packages.join("+")));
        if !archive.exists() {
            Self::make(suite, packages, &archive, mirror)?;
        }
        let directory = tempfile::tempdir_in(&cache).context("cannot create a directory")?;
        command::output(
            Command::new("tar")
                .args(["--extract", "--exclude=./dev/*", "--file"])
                .arg(&archive)
                .arg("--directory")
                .arg(directory.path()),
        )?;
        Ok(Self { directory })
    }

    fn make(suite: &str, packages: &[&str], archive: &Path, mirror: Option<&str>) -> Result<()> {
        tools::require(&["mmdebstrap"])?;
        eprintln!(
            "installing a clean Debian ({suite}) with {}",
            packages.join(", ")
        );
        let partial = archive.with_extension("partial.tar");
        let mut mmdebstrap = tools::command("mmdebstrap");
        for setting in apt::host_acquire_settings()?.lines() {
            mmdebstrap.arg(format!("--aptopt={setting}"));
        }
        mmdebstrap
            .args(["--variant=minbase", "--architectures=amd64"])
            .arg(format!("--include={}", packages.join(",")))
            .arg(suite)
            .arg(&partial)
            .args(
                AptRoot::open(&workspace::cache()?, mirror)?
                    .sources_list(suite)
                    .lines(),
            );
        command::output(&mut mmdebstrap)?;
        fs::rename(&partial, archive).context("cannot keep the clean Debian")
    }

    /// Its root directory.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a line of bash in it, with `/proc`, `/sys` and `/dev` as they are here.
    pub(crate) fn run(&self, line: &str) -> Result<Output> {
        const ENTER: &str = r#"
            for directory in proc sys dev; do mount --rbind /$directory "$0/$directory"; done
            exec chroot "$0" /bin/bash -c "$1"
        "#;
        command::run(
            tools::command("unshare")
                .args(["--mount", "sh", "-c", ENTER])
                .arg(self.root())
                .arg(line)
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .env("LC_ALL", "C.UTF-8"),
        )
    }

    /// What a line of bash prints, which must end with `code`.
    pub(crate) fn output(&self, line: &str, code: i32) -> Result<String> {
        let output = self.run(line)?;
        ensure!(
            output.status.code() == Some(code),
            "`{}` ended with {} instead of {code}: {}",
            line.trim(),
            output.status,
            command::error_text(&output)
        );
        String::from_utf8(output.stdout).context("it printed something that is not UTF-8")
    }

    /// Fails unless a line of bash that succeeds prints `expected`, among other things.
    pub(crate) fn prints(&self, line: &str, expected: &str) -> Result<()> {
        let printed = self.output(line, 0)?;
        ensure!(
            printed.contains(expected),
            "`{}` printed: {printed}",
            line.trim()
        );
        Ok(())
    }
}
