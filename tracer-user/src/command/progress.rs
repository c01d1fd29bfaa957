//! How far reading has come, for those who look on.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::source::recording::{Recording, RecordingError};

/// What is read faster than anybody looks needs no bar.
const WORTH_A_BAR: u64 = 4 << 20;

/// Opens a recording. While a large one is read, a bar on standard error shows how far that has come, if it
/// is a terminal and not the one that the lines go to.
pub(super) fn open(path: &Path, writes_lines: bool) -> Result<Recording, RecordingError> {
    let hidden = !io::stderr().is_terminal() || (writes_lines && io::stdout().is_terminal());
    Recording::open_through(path, |file| match length(&file).filter(|_| !hidden) {
        Some(length) => Box::new(Watched {
            file,
            bar: bar(length),
        }),
        None => Box::new(file),
    })
}

/// The length of the file, if it is large.
fn length(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.len() >= WORTH_A_BAR).then_some(metadata.len())
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "reading {wide_bar} {bytes} of {total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A file that shows how far it was read, and nothing once it has been read or is not wanted any more.
struct Watched {
    file: File,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if read == 0 {
            self.bar.finish_and_clear();
        }
        self.bar.inc(read as u64);
        Ok(read)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
