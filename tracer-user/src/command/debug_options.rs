//! Options of the commands that show call stacks as lines of the source.
//!
//! The program can be built without (feature `source-lines`), as packages are: debug info lies where kernels are built.

use std::path::{Path, PathBuf};

use clap::Args;

#[cfg(feature = "source-lines")]
use super::say::shown;
use super::{privileges, say::say, usage::UsageError};
#[cfg(feature = "source-lines")]
use crate::debug_info::{DebugFileError, DebugFiles, Recorded, SourceLines};
use crate::source::recording::{Annotator, Recording};

/// Where debug info is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Source lines")]
#[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
pub(super) struct DebugOptions {
    /// Show call sites as FILE:LINE, by the debug info below this directory: vmlinux, MODULE.ko.debug and MODULE.ko of the same
    /// build; can be repeated
    #[arg(long, value_name = "DIR")]
    debug_dir: Vec<PathBuf>,
    /// The same, by this file for the kernel itself
    #[arg(long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,
    /// The same, by what `debuginfod-find` gets from the servers in $DEBUGINFOD_URLS
    #[arg(long)]
    debuginfod: bool,
}

impl DebugOptions {
    /// Whether any was given.
    pub(super) fn is_given(&self) -> bool {
        !self.debug_dir.is_empty() || self.vmlinux.is_some() || self.debuginfod
    }

    /// Refuses them where there is no recording. Symbols are looked up while the kernel is traced, lines only afterwards.
    pub(super) fn refuse_without(&self, file: bool) -> Result<(), UsageError> {
        if self.is_given() && !file {
            let problem = "--debug-dir, --vmlinux and --debuginfod are for a recording: record first, then read the file with them";
            return Err(UsageError::new(problem));
        }
        Ok(())
    }

    /// Drops the privileges that reading doesn't need, but for those that `debuginfod-find` needs if it is to be asked.
    pub(super) fn keep_for_reading<'a>(&self, outputs: impl IntoIterator<Item = &'a Path>) {
        if self.debuginfod {
            privileges::keep_for_fetching(outputs);
        } else {
            privileges::keep_for_reading(outputs);
        }
    }

    /// From here on the recording's stacks have the lines that are known.
    #[cfg(feature = "source-lines")]
    pub(super) fn attach(&self, recording: &mut Recording) -> anyhow::Result<()> {
        if !self.is_given() {
            return Ok(());
        }
        let image = recording.header().and_then(|header| header.image.clone());
        let recorded = Recorded {
            release: recording.information().kernel.clone(),
            image: image.unwrap_or_default(),
        };
        let lines = SourceLines::new(self.files()?, recorded);
        recording.annotate(Box::new(lines.map_err(|error| self.refusal(error))?));
        Ok(())
    }

    /// The same as [`attach`](Self::attach), for the events of the running kernel.
    #[cfg(feature = "source-lines")]
    pub(super) fn of_running_kernel(&self) -> anyhow::Result<Option<Box<dyn Annotator>>> {
        if !self.is_given() {
            return Ok(None);
        }
        let release = nix::sys::utsname::uname().ok();
        let release = release.map(|names| names.release().to_string_lossy().into_owned());
        let lines = SourceLines::of_running_kernel(self.files()?, release);
        Ok(Some(Box::new(lines.map_err(|error| self.refusal(error))?)))
    }

    #[cfg(feature = "source-lines")]
    fn files(&self) -> Result<DebugFiles, UsageError> {
        for directory in &self.debug_dir {
            if !directory.is_dir() {
                let problem = format!("{} is no directory", shown(directory));
                return Err(UsageError::new(problem));
            }
        }
        Ok(DebugFiles {
            directories: self.debug_dir.clone(),
            vmlinux: self.vmlinux.clone(),
            debuginfod: self.debuginfod,
        })
    }

    /// The kernel's own file was named, and can't be used.
    #[cfg(feature = "source-lines")]
    fn refusal(&self, error: DebugFileError) -> UsageError {
        let file = self.vmlinux.as_deref().unwrap_or(Path::new("vmlinux"));
        UsageError::new(format!("{}: {:#}", shown(file), anyhow::Error::new(error)))
    }
}

#[cfg(not(feature = "source-lines"))]
impl DebugOptions {
    /// Says that there are no lines in this program.
    pub(super) fn attach(&self, _recording: &mut Recording) -> anyhow::Result<()> {
        Ok(self.refuse()?)
    }

    /// Says that there are no lines in this program.
    pub(super) fn of_running_kernel(&self) -> anyhow::Result<Option<Box<dyn Annotator>>> {
        self.refuse()?;
        Ok(None)
    }

    fn refuse(&self) -> Result<(), UsageError> {
        if self.is_given() {
            let problem = "this program was built without source lines, to be small: build it with `cargo install --path tracer-user` on the machine that has the debug info";
            return Err(UsageError::new(problem));
        }
        Ok(())
    }
}

/// Says what there is to say of a recording's lines, after it was read.
pub(super) fn tell_remarks(recording: &Recording) {
    recording.remarks().iter().for_each(say);
}
