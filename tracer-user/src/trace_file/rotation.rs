//! The files of a recording that is kept in several.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// When a recording begins another file, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When a file has this many bytes beyond what it begins with, another one begins as soon as nothing is under way, at the latest when
    /// it has twice as many.
    pub max_size: u64,
    /// The most files that are kept; the oldest is removed. `None` keeps all.
    pub max_files: Option<u32>,
}

impl Rotation {
    /// The name of a recording's file with this number, counted from one.
    #[must_use]
    pub fn name(path: &Path, part: u32) -> PathBuf {
        name(path, part)
    }
}

/// The name of a recording's file with this number: `trace.dvrt` becomes `trace.0001.dvrt`.
pub(super) fn name(path: &Path, part: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{part:04}"));
    if let Some(extension) = path.extension() {
        name.push(OsString::from("."));
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The files of a recording that are kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: VecDeque<PathBuf>,
}

impl Kept {
    /// One more, of at most so many. Yields the one that is to go.
    pub(super) fn add(&mut self, file: PathBuf, most: Option<u32>) -> Option<PathBuf> {
        self.files.push_back(file);
        let most = usize::try_from(most?).unwrap_or(usize::MAX).max(1);
        if self.files.len() > most {
            self.files.pop_front()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Kept, name};

    #[test]
    fn the_number_stands_before_the_suffix() {
        let named = |path: &str| name(Path::new(path), 12);
        assert_eq!(named("/tmp/a.b.dvrt"), PathBuf::from("/tmp/a.b.0012.dvrt"));
        assert_eq!(named("trace"), PathBuf::from("trace.0012"));
    }

    #[test]
    fn the_oldest_file_goes() {
        let mut kept = Kept::default();
        assert_eq!(kept.add("1".into(), Some(2)), None);
        assert_eq!(kept.add("2".into(), Some(2)), None);
        assert_eq!(kept.add("3".into(), Some(2)), Some("1".into()));
        assert_eq!(kept.add("4".into(), None), None);
    }
}
