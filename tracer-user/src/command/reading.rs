//! Opening recordings, the same for every command that reads them.

use std::{fs, path::Path};

use crate::source::{
    recording::{Recording, RecordingError},
    text::ImportError,
};

/// Opens a recording. `None` if it is none: that has been said then, and the exit code is that of a wrong
/// input.
pub(super) fn open(path: &Path) -> anyhow::Result<Option<Recording>> {
    match Recording::open(path) {
        Ok(recording) => Ok(Some(recording)),
        Err(RecordingError::Text {
            name,
            source: source @ ImportError::NoEvents { .. },
        }) => {
            eprintln!("devres-tracer: {}: {source}", crate::escape::Escaped(&name));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a recording can be read a second time; why not, if it can't.
pub(super) fn can_be_read_twice(path: &Path) -> Result<(), String> {
    let regular = fs::metadata(path).map_or(true, |metadata| metadata.is_file());
    if regular && path.as_os_str() != "-" {
        return Ok(());
    }
    Err(
        "a time can be looked for only in a file: save the input to one and give its name"
            .to_owned(),
    )
}
