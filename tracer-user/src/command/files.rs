//! The files that a command writes: opened only when it is certain that nothing that it reads, or writes beside them,
//! is lost by that.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{say::shown, usage::UsageError};
use crate::{
    output_file::{self, Refusal},
    trace_file::{self, Rotation},
};

/// What becomes of a recording or policy that is there already. A report can be made again and is replaced; these can't.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OverwriteOption {
    /// Replace an existing recording (or policy)
    #[arg(long)]
    pub(super) overwrite: bool,
}

impl OverwriteOption {
    /// Refuses to write a recording or policy in place of a file, or of one that somebody else may have put there.
    pub(super) fn refuse_existing(self, recording: Option<&Path>) -> Result<(), UsageError> {
        let Some(path) = recording.filter(|path| is_kept(path)) else {
            return Ok(());
        };
        if !self.overwrite {
            return Err(there_already(path));
        }
        // What else is in the way is said when the file is made.
        let refusal = output_file::may_be_removed(path).err();
        match refusal.as_ref().and_then(Refusal::of) {
            Some(refusal) => Err(refused(path, refusal)),
            None => Ok(()),
        }
    }

    /// The same for a recording in several files, of which it is not known how many there will be. What is left of an
    /// earlier one is removed if it is to be replaced: its files would be taken for some of the new one.
    pub(super) fn clear_parts(self, recording: &Path) -> anyhow::Result<()> {
        for part in parts(recording) {
            if !self.overwrite {
                return Err(there_already(&part).into());
            }
            told(&part, output_file::remove(&part))?;
        }
        Ok(())
    }

    /// Creates a file for a recording.
    pub(super) fn create(self, path: &Path) -> anyhow::Result<File> {
        self.refuse_existing(Some(path))?;
        told(path, trace_file::create(path, self.overwrite))
    }
}

fn there_already(path: &Path) -> UsageError {
    UsageError::new(format!(
        "{} exists: choose another name, or replace it with --overwrite",
        shown(path)
    ))
}

/// Whether there is something under this name that is kept: a file, or a link that leads to one or nowhere.
fn is_kept(path: &Path) -> bool {
    path.as_os_str() != "-"
        && match fs::metadata(path) {
            Ok(metadata) => metadata.is_file(),
            Err(_) => fs::symlink_metadata(path).is_ok(),
        }
}

/// The files of a recording in several files that are there.
fn parts(recording: &Path) -> Vec<PathBuf> {
    let Some(directory) = Rotation::name(recording, 1).parent().map(Path::to_owned) else {
        return Vec::new();
    };
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &directory
    };
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut parts: Vec<PathBuf> = entries
        .flatten()
        .filter_map(|entry| Rotation::part(recording, &entry.file_name()))
        .map(|part| Rotation::name(recording, part))
        .collect();
    parts.sort();
    parts
}

/// Standard output, or a file that is begun anew.
pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => Box::new(create_file(path)?),
        None => Box::new(io::stdout()),
    })
}

/// A report, begun anew, for its owner alone: it may have addresses of the kernel.
pub(super) fn create_file(path: &Path) -> anyhow::Result<File> {
    create_with(path, output_file::PRIVATE)
}

/// What says nothing of this kernel, such as a policy or a manual page, begun anew.
pub(super) fn create_public(path: &Path) -> anyhow::Result<File> {
    create_with(path, output_file::PUBLIC)
}

fn create_with(path: &Path, mode: u32) -> anyhow::Result<File> {
    if is_trace_file(path) {
        let problem = format!(
            "{} is a recording, which can't be made again: choose another name",
            shown(path)
        );
        return Err(UsageError::new(problem).into());
    }
    told(path, output_file::rewrite(path, mode))
}

/// Whether a trace file is there: whoever forgets the name of a report gives the recording's.
fn is_trace_file(path: &Path) -> bool {
    let mut beginning = [0; trace_file::MAGIC.len()];
    let is_file = fs::metadata(path).is_ok_and(|there| there.is_file());
    is_file
        && File::open(path).is_ok_and(|mut file| file.read_exact(&mut beginning).is_ok())
        && beginning == trace_file::MAGIC
}

fn refused(path: &Path, refusal: Refusal) -> UsageError {
    UsageError::new(format!("{} can't be written: {refusal}", shown(path)))
}

/// What making room for a file, or opening it to be written, came to: that what is there isn't used is a usage error.
fn told<T>(path: &Path, done: io::Result<T>) -> anyhow::Result<T> {
    done.map_err(|error| match Refusal::of(&error) {
        Some(refusal) => refused(path, refusal).into(),
        None => anyhow::Error::new(error).context(format!("{} can't be written", shown(path))),
    })
}

/// Refuses outputs that are the input (`-` is standard input), or the same as another one.
pub(super) fn refuse_same<'a>(
    input: Option<&Path>,
    outputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), UsageError> {
    let input = input.map(|path| {
        if path.as_os_str() == "-" {
            Path::new("/dev/stdin")
        } else {
            path
        }
    });
    let read = input.and_then(Identity::of);
    let mut known: Vec<Identity> = Vec::new();
    for output in outputs
        .into_iter()
        .filter(|output| output.as_os_str() != "-")
    {
        let Some(identity) = Identity::of(output) else {
            continue;
        };
        if read.as_ref() == Some(&identity) {
            return Err(UsageError::new(format!(
                "{} is an input: it can't also be the output",
                shown(output)
            )));
        }
        if known.contains(&identity) {
            return Err(UsageError::new(format!(
                "two outputs go to the same file: {}",
                shown(output)
            )));
        }
        known.push(identity);
    }
    Ok(())
}

/// What shows whether two names are of one file.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// It is there: device and inode.
    Known(u64, u64),
    /// It is not there yet: the directory's device and inode, and its name in there.
    New(u64, u64, OsString),
}

impl Identity {
    /// `None` for what keeps nothing, such as a terminal or a pipe, or can't be written anyway.
    fn of(path: &Path) -> Option<Self> {
        if let Ok(metadata) = fs::metadata(path) {
            let is_file = metadata.is_file();
            return is_file.then(|| Self::Known(metadata.dev(), metadata.ino()));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let metadata = fs::metadata(directory).ok()?;
        let name = path.file_name()?.to_owned();
        Some(Self::New(metadata.dev(), metadata.ino(), name))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn no_report_replaces_a_recording() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("it");
        fs::write(&path, trace_file::MAGIC).unwrap();
        assert!(create_file(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), trace_file::MAGIC);
        fs::write(&path, "an earlier report").unwrap();
        assert!(create_file(&path).is_ok());
    }

    #[test]
    fn a_recording_replaces_nothing_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (kind, force) = (
            OverwriteOption { overwrite: false },
            OverwriteOption { overwrite: true },
        );
        fs::write(path("a.dvrt"), "").unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("link")).unwrap();
        for name in ["a.dvrt", "link"] {
            assert!(kind.refuse_existing(Some(&path(name))).is_err(), "{name}");
            assert!(force.refuse_existing(Some(&path(name))).is_ok(), "{name}");
        }
        for path in [&path("new"), Path::new("/dev/null"), Path::new("-")] {
            assert!(
                kind.refuse_existing(Some(path)).is_ok(),
                "{}",
                path.display()
            );
        }
        for name in ["a.0001.dvrt", "a.0012.dvrt", "a.x.dvrt", "b.0001.dvrt"] {
            fs::write(path(name), "").unwrap();
        }
        assert!(kind.clear_parts(&path("a.dvrt")).is_err());
        force.clear_parts(&path("a.dvrt")).unwrap();
        assert!(kind.clear_parts(&path("a.dvrt")).is_ok());
        assert!(path("a.x.dvrt").exists() && path("b.0001.dvrt").exists());
    }

    #[test]
    fn a_report_replaces_a_file_and_follows_no_link_to_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("old"), "old").unwrap();
        drop(create_file(&path("old")).unwrap());
        assert_eq!(fs::read(path("old")).unwrap(), b"");
        fs::write(path("target"), "kept").unwrap();
        std::os::unix::fs::symlink(path("target"), path("link")).unwrap();
        assert!(create_file(&path("link")).unwrap_err().is::<UsageError>());
        assert_eq!(fs::read(path("target")).unwrap(), b"kept");
        std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
        assert!(create_file(&path("null")).is_ok());
    }

    #[test]
    fn a_transcript_is_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.json");
        drop(create(Some(&path)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_file_is_recognised_by_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a"), "").unwrap();
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        fs::hard_link(path("a"), path("hard")).unwrap();
        let same = |input: Option<&str>, outputs: &[&str]| {
            let outputs: Vec<PathBuf> = outputs.iter().map(|name| path(name)).collect();
            let input = input.map(path);
            refuse_same(input.as_deref(), outputs.iter().map(PathBuf::as_path)).is_err()
        };
        for name in ["a", "link", "hard", "./a"] {
            let is_there = path(name).exists();
            assert_eq!(same(Some("a"), &[name]), is_there, "{name}");
        }
        assert!(same(None, &["new", "b", "./new"]));
        assert!(same(None, &["link", "hard"]));
        assert!(!same(Some("a"), &["b", "c"]));
        assert!(!same(None, &["/dev/null", "/dev/null"]));
        assert!(!same(Some("/dev/null"), &["/dev/null"]));
    }
}
