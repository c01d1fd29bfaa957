//! The guest's root file system: an archive of busybox and modules, kept for each kernel, followed by one of the files
//! that belong to a single run. The kernel unpacks the two one after the other.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cpio::newc;

use crate::apt::{self, AptRoot};
use crate::architecture::Architecture;
use crate::kernel::Kernel;
use crate::modules::{Closure, ModuleIndex, uncompressed_name};
use crate::{vmlinux, workspace};

/// The suite whose busybox the guests use: a stable one, so that it rarely changes.
const BUSYBOX_SUITE: &str = "trixie";

/// Type and permissions of the archive's entries.
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// A newc archive under construction.
struct Archive<W: Write> {
    output: W,
    inodes: u32,
    directories: BTreeSet<String>,
}

/// The first part of the initramfs for `kernel`, with `modules` and what they need: a file in the cache.
pub(crate) fn base(
    kernel: &Kernel,
    modules: &ModuleIndex,
    closure: &Closure,
    mirror: Option<&str>,
) -> Result<PathBuf> {
    let busybox = busybox(kernel.architecture(), mirror)?;
    let mut hasher = DefaultHasher::new();
    (&busybox, &closure.files).hash(&mut hasher);
    let path = kernel
        .derived_files()?
        .join(format!("base-{:016x}.cpio", hasher.finish()));
    if path.exists() {
        return Ok(path);
    }
    let scratch = tempfile::tempdir_in(kernel.derived_files()?)
        .context("cannot create a directory in the cache")?;
    let partial = scratch.path().join("base.cpio");
    let output =
        File::create(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let mut archive = Archive::new(io::BufWriter::new(output));
    // The kernel opens it for PID 1 before anything is mounted.
    archive.character_device("dev/console", 5, 1)?;
    archive.program_from("bin/busybox", &busybox)?;
    let directory = format!("lib/modules/{}", kernel.release);
    for file in &closure.files {
        let packed = kernel.modules().join(file);
        let target = format!("{directory}/{}", uncompressed_name(file));
        let program = match packed.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => "xz",
            Some("zst") => "zstd",
            _ => {
                archive.program_from(&target, &packed)?;
                continue;
            }
        };
        let unpacked = scratch.path().join("module.ko");
        vmlinux::decompress(program, &packed, &unpacked)?;
        archive.program_from(&target, &unpacked)?;
    }
    archive.program(
        &format!("{directory}/modules.dep"),
        modules.dependency_file(closure).as_bytes(),
    )?;
    archive.program(
        &format!("{directory}/modules.alias"),
        modules.alias_file(closure).as_bytes(),
    )?;
    archive.program(
        &format!("{directory}/modules.builtin"),
        modules.builtin_file().as_bytes(),
    )?;
    archive
        .finish()?
        .flush()
        .context("cannot write the initramfs")?;
    fs::rename(&partial, &path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Writes the whole initramfs to `path`: the part `base`, then `init` and the `files`, each with its path in the guest.
pub(crate) fn write(
    path: &Path,
    base: &Path,
    init: &str,
    files: &[(PathBuf, String)],
) -> Result<()> {
    fs::copy(base, path).with_context(|| format!("cannot copy {}", base.display()))?;
    let output = File::options()
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let mut archive = Archive::new(io::BufWriter::new(output));
    archive.program("init", init.as_bytes())?;
    for (from, to) in files {
        archive.program_from(to.trim_start_matches('/'), from)?;
    }
    archive
        .finish()?
        .flush()
        .context("cannot write the initramfs")
}

/// Debian's statically linked busybox, in the cache.
fn busybox(architecture: Architecture, mirror: Option<&str>) -> Result<PathBuf> {
    let directory = workspace::cache()?
        .join("busybox")
        .join(architecture.debian());
    let path = directory.join("busybox");
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let lock = File::create(directory.join("lock")).context("cannot create busybox's lock")?;
    lock.lock().context("cannot lock busybox's directory")?;
    if path.exists() {
        return Ok(path);
    }
    let mut apt = AptRoot::open_for(architecture, &workspace::cache()?, mirror)?;
    let unavailable = apt.update_if_stale(&[BUSYBOX_SUITE])?;
    ensure!(
        unavailable.is_empty(),
        "the mirror has no suite {BUSYBOX_SUITE}, from which busybox-static is taken"
    );
    let packages = apt.find("busybox-static")?;
    let deb = apt.download(
        packages
            .first()
            .context("the mirror has no package busybox-static")?,
    )?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let scratch =
        tempfile::tempdir_in(&directory).context("cannot create a directory in the cache")?;
    apt::unpack(&deb, scratch.path())?;
    fs::rename(scratch.path().join("usr/bin/busybox"), &path)
        .context("busybox-static has no usr/bin/busybox")?;
    fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
    Ok(path)
}

impl<W: Write> Archive<W> {
    fn new(output: W) -> Self {
        Self {
            output,
            inodes: 0,
            directories: BTreeSet::new(),
        }
    }

    /// Adds the directories above `path`.
    fn parents(&mut self, path: &str) -> Result<()> {
        for (position, _) in path.match_indices('/') {
            let Some(directory) = path.get(..position) else {
                continue;
            };
            if self.directories.insert(directory.to_owned()) {
                let entry = self.entry(directory).mode(DIRECTORY);
                entry
                    .write(&mut self.output, 0)
                    .finish()
                    .context("cannot write a directory")?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &str) -> newc::Builder {
        self.inodes += 1;
        newc::Builder::new(path).ino(self.inodes)
    }

    fn character_device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.parents(path)?;
        let entry = self
            .entry(path)
            .mode(CHARACTER_DEVICE)
            .rdev_major(major)
            .rdev_minor(minor);
        entry
            .write(&mut self.output, 0)
            .finish()
            .context("cannot write a device node")?;
        Ok(())
    }

    fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.parents(path)?;
        let size = content
            .len()
            .try_into()
            .with_context(|| format!("{path} is too large"))?;
        let mut writer = self.entry(path).mode(PROGRAM).write(&mut self.output, size);
        writer
            .write_all(content)
            .and_then(|()| writer.finish())
            .with_context(|| format!("cannot write {path}"))?;
        Ok(())
    }

    fn program_from(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.program(path, &content)
    }

    fn finish(self) -> Result<W> {
        newc::trailer(self.output).context("cannot end the archive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_once_and_before_their_files() -> Result<()> {
        let mut archive = Archive::new(Vec::new());
        archive.program("a/b/first", b"1")?;
        archive.program("a/b/second", b"22")?;
        let bytes = archive.finish()?;
        let mut input = bytes.as_slice();
        let mut names = Vec::new();
        loop {
            let reader = newc::Reader::new(input)?;
            if reader.entry().is_trailer() {
                break;
            }
            names.push((reader.entry().name().to_owned(), reader.entry().file_size()));
            input = reader.finish()?;
        }
        let expected = [("a", 0), ("a/b", 0), ("a/b/first", 1), ("a/b/second", 2)];
        assert_eq!(names, expected.map(|(name, size)| (name.to_owned(), size)));
        Ok(())
    }
}
