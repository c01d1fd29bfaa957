//! Programs of Debian's, with what they need, for guests in which busybox is not enough: tmux, where a terminal's screen is
//! looked at, and setpriv, where the tracer runs with few privileges.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::debian_programs;

/// The suite that it is taken from: a stable one, so that it rarely changes.
const SUITE: &str = "trixie";

/// The packages, besides those that they depend on: with the descriptions of terminals, and the locale in which everything
/// can be shown.
const PACKAGES: [&str; 4] = ["tmux", "util-linux", "ncurses-base", "libc-bin"];

/// The programs, with their places in the guest. Busybox has a setpriv of its own, which can't change the user.
const PROGRAMS: [(&str, &str); 2] = [
    ("usr/bin/tmux", "/bin/tmux"),
    ("usr/bin/setpriv", "/usr/local/bin/setpriv"),
];

/// The directories whose files go into the guest, with their places there. Of the libraries' directory the name differs by
/// architecture.
const TREES: [(&str, &str); 3] = [
    ("usr/lib/terminfo", "/lib/terminfo"),
    ("usr/share/terminfo", "/usr/share/terminfo"),
    ("usr/lib/locale/C.utf8", "/usr/lib/locale/C.utf8"),
];

/// The files, each with its absolute path in the guest. `mirror` as in [`crate::apt::AptRoot::open`].
pub(crate) fn files(
    architecture: Architecture,
    mirror: Option<&str>,
) -> Result<Vec<(PathBuf, String)>> {
    let root = debian_programs::unpacked("guest-programs", architecture, SUITE, &PACKAGES, mirror)?;
    let mut files: Vec<_> = PROGRAMS
        .iter()
        .map(|(from, to)| (root.join(from), (*to).to_owned()))
        .collect();
    for (from, to) in TREES {
        collect(&root.join(from), to, &mut files)?;
    }
    let libraries = root.join("usr/lib").join(triplet(architecture));
    for entry in entries(&libraries)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        // By the names under which programs ask for them, which are links.
        if name.contains(".so.") && entry.is_file() {
            files.push((
                entry.clone(),
                format!("/lib/{}/{name}", triplet(architecture)),
            ));
            if name.starts_with("ld-linux") {
                let place = match architecture {
                    Architecture::Amd64 => "/lib64",
                    Architecture::Arm64 | Architecture::Riscv64 | Architecture::Armhf => "/lib",
                };
                files.push((entry.clone(), format!("{place}/{name}")));
            }
        }
    }
    Ok(files)
}

/// The name of the libraries' directory.
fn triplet(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64-linux-gnu",
        Architecture::Arm64 => "aarch64-linux-gnu",
        Architecture::Riscv64 => "riscv64-linux-gnu",
        Architecture::Armhf => "arm-linux-gnueabihf",
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// All files below a directory, if it is there.
fn collect(directory: &Path, place: &str, files: &mut Vec<(PathBuf, String)>) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for path in entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{place}/{name}");
        if path.is_dir() {
            collect(&path, &place, files)?;
        } else if path.is_file() {
            files.push((path.clone(), place));
        }
    }
    Ok(())
}
