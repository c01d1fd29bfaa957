//! Opening recordings, the same for every command that reads them.

use std::{fs, path::Path};

use super::{
    progress,
    say::{detail, shown},
    usage::UsageError,
};
use crate::source::{
    recording::{Recording, RecordingError},
    text::ImportError,
};

/// Opens a recording. That it is none is a usage error.
pub(super) fn open(path: &Path) -> anyhow::Result<Recording> {
    open_for(path, false)
}

/// Like [`open`], for a command that writes lines to standard output while it reads, if that is so.
pub(super) fn open_for(path: &Path, writes_lines: bool) -> anyhow::Result<Recording> {
    let began = std::time::Instant::now();
    let opened = told(progress::open(path, writes_lines));
    detail(format_args!(
        "{} opened in {} ms",
        shown(path),
        began.elapsed().as_millis()
    ));
    opened
}

/// What opening a recording came to: that it is none is a usage error.
pub(super) fn told(opened: Result<Recording, RecordingError>) -> anyhow::Result<Recording> {
    match opened {
        Ok(recording) => Ok(recording),
        Err(RecordingError::Text {
            name,
            source:
                source @ (ImportError::NoEvents { .. }
                | ImportError::Unusable(_)
                | ImportError::Unnamed { .. }
                | ImportError::Empty),
        }) => Err(UsageError::new(format!("{name}: {source}")).into()),
        Err(error @ (RecordingError::Packed { .. } | RecordingError::NotText { .. })) => {
            Err(UsageError::new(error.to_string()).into())
        }
        Err(error @ RecordingError::Unpack { .. }) => {
            Err(UsageError::new(format!("{:#}", anyhow::Error::new(error))).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a recording can be read a second time; why not, if it can't.
pub(super) fn can_be_read_twice(path: &Path) -> Result<(), UsageError> {
    // What can't be read even once is reported by whoever reads it.
    let regular = fs::metadata(path).map_or(true, |it| it.is_file() || it.is_dir());
    if regular && path.as_os_str() != "-" {
        return Ok(());
    }
    Err(UsageError::new(
        "to look up a time, the input must be a file: save it to one first",
    ))
}
