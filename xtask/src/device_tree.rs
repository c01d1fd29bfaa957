//! Nodes added to the device tree that QEMU makes for its machine `virt`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run_directory::RunDirectory;
use crate::{command, tools};

/// The file with the device tree for `machine`: QEMU's own with `overlay`, the source of an overlay, applied.
pub(crate) fn with_overlay(
    mut machine: Command,
    overlay: &Path,
    directory: &RunDirectory,
) -> Result<PathBuf> {
    tools::require(&["dtc", "fdtoverlay"])?;
    let [own, compiled, whole] =
        ["own.dtb", "overlay.dtbo", "whole.dtb"].map(|name| directory.path(name));
    // With this QEMU writes the tree of the machine that the other arguments describe, and ends.
    machine
        .arg("-machine")
        .arg(format!("dumpdtb={}", own.display()));
    command::output(&mut machine)?;
    command::output(
        tools::command("dtc")
            .args(["-@", "-I", "dts", "-O", "dtb", "-o"])
            .arg(&compiled)
            .arg(overlay),
    )?;
    command::output(
        tools::command("fdtoverlay")
            .arg("-i")
            .arg(&own)
            .arg("-o")
            .arg(&whole)
            .arg(&compiled),
    )?;
    Ok(whole)
}
