//! Finds the debug file of the kernel or a module.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{DebugFiles, debug_file::DebugFile, remarks::Remarks};
use crate::event::Text;

/// Directories are read to this depth.
const DEEPEST: usize = 24;
/// Why a file of that name is none.
const KERNEL: &str = "vmlinux";

/// Where to look, and what lies there.
pub(super) struct Search {
    files: DebugFiles,
    release: Option<String>,
    /// Files by what they are of, `vmlinux` for the kernel; `None` until they are needed.
    index: Option<BTreeMap<String, Vec<PathBuf>>>,
}

impl Search {
    pub(super) fn new(files: DebugFiles, release: Option<String>) -> Self {
        Self {
            files,
            release,
            index: None,
        }
    }

    /// The kernel's own file, if it was named.
    pub(super) fn vmlinux(&self) -> Option<&Path> {
        self.files.vmlinux.as_deref()
    }

    /// The debug file of a module, or of the kernel. A file of another build is never taken.
    pub(super) fn find(
        &mut self,
        module: Option<&Text>,
        build_id: Option<&str>,
        remarks: &mut Remarks,
    ) -> Option<DebugFile> {
        let paths = self.candidates(module, build_id);
        let found = match build_id {
            Some(build_id) => of_build(&paths, build_id, remarks),
            None => self.alone(module, &paths, remarks),
        };
        found.or_else(|| {
            let path = self.files.debuginfod.then(|| ask(build_id?)).flatten()?;
            of_build(&[path], build_id?, remarks)
        })
    }

    /// Files that may be the one, by their names.
    fn candidates(&mut self, module: Option<&Text>, build_id: Option<&str>) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        if let Some((first, rest)) = build_id.and_then(|id| id.split_at_checked(2)) {
            let name = format!("{rest}.debug");
            paths.extend(self.files.directories.iter().flat_map(|directory| {
                [".build-id", "usr/lib/debug/.build-id"]
                    .map(|below| directory.join(below).join(first).join(&name))
                    .into_iter()
                    .filter(|path| path.is_file())
            }));
        }
        let index = self
            .index
            .get_or_insert_with(|| index(&self.files.directories));
        let name = module.map_or(KERNEL, |module| module);
        paths.extend(index.get(&*key(name)).into_iter().flatten().cloned());
        paths
    }

    /// The only file, where nothing says which build it should be of: those of the kernel's release are preferred.
    fn alone(
        &self,
        module: Option<&Text>,
        paths: &[PathBuf],
        remarks: &mut Remarks,
    ) -> Option<DebugFile> {
        let of_release = |path: &&PathBuf| {
            let release = self.release.as_deref();
            release.is_some_and(|release| path.to_string_lossy().contains(release))
        };
        let mut preferred: Vec<&PathBuf> = paths.iter().filter(of_release).collect();
        if preferred.is_empty() {
            preferred = paths.iter().collect();
        }
        let mut found: Option<(&PathBuf, DebugFile)> = None;
        for path in preferred {
            match DebugFile::open(path) {
                Err(error) => remarks.refused(path, &error),
                Ok(file) => match &found {
                    None => found = Some((path, file)),
                    Some((_, first)) if first.is_like(&file) => {}
                    Some((other, _)) => {
                        remarks.several(module, [other, path]);
                        return None;
                    }
                },
            }
        }
        found.map(|(_, file)| file)
    }
}

/// The first file of this build.
fn of_build(paths: &[PathBuf], build_id: &str, remarks: &mut Remarks) -> Option<DebugFile> {
    let mut refused = Vec::new();
    for path in paths {
        let file = DebugFile::open(path);
        match file.and_then(|file| file.verify(Some(build_id)).map(|()| file)) {
            Ok(file) => return Some(file),
            Err(error) => refused.push((path, error)),
        }
    }
    // One is enough: the others are of other kernels, as like as not.
    if let Some((path, error)) = refused.first() {
        remarks.refused(path, error);
    }
    None
}

/// What a file is of, in the form in which modules are named.
fn key(name: &str) -> String {
    name.replace('-', "_")
}

/// What a file of this name is of, if it may be a debug file.
fn kind(name: &str) -> Option<String> {
    let plain = name.strip_suffix(".debug").unwrap_or(name);
    if let Some(module) = plain.strip_suffix(".ko") {
        return Some(key(module));
    }
    let rest = plain.strip_prefix(KERNEL)?;
    (rest.is_empty() || rest.starts_with('-')).then(|| KERNEL.to_owned())
}

/// All debug files below the directories.
fn index(directories: &[PathBuf]) -> BTreeMap<String, Vec<PathBuf>> {
    let mut index: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut rest: Vec<(PathBuf, usize)> = directories
        .iter()
        .rev()
        .map(|directory| (directory.clone(), 0))
        .collect();
    while let Some((directory, depth)) = rest.pop() {
        // What can't be read holds nothing for us.
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            // A link to a directory may lead in a circle.
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && depth < DEEPEST {
                rest.push((path, depth + 1));
            } else if let Some(kind) = entry.file_name().to_str().and_then(kind)
                && path.is_file()
            {
                index.entry(kind).or_default().push(path);
            }
        }
    }
    index
}

/// Has `debuginfod-find` look for a build, on the servers that the user has configured.
fn ask(build_id: &str) -> Option<PathBuf> {
    let output = Command::new("debuginfod-find")
        .args(["debuginfo", build_id])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = path.trim_end();
    (output.status.success() && !path.is_empty()).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for (name, expected) in [
            ("pvpanic-mmio.ko", Some("pvpanic_mmio")),
            ("pvpanic_mmio.ko.debug", Some("pvpanic_mmio")),
            ("vmlinux", Some("vmlinux")),
            ("vmlinux-6.1.0-56-amd64", Some("vmlinux")),
            ("vmlinux.debug", Some("vmlinux")),
            ("vmlinux.lds", None),
            ("pvpanic.ko.xz", None),
            ("pvpanic.o", None),
        ] {
            assert_eq!(kind(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn directories_are_read_to_the_bottom_and_no_circle() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("kernel/drivers");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("a-b.ko"), "").unwrap();
        std::os::unix::fs::symlink(directory.path(), below.join("again")).unwrap();
        let index = index(&[directory.path().to_owned()]);
        assert_eq!(index.keys().collect::<Vec<_>>(), ["a_b"]);
        assert_eq!(index["a_b"], [below.join("a-b.ko")]);
    }
}
