//! What people paste, as a source of events: the kernel's log with `DEVRES` lines and with what else the kernel
//! says of devres there, traces of the tracepoint `devres_log`, and function events of the kernel's tracing.
//!
//! Whatever else is among the lines is counted and passed over. [`read`] reads everything at once, because
//! only the whole input says what it covers, and keeps it in about as much room as the text took; events
//! are made of that when they are asked for.
//!
//! What text can't say is said in the [`Coverage`]:
//!
//! - The kernel's log and the tracepoint name devices, they don't give their addresses. Where function events
//!   give addresses too, a device is called by its address. Else it is called by its name, and two devices
//!   with the same name, at once or one after the other, are one.
//! - Nodes are named by hashed addresses, by real ones, or not at all. Hashes are replaced by addresses where
//!   `add_dr` was probed too. One `(ptrval)` or missing address makes the others useless as well, since such a
//!   node is named by another one later.
//! - Stacks are known where a tool printed them behind an event; of the opener of a group its function's return
//!   says as well.
//! - A log alone has no function events: no probe and no unbind begins or ends in it.

mod envelope;
mod event;
mod prefilter;
mod reader;
mod record;
mod scan;
mod stages;
mod stream;
mod telling;
mod transport;
mod wrapped;

use std::io::{self, BufRead};

pub use event::events::Events;
pub use record::function_tracer::Unusable;
pub use stream::Stream;

use crate::{
    event::{Death, Hook},
    evidence::Coverage,
    kernel::Machine,
    number::{counted, plural},
};
use event::{coverage, records::Records};
use record::{death, function_line};

/// What was read from a text.
#[derive(Debug)]
pub struct Import {
    records: Records,
    coverage: Coverage,
    statistics: Statistics,
    death: Option<Death>,
    machine: Option<Machine>,
}

/// How many lines there were of which kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// All lines.
    pub lines: u64,
    /// Lines that are events or part of one.
    pub event_lines: u64,
    /// Lines that are not.
    pub other_lines: u64,
    /// Events that are `DEVRES` messages of the kernel's log.
    pub kernel_log: u64,
    /// Events of the tracepoint `devres_log`.
    pub tracepoint: u64,
    /// Function events.
    pub functions: u64,
    /// Messages in which the kernel itself reports devres: warnings, refused probes.
    pub messages: u64,
    /// Whole reports of the kernel in which devres does not occur.
    pub reports: u64,
    /// Reports of the kernel that lost their stacks.
    pub reports_without_stack: u64,
    /// Lines among the others that begin like an event and have no end.
    pub cut: u64,
    /// Events that the input itself says are missing.
    pub lost: u64,
    /// Events of the tracepoint of which it can't be known what happened: with the address of the operation's name in its
    /// place.
    pub unnamed: u64,
}

/// Why a text is no source of events.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Reading failed.
    #[error("the input can't be read: {0}")]
    Read(#[from] io::Error),
    /// There is not one event in it.
    #[error(
        "{} a devres event: record them with `devres.log=1` on a kernel with \
         CONFIG_DEBUG_DEVRES, or with the tracepoint dev:devres_log{}",
        none_of(.statistics.lines),
        of_reports(.statistics)
    )]
    NoEvents {
        /// How many lines there were.
        statistics: Box<Statistics>,
    },
    /// There are only calls of which it is not known on which device.
    #[error("the text has no event of a known device: {0}")]
    Unusable(Unusable),
    /// There are only events with the address of the operation's name in its place.
    #[error(
        "{} in place of ADD, REL or REM, as perf and trace-cmd print it: {UNNAMED_HINT}",
        unnamed_lines(.statistics.unnamed)
    )]
    Unnamed {
        /// How many lines there were.
        statistics: Box<Statistics>,
    },
    /// There is nothing in it.
    #[error("the input is empty")]
    Empty,
}

/// What to do about lines without their operation.
const UNNAMED_HINT: &str = "record with call stacks (`trace-cmd record -T`, `perf record -g`), read the recording as root on the \
                            machine that made it before that is booted again, or save /sys/kernel/tracing/trace";

fn unnamed_lines(count: u64) -> String {
    match count {
        1 => "1 event of devres_log has an address".to_owned(),
        count => format!("{count} events of devres_log have an address"),
    }
}

/// What reports of the kernel are among the lines that say nothing of devres.
fn of_reports(statistics: &Statistics) -> String {
    let mut said = Vec::new();
    let reports = |count| {
        counted(
            count,
            "report of the kernel is",
            "reports of the kernel are",
        )
    };
    if statistics.reports > 0 {
        let stacks = plural(statistics.reports, "its stacks", "their stacks");
        let whole = reports(statistics.reports);
        said.push(format!("{whole} among them, without devres on {stacks}"));
    }
    if statistics.reports_without_stack > 0 {
        let cut = reports(statistics.reports_without_stack);
        said.push(format!(
            "{cut} cut off before the stack, which alone says whether devres was at work: take all of it"
        ));
    } else if !said.is_empty() {
        said.push("nothing in the text is about the order of releases".to_owned());
    }
    let separator = if said.len() > 1 && statistics.reports_without_stack == 0 {
        ": "
    } else {
        "; "
    };
    if said.is_empty() {
        String::new()
    } else {
        format!(" ({})", said.join(separator))
    }
}

fn none_of(lines: u64) -> String {
    match lines {
        1 => "the only line is not".to_owned(),
        lines => format!("none of the {lines} lines is"),
    }
}

/// Reads a text of any kind, in any encoding.
pub fn read(reader: impl BufRead) -> Result<Import, ImportError> {
    let found = stages::read(reader)?;
    let statistics = found.statistics;
    if statistics.lines == 0 {
        return Err(ImportError::Empty);
    }
    let unusable = found.records.unusable.values().next();
    if let (0, Some(unusable)) = (statistics.event_lines, unusable) {
        return Err(ImportError::Unusable(*unusable));
    }
    if statistics.event_lines == 0 {
        return Err(ImportError::NoEvents {
            statistics: Box::new(statistics),
        });
    }
    let understood = statistics.kernel_log + statistics.tracepoint + statistics.functions;
    if statistics.unnamed > 0 && understood + statistics.messages == 0 {
        return Err(ImportError::Unnamed {
            statistics: Box::new(statistics),
        });
    }
    Ok(Import {
        coverage: coverage::coverage(&found.records),
        records: found.records,
        statistics,
        death: found.death,
        machine: found.machine,
    })
}

/// The hook of a probe event, by the name that the kernel or a tool gives it: `kprobes:p_really_probe_0`.
#[must_use]
pub fn hook_of_event(event: &str) -> Option<Hook> {
    function_line::of_event(event.as_bytes())
}

/// How a machine died, by its log; the last death in it, and nothing where the log goes on behind it.
#[must_use]
pub fn death(log: &[u8]) -> Option<Death> {
    let mut listener = death::Listener::default();
    for line in log.split(|byte| *byte == b'\n') {
        listener.line(line);
    }
    listener.finish()
}

impl Import {
    /// What the text could say.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many lines there were of which kind.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// What keeps the events from being all there were, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let unnamed = self.statistics.unnamed;
        let sentence = || {
            format!(
                "{} in place of ADD, REL or REM: {UNNAMED_HINT}",
                unnamed_lines(unnamed)
            )
        };
        (unnamed > 0).then(sentence).into_iter().collect()
    }

    /// The machine that it is of, where reports of the kernel in it say so.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// How the machine died, where the text says.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        self.death.as_ref()
    }

    /// The events, in the order of the lines.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events::new(&self.records)
    }
}

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
enum Parsed<T> {
    /// An event.
    Event(T),
    /// The beginning of one; the rest may be on the next line.
    Cut,
    /// Something else.
    Other,
}

impl<T> Parsed<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Event(event) => Parsed::Event(change(event)),
            Self::Cut => Parsed::Cut,
            Self::Other => Parsed::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// What follows each `source::text::` in a file: one path, or what stands in its braces.
    fn imports(text: &str) -> Vec<String> {
        let mut imports = Vec::new();
        for import in text.split("source::text::").skip(1) {
            let mut depth = 0;
            let end = import.find(|letter| {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                depth < 0 || depth == 0 && matches!(letter, '}' | ';' | ',' | ')')
            });
            imports.push(
                import
                    .get(..end.unwrap_or(import.len()))
                    .unwrap()
                    .to_owned(),
            );
        }
        imports
    }

    fn files(directory: &Path, each: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, each);
            } else {
                each(&path, &fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// Mails and JSON are told from logs by how lines begin, so `transport` may look at the envelope.
    #[test]
    fn a_stage_knows_none_behind_it() {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source/text");
        for (stage, behind) in [
            ("transport", &["wrapped", "record", "event"][..]),
            ("wrapped", &["transport", "event"]),
            ("envelope", &["transport", "wrapped", "record", "event"]),
            ("record", &["transport", "wrapped", "event"]),
            ("event", &["transport", "wrapped"]),
        ] {
            let mut seen = 0;
            files(&text.join(stage), &mut |path, content| {
                for import in imports(content) {
                    seen += 1;
                    let knows = |other: &&&str| {
                        let mut words = import.split(|letter: char| !letter.is_alphanumeric());
                        words.any(|word| word == **other)
                    };
                    let other = behind.iter().find(knows);
                    assert_eq!(other, None, "{}: {import}", path.display());
                }
            });
            assert!(seen > 0, "{stage} imports nothing");
        }
    }
}
