//! `devres-tracer help`: a command's help, or a topic that concerns several commands. The manual pages have the same texts.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};

use super::{Arguments, Exit, pager::unless_unread, usage::UsageError};

/// A text that concerns several commands.
pub(super) struct Topic {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// The section of the manual page that holds it.
    pub(super) heading: &'static str,
    /// What it says.
    pub(super) text: &'static str,
}

/// The exit codes of the commands that judge; they stand under the program's help as well.
pub(super) const EXIT_CODES: &str = "\
Exit codes of the commands that judge:
  0  clean: everything was seen, and no finding counts
  1  findings at or above --fail-on
  2  the command line is wrong
  3  inconclusive: no finding counts, but not everything was seen
  4  could not run";

/// All topics.
pub(super) const TOPICS: [Topic; 3] = [
    Topic {
        name: "exit-codes",
        heading: "EXIT STATUS",
        text: EXIT_CODES,
    },
    Topic {
        name: "filters",
        heading: "FILTERS",
        text: "\
--device, --driver and --bus choose what is traced and judged. Each takes a glob and can be repeated.
A device is chosen if it matches one glob of each option given:
  --device 0000:00:04.0     one device, by its name in sysfs
  --device '0-00??'         every device of I2C bus 0
  --driver 'pvpanic*'       every device while it is bound to such a driver
  --bus platform            every device of the bus; of the class, where a device has no bus
Globs: * any text, ? one character, [a-f] one of a set, {a,b} either.

A filter also hides evidence: what other devices do to a chosen one is judged as far as it was seen. If no
device matches, the verdict is inconclusive.",
    },
    Topic {
        name: "files",
        heading: "FILES",
        text: "\
Accepted input, recognized by content, not by name:
  trace files (.dvrt)       written by record, trace --record, import -o and export --format dvrt
  JSON lines                written by trace --json and export --format json
  text                      a kernel log with DEVRES lines or splats, or a trace of devres_log with or
                            without function events; prefixes of consoles, journals, mail and CI are
                            removed
Compressed with gzip, xz, bzip2 or zstd, too. The file name - is standard input.

Tables of a lab (export --format parquet), for DuckDB and Spark: TABLE/kernel=RELEASE/machine=NAME/HASH.parquet
with the tables recordings, bindings, resources, findings and events. A recording replaces itself.

System files that are read:
  /sys/kernel/btf/vmlinux   the layout of the running kernel's structures
  /sys/kernel/tracing       tracepoints and their state
  /proc/kallsyms            names of kernel functions

What root's first trace after a boot finds in the kernel's types is kept for the next ones:
  /run/devres-tracer/kernel-types.json",
    },
];

/// Shows help on a command or a topic: exit-codes, filters, files
#[derive(Debug, Args)]
pub(super) struct Help {
    /// A command or a topic [default: the program's own help]
    #[arg(value_name = "COMMAND|TOPIC")]
    subject: Vec<String>,
}

impl Help {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut program = Arguments::command();
        program.build();
        let text = if let [name] = self.subject.as_slice()
            && let Some(topic) = TOPICS.iter().find(|topic| topic.name == name)
        {
            format!("{}\n", topic.text)
        } else {
            let mut command = &mut program;
            for name in &self.subject {
                let Some(found) = command.find_subcommand_mut(name) else {
                    let topics: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
                    let problem = format!(
                        "no command or topic is called {name:?}; the topics are {}",
                        topics.join(", ")
                    );
                    return Err(UsageError::new(problem).into());
                };
                command = found;
            }
            command.render_long_help().to_string()
        };
        unless_unread(io::stdout().lock().write_all(text.as_bytes()))?;
        Ok(Exit::Clean)
    }
}
