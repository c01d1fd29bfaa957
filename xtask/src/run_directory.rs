//! The directory with the files of one guest's run.
//!
//! It lies in the cache and goes away with the run. What an interrupted run left is removed by the next one: the lock
//! that a run holds on its directory ends with its process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::workspace;

/// The file in a run's directory that is locked while the run is on.
const LOCK: &str = "lock";

/// How much of each log a report shows.
const LINES_SHOWN: usize = 60;

/// One run's files: the shared directory `job`, the initramfs and the logs.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    directory: TempDir,
    share: PathBuf,
    console: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Makes the directory. Without `share` it holds the directory shared with the user's script, without `console`
    /// the kernel's log.
    pub(crate) fn new(share: Option<&Path>, console: Option<&Path>) -> Result<Self> {
        let runs = workspace::cache()?.join("runs");
        fs::create_dir_all(&runs).with_context(|| format!("cannot create {}", runs.display()))?;
        let (directory, lock) = create_locked(&runs)?;
        let share = match share {
            Some(share) => share
                .canonicalize()
                .with_context(|| format!("cannot share {}", share.display()))?,
            None => create(directory.path().join("share"))?,
        };
        ensure!(
            share.is_dir(),
            "cannot share {}: it is no directory",
            share.display()
        );
        let console = console.map_or_else(|| directory.path().join("console.log"), Path::to_owned);
        create(directory.path().join("job"))?;
        Ok(Self {
            directory,
            share,
            console,
            _lock: lock,
        })
    }

    /// The directory shared with the user's script.
    pub(crate) fn share(&self) -> &Path {
        &self.share
    }

    /// The file with the kernel's log.
    pub(crate) fn console_path(&self) -> &Path {
        &self.console
    }

    /// The kernel's log.
    pub(crate) fn console(&self) -> String {
        text(&self.console)
    }

    /// The path of one of the run's files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes one of the run's files.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<()> {
        fs::write(self.path(name), content)
            .with_context(|| format!("cannot write the run's file {name}"))
    }

    /// The content of one of the run's files; nothing if it is not there.
    pub(crate) fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// Bytes that the guest's kernel has printed.
    pub(crate) fn kernel_printed(&self) -> u64 {
        length(&self.console)
    }

    /// Bytes that the guest's script has printed.
    pub(crate) fn script_printed(&self) -> u64 {
        length(&self.path("job/stdout")) + length(&self.path("job/stderr"))
    }

    /// What is known about a guest that did not end well.
    pub(crate) fn report(&self) -> String {
        let logs = [
            ("QEMU", self.text("qemu.log")),
            ("standard error", self.text("job/stderr")),
            ("the kernel's log", self.console()),
        ];
        let excerpts: Vec<String> = logs
            .iter()
            .filter(|(_, log)| !log.is_empty())
            .map(|(title, log)| format!("--- {title}, at its end:\n{}\n", last_lines(log)))
            .collect();
        excerpts.concat()
    }
}

/// Removes what interrupted runs left in `runs`, and makes a directory there for this one.
fn create_locked(runs: &Path) -> Result<(TempDir, File)> {
    let all = File::create(runs.join(LOCK)).context("cannot create the lock of all runs")?;
    all.lock().context("cannot lock all runs")?;
    for entry in fs::read_dir(runs).with_context(|| format!("cannot list {}", runs.display()))? {
        let path = entry?.path();
        if path.is_dir() && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let directory = tempfile::tempdir_in(runs)
        .with_context(|| format!("cannot create a directory in {}", runs.display()))?;
    let lock = File::create(directory.path().join(LOCK)).context("cannot create the run's lock")?;
    lock.lock().context("cannot lock the run's directory")?;
    Ok((directory, lock))
}

fn create(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// A file's content; nothing if it is not there.
fn text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// A file's length in bytes; 0 if it is not there.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(LINES_SHOWN)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_runs_that_ended_are_removed() -> Result<()> {
        let runs = tempfile::tempdir()?;
        let (running, _lock) = create_locked(runs.path())?;
        let (interrupted, lock) = create_locked(runs.path())?;
        let interrupted = interrupted.keep();
        drop(lock);
        create_locked(runs.path())?;
        assert!(running.path().exists());
        assert!(!interrupted.exists());
        Ok(())
    }

    #[test]
    fn a_report_shows_the_end() {
        let log = (1..=100)
            .map(|line| line.to_string())
            .collect::<Vec<_>>()
            .join("\n");
        let shown = last_lines(&log);
        assert!(
            shown.starts_with("41\n") && shown.ends_with("\n100"),
            "{shown}"
        );
    }
}
