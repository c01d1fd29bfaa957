//! Programs of Debian's for guests, each with all that it depends on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::apt::{self, AptRoot};
use crate::architecture::Architecture;
use crate::workspace;

/// The directory with `packages` of `suite` and all that they depend on, unpacked: `name` in the cache. `mirror` as in
/// [`AptRoot::open`].
pub(crate) fn unpacked(
    name: &str,
    architecture: Architecture,
    suite: &str,
    packages: &[&str],
    mirror: Option<&str>,
) -> Result<PathBuf> {
    let directory = workspace::cache()?.join(name).join(architecture.debian());
    let root = directory.join("root");
    if root.exists() {
        return Ok(root);
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let lock =
        File::create(directory.join("lock")).with_context(|| format!("cannot lock {name}"))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", directory.display()))?;
    if root.exists() {
        return Ok(root);
    }
    let mut apt = AptRoot::open_for(architecture, &workspace::cache()?, mirror)?;
    let unavailable = apt.update_if_stale(&[suite])?;
    ensure!(
        unavailable.is_empty(),
        "the mirror has no suite {suite}, from which {name} is taken"
    );
    let scratch =
        tempfile::tempdir_in(&directory).context("cannot create a directory in the cache")?;
    let mut wanted: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let found = apt.find(&name)?;
        // A name that only others provide is no package.
        let Some(package) = found.first() else {
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
