//! Packages from Python's index, for the tests that need some.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{command, workspace};

/// A call of pip.
pub(crate) fn pip() -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    pip
}

/// Installs `requirements` below `cache`, unless they are there already; `what` says what they are. Returns what
/// `PYTHONPATH` must be.
pub(crate) fn installed(cache: &Path, requirements: &str, what: &str) -> Result<PathBuf> {
    let directory = cache.join("python");
    let stamp = directory.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
        return Ok(directory);
    }
    workspace::remove_if_present(&directory)?;
    let list = cache.join("requirements.txt");
    fs::write(&list, requirements).context("cannot write the requirements")?;
    eprintln!("installing {what}");
    command::output(
        pip()
            .args(["install", "--target"])
            .arg(&directory)
            .arg("--requirement")
            .arg(&list),
    )?;
    fs::write(&stamp, requirements).context("cannot note what is installed")?;
    Ok(directory)
}
