//! What a session left on the shared directory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Series;
use super::recording::Recording;

/// How much of each text a report shows.
const LINES_SHOWN: usize = 30;

/// One session's files.
pub(super) struct Evidence {
    directory: PathBuf,
    series: Series,
}

impl Evidence {
    /// The files in `directory`, left by a kernel of this series.
    pub(super) fn new(directory: PathBuf, series: Series) -> Self {
        Self { directory, series }
    }

    /// The kernel's series.
    pub(super) fn series(&self) -> Series {
        self.series
    }

    /// The path of a file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file's text.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The exit code of a command that `run` or `trace` of the prelude ran.
    pub(super) fn exit_code(&self, name: &str) -> Result<i32> {
        let text = self.text(&format!("{name}.exit"))?;
        text.trim()
            .parse()
            .with_context(|| format!("{name} left the exit code {text:?}"))
    }

    /// Fails, with what the command said, unless its exit code is as expected.
    pub(super) fn exited(&self, name: &str, expected: i32) -> Result<()> {
        let code = self.exit_code(name)?;
        if code == expected {
            return Ok(());
        }
        bail!(
            "{name} ended with {code} instead of {expected}:\n{}",
            self.text(&format!("{name}.stderr"))?
        );
    }

    /// Fails unless the command's exit code is 0.
    pub(super) fn succeeded(&self, name: &str) -> Result<()> {
        self.exited(name, 0)
    }

    /// What `trace` of the prelude recorded.
    pub(super) fn recording(&self, name: &str) -> Result<Recording> {
        Recording::read(&self.path(&format!("{name}.jsonl")), self.exit_code(name)?)
    }

    /// A file of JSON lines.
    pub(super) fn json_lines(&self, name: &str) -> Result<Vec<Value>> {
        self.text(name)?
            .lines()
            .map(|line| {
                serde_json::from_str(line).with_context(|| format!("{name} has the line {line}"))
            })
            .collect()
    }

    /// How long the session took by the guest's clock, in words.
    pub(super) fn duration(&self) -> String {
        let time = |name: &str| -> Option<f64> { self.text(name).ok()?.trim().parse().ok() };
        match (time("begin"), time("end")) {
            (Some(begin), Some(end)) => format!("{:.1} s", end - begin),
            _ => "unknown time".to_owned(),
        }
    }

    /// What the session's commands printed, and where its files are.
    pub(super) fn report(&self) -> String {
        let mut report = String::new();
        let mut texts: Vec<PathBuf> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|kind| kind == "stderr" || kind == "stdout")
            })
            .collect();
        texts.sort();
        for path in texts {
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            if !lines.is_empty() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let end = lines
                    .get(lines.len().saturating_sub(LINES_SHOWN)..)
                    .unwrap_or_default();
                report = format!("{report}--- {name}, at its end:\n{}\n", end.join("\n"));
            }
        }
        report + &format!("--- more in {}\n", self.directory.display())
    }
}
