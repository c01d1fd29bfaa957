//! An export to the tables of a lab.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::LabOptions;
use crate::{
    command::{
        Exit,
        debug_options::{DebugOptions, tell_remarks},
        reading,
        say::{detail, say, shown},
        usage::{UsageError, exit_of},
    },
    filter::DeviceFilter,
    finding::Severity,
    rules::RuleSet,
    run::{Purpose, Run, Wanted},
    sink::lab::{Directory, Outcome, Recorded},
    source::recording::Recording,
};

/// Digits of a recording's hash that name its files.
const DIGITS: usize = 32;

/// An export to tables.
#[derive(Debug)]
pub(in crate::command) struct LabExport<'e> {
    pub(in crate::command) filter: &'e DeviceFilter,
    pub(in crate::command) redact: bool,
    pub(in crate::command) options: &'e LabOptions,
    pub(in crate::command) debug: &'e DebugOptions,
    pub(in crate::command) directory: Option<&'e Path>,
    pub(in crate::command) files: &'e [PathBuf],
}

impl LabExport<'_> {
    /// Exports all recordings. One that can't be read doesn't keep the others from it; the exit code is that of the worst.
    pub(in crate::command) fn run(&self) -> anyhow::Result<Exit> {
        let Some(path) = self.directory else {
            let problem = "--format parquet writes a directory: give it with --output DIR";
            return Err(UsageError::new(problem).into());
        };
        // What goes wrong with the directory is no fault of a recording.
        let failed = || format!("{} can't be written", shown(path));
        let mut directory = Directory::open(path).with_context(failed)?;
        let mut worst = Exit::Clean;
        for file in self.files {
            let exported = id(file).and_then(|id| self.export(file, &id, &mut directory, &failed));
            let exit = match exported {
                Ok(gaps) if gaps.is_empty() => Exit::Clean,
                Ok(gaps) => {
                    for gap in gaps {
                        say(format_args!("{}: {gap}", shown(file)));
                    }
                    Exit::Inconclusive
                }
                Err(Failure::Recording(error)) => {
                    say(format_args!("{error:#}"));
                    exit_of(&error)
                }
                Err(Failure::Directory(error)) => return Err(error),
            };
            worst = worse(worst, exit);
        }
        Ok(worst)
    }

    /// Exports one recording. Returns what is missing from the tables, one sentence each.
    fn export(
        &self,
        file: &Path,
        id: &str,
        directory: &mut Directory,
        failed: &dyn Fn() -> String,
    ) -> Result<Vec<String>, Failure> {
        let mut recording = reading::open(file).map_err(Failure::Recording)?;
        self.debug
            .attach(&mut recording)
            .map_err(Failure::Recording)?;
        let name = if self.redact {
            recording.redact()
        } else {
            let name = file.file_name().unwrap_or(file.as_os_str());
            name.to_string_lossy().into_owned()
        };
        let wanted = Wanted::of_recording(self.filter.clone(), &recording);
        let information = wanted.of_source(recording.information());
        let header = recording.header().cloned();
        let recorded = Recorded {
            id,
            name: &name,
            information: &information,
            header: header.as_ref(),
            machine: self.options.machine.as_deref(),
            recorded_at: self.options.recorded,
            redacted: self.redact,
        };
        let written = self.write(&mut recording, &recorded, wanted, directory);
        tell_remarks(&recording);
        written.map_err(|error| Failure::Directory(anyhow::Error::new(error).context(failed())))
    }

    fn write(
        &self,
        recording: &mut Recording,
        recorded: &Recorded<'_>,
        wanted: Wanted,
        directory: &mut Directory,
    ) -> io::Result<Vec<String>> {
        let (mut events, lives, files) = directory.record(recorded, self.filter.clone())?;
        let information = recording.information().clone();
        let observers = (RuleSet::checked(), lives);
        let run = Run::begin(
            &information,
            wanted,
            observers,
            Purpose::Judge(Severity::Error),
            &mut events,
        );
        let concluded = run.replay(recording);
        concluded.written?;
        let outcome = Outcome {
            model: concluded.engine.model(),
            findings: &concluded.findings,
            summary: &concluded.summary,
        };
        directory.finish(recorded, (events, concluded.observer, files), &outcome)?;
        detail(format_args!(
            "{}: {} events, {} findings",
            recorded.name,
            concluded.summary.events,
            concluded.findings.len()
        ));
        let summary = concluded.summary;
        let idleness = concluded.idleness;
        let gaps = summary.problems.into_iter().chain(summary.reasons);
        Ok(gaps.filter(|gap| Some(gap) != idleness.as_ref()).collect())
    }
}

/// Why a recording was not exported.
enum Failure {
    /// It can't be read: others may be.
    Recording(anyhow::Error),
    /// Nothing can be written.
    Directory(anyhow::Error),
}

/// What distinguishes a recording from all others: a hash of its file.
fn id(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" || (path.exists() && !path.is_file()) {
        let problem = format!(
            "{}: --format parquet reads files only, since their content tells recordings apart: save it to one first",
            shown(path)
        );
        return Err(Failure::Recording(UsageError::new(problem).into()));
    }
    let hash = || {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break io::Result::Ok(hash.finalize()),
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    };
    let failed = || format!("{} can't be opened", shown(path));
    let hash = hash().with_context(failed).map_err(Failure::Recording)?;
    let mut id = String::new();
    for byte in hash.iter().take(DIGITS / 2) {
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

/// The worse of two: what could not be read at all is worse than what is not complete.
fn worse(one: Exit, other: Exit) -> Exit {
    let order = [Exit::CouldNotRun, Exit::Usage, Exit::Inconclusive];
    let found = order.into_iter().find(|exit| [one, other].contains(exit));
    found.unwrap_or(Exit::Clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_read_is_the_worst() {
        assert_eq!(worse(Exit::Clean, Exit::Clean), Exit::Clean);
        assert_eq!(worse(Exit::Clean, Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(
            worse(Exit::CouldNotRun, Exit::Inconclusive),
            Exit::CouldNotRun
        );
        assert_eq!(worse(Exit::Usage, Exit::Clean), Exit::Usage);
    }
}
