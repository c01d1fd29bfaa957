//! Kinds of files of which other tools make the text that can be read: they are read through the user's own tool.

use std::{
    ffi::OsString,
    fmt,
    io::{self, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

/// Such a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed(&'static Kind);

#[derive(Debug, PartialEq, Eq)]
struct Kind {
    /// What its files begin with.
    magic: &'static [u8],
    name: &'static str,
    /// The tool that makes text of them, and its arguments in front of the file's name.
    tool: &'static [&'static str],
}

impl Packed {
    /// The command that makes text of a file, for people.
    fn command(self) -> String {
        format!("{} FILE", self.0.tool.join(" "))
    }
}

impl fmt::Display for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, command) = (self.0.name, self.command());
        write!(formatter, "{kind}: use the output of `{command}`")
    }
}

/// `trace-cmd report` rounds times to microseconds without `-t`. `perf script` does so without `--ns`, and passes over
/// what was lost without `--show-lost-events`. Its `-f` is left out: perf refuses another user's file for a reason.
static KNOWN: [Kind; 10] = [
    kind(b"\x1f\x8b", "compressed with gzip", &["zcat"]),
    kind(b"BZh", "compressed with bzip2", &["bzcat"]),
    kind(b"\xfd7zXZ\0", "compressed with xz", &["xzcat"]),
    kind(b"\x28\xb5\x2f\xfd", "compressed with zstd", &["zstdcat"]),
    kind(b"\x04\x22\x4d\x18", "compressed with lz4", &["lz4cat"]),
    kind(b"PK\x03\x04", "a zip archive", &["unzip", "-p"]),
    kind(
        b"\x17\x08\x44tracing",
        "a recording of trace-cmd",
        &["trace-cmd", "report", "-t", "-i"],
    ),
    kind(b"PERFILE2", "a recording of perf", &PERF_SCRIPT),
    kind(b"PERFFILE", "a recording of perf", &PERF_SCRIPT),
    kind(
        b"LPKSHHRH",
        "a journal file",
        &["journalctl", "-k", "-o", "short-monotonic", "--file"],
    ),
];
const PERF_SCRIPT: [&str; 5] = ["perf", "script", "--ns", "--show-lost-events", "-i"];

const fn kind(magic: &'static [u8], name: &'static str, tool: &'static [&'static str]) -> Kind {
    Kind { magic, name, tool }
}

/// Bytes of what a tool says on standard error that are kept.
const LONGEST_WORDS: u64 = 4096;

/// What begins so, if it is of such a kind.
pub(super) fn known(beginning: &[u8]) -> Option<Packed> {
    let mut kinds = KNOWN.iter();
    let found = kinds.find(|kind| beginning.starts_with(kind.magic));
    found.map(Packed)
}

/// Why a file can't be read through the tool for its kind.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The tool could not be run.
    #[error("`{command}` can't be run")]
    Start {
        /// The tool with its arguments.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It gave up, or was killed, so that what it wrote may not be all.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// The tool with its arguments.
        command: String,
        /// How it ended, such as `exit status: 1`.
        status: String,
        /// The last line of what it said on standard error.
        said: String,
    },
}

/// A tool that makes text of a file. It is killed where nobody reads to the end.
pub(super) struct Unpacking {
    command: String,
    child: Child,
    said: Option<JoinHandle<Vec<u8>>>,
}

impl Unpacking {
    /// Starts the tool for `packed` on `path`. Returns what it writes as well.
    pub(super) fn start(
        packed: Packed,
        path: &Path,
    ) -> Result<(Self, BufReader<ChildStdout>), UnpackError> {
        let command = packed.command();
        let failed = |source| UnpackError::Start {
            command: command.clone(),
            source,
        };
        let [program, arguments @ ..] = packed.0.tool else {
            return Err(failed(io::ErrorKind::NotFound.into()));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .arg(no_option(path))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take();
        let said = child.stderr.take().map(|stderr| {
            thread::spawn(move || {
                let mut said = Vec::new();
                let mut stderr = stderr.take(LONGEST_WORDS);
                // What can't be read is not shown; the exit code says that it failed.
                let _ = stderr.read_to_end(&mut said);
                // The rest is read as well: a full pipe would stop the tool.
                let _ = io::copy(&mut stderr.into_inner(), &mut io::sink());
                said
            })
        });
        let unpacking = Self {
            command: command.clone(),
            child,
            said,
        };
        match output {
            Some(output) => Ok((unpacking, BufReader::with_capacity(1 << 16, output))),
            None => Err(failed(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// How it ended, after all that it writes was read.
    pub(super) fn end(&mut self) -> Result<(), UnpackError> {
        let status = self.child.wait().map_err(|source| UnpackError::Start {
            command: self.command.clone(),
            source,
        })?;
        let said = self.said.take().and_then(|said| said.join().ok());
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        Err(UnpackError::Failed {
            command: self.command.clone(),
            status: status.to_string(),
            said: last.unwrap_or("it said nothing").trim().to_owned(),
        })
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // It may have ended by itself, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path in a form that no tool takes for an option.
fn no_option(path: &Path) -> OsString {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        return Path::new(".").join(path).into_os_string();
    }
    path.as_os_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_text_of_a_file_is_known() {
        let found = known(b"\x1f\x8b\x08\0").map(|packed| packed.to_string());
        assert_eq!(
            found.as_deref(),
            Some("compressed with gzip: use the output of `zcat FILE`")
        );
        assert_eq!(known(b"[    1.000000] x"), None);
        assert_eq!(known(b"BZ"), None);
    }

    #[test]
    fn a_file_is_never_an_option() {
        assert_eq!(no_option(Path::new("-x.dat")), "./-x.dat");
        assert_eq!(no_option(Path::new("a/-x.dat")), "a/-x.dat");
    }
}
