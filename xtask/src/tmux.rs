//! Debian's tmux with what it needs, for guests in which a terminal's screen is looked at.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::apt::{self, AptRoot};
use crate::architecture::Architecture;
use crate::workspace;

/// The suite that it is taken from: a stable one, so that it rarely changes.
const SUITE: &str = "trixie";

/// The packages, besides those that they depend on: tmux, and the descriptions of terminals.
const PACKAGES: [&str; 2] = ["tmux", "ncurses-base"];

/// The directories whose files go into the guest, with their places there. Of the libraries' directory the name differs by
/// architecture.
const TREES: [(&str, &str); 3] = [
    ("usr/lib/terminfo", "/lib/terminfo"),
    ("usr/share/terminfo", "/usr/share/terminfo"),
    ("usr/lib/locale/C.utf8", "/usr/lib/locale/C.utf8"),
];

/// The files, each with its absolute path in the guest. `mirror` as in [`AptRoot::open`].
pub(crate) fn files(
    architecture: Architecture,
    mirror: Option<&str>,
) -> Result<Vec<(PathBuf, String)>> {
    let root = unpacked(architecture, mirror)?;
    let mut files = vec![(root.join("usr/bin/tmux"), "/bin/tmux".to_owned())];
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
                    Architecture::Arm64 => "/lib",
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

/// The packages, unpacked in the cache.
fn unpacked(architecture: Architecture, mirror: Option<&str>) -> Result<PathBuf> {
    let directory = workspace::cache()?.join("tmux").join(architecture.debian());
    let root = directory.join("root");
    if root.exists() {
        return Ok(root);
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let lock = File::create(directory.join("lock")).context("cannot create tmux's lock")?;
    lock.lock().context("cannot lock tmux's directory")?;
    if root.exists() {
        return Ok(root);
    }
    let mut apt = AptRoot::open_for(architecture, &workspace::cache()?, mirror)?;
    let unavailable = apt.update_if_stale(&[SUITE])?;
    ensure!(
        unavailable.is_empty(),
        "the mirror has no suite {SUITE}, from which tmux is taken"
    );
    let scratch =
        tempfile::tempdir_in(&directory).context("cannot create a directory in the cache")?;
    let mut wanted: Vec<String> = PACKAGES.map(str::to_owned).to_vec();
    // The locale in which everything can be shown.
    wanted.push("libc-bin".to_owned());
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let packages = apt.find(&name)?;
        // A name that only others provide is no package.
        let Some(package) = packages.first() else {
            continue;
        };
        let deb = apt.download(package)?;
        apt::unpack(&deb, scratch.path())?;
        fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
        let dependencies = apt.depends(package)?;
        wanted.extend(dependencies.into_iter().map(|dependency| dependency.name));
    }
    fs::rename(scratch.path(), &root)
        .with_context(|| format!("cannot create {}", root.display()))?;
    Ok(root)
}
