//! The files of a recording that is kept in several.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// When a recording begins another file, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The most bytes that a file may have. Near them another one begins as soon as nothing is under way, at the latest
    /// before the file would exceed them. Only where what a file begins with takes more than three quarters of that, it
    /// has up to a third more than what it begins with.
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

    /// The number of the recording's file that has this name, if it is one of its files.
    #[must_use]
    pub fn part(path: &Path, file: &OsStr) -> Option<u32> {
        let stem = path.file_stem().unwrap_or_default().to_str()?;
        let rest = file.to_str()?.strip_prefix(stem)?.strip_prefix('.')?;
        let part = rest.split('.').next()?.parse().ok()?;
        (name(path, part).file_name() == Some(file)).then_some(part)
    }

    /// The limits of a file that begins with so many bytes.
    pub(super) fn limits(self, beginning: u64) -> Limits {
        /// Larger margins would waste room.
        const WIDEST: u64 = 4 << 20;
        /// Room for the event that comes next: few are larger.
        const NEXT: u64 = 1 << 10;
        let size = self.max_size.max(beginning.saturating_add(beginning / 3));
        let room = size.saturating_sub(beginning);
        let close_at = size - NEXT.min(room / 4);
        Limits {
            rotate_when_quiet: close_at - (room / 4).min(WIDEST),
            rotate_at: close_at - (room / 64).min(WIDEST / 64),
            close_at,
        }
    }
}

/// When something is to be done about a file, in bytes that it would have if it ended there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Another file begins if nothing is under way.
    pub(super) rotate_when_quiet: u64,
    /// Another file begins.
    pub(super) rotate_at: u64,
    /// The open block is closed if it might take the file so far: the rest is for the event that comes next.
    pub(super) close_at: u64,
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
