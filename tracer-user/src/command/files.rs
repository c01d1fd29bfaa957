//! The files that a command writes: opened only when it is certain that nothing that it reads, or writes beside them,
//! is lost by that.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::Context as _;

use super::{say::shown, usage::UsageError};

/// Standard output, or a file that is begun anew.
pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("{} can't be written", shown(path)))?,
        ),
        None => Box::new(io::stdout()),
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
                "{} is an input: writing it would destroy what is to be read",
                shown(output)
            )));
        }
        if known.contains(&identity) {
            return Err(UsageError::new(format!(
                "two outputs have the same file: {}",
                shown(output)
            )));
        }
        known.push(identity);
    }
    Ok(())
}

/// What tells whether two names are of one file.
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
