//! The command line.

mod capture;
mod check;
mod child;
mod demo;
mod diff;
mod doctor;
mod exit;
mod explain;
mod export;
mod import;
mod live;
mod moment;
mod pager;
mod policy;
mod progress;
mod reading;
mod record;
mod report;
mod rules;
mod run;
mod source_options;
mod stacks;
mod trace;
mod usage;

use clap::{Parser, Subcommand};

pub use exit::Exit;

/// Traces the Linux kernel's managed device resources (devres): what each device owns, in what order it is
/// given back, and who is to blame when that order is wrong. Without a command it opens the live view.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Shown under the help.
const EXIT_CODES: &str = "\
Exit codes of the commands that judge:
  0  clean: everything was seen, and no finding counts
  1  findings at or above --fail-on
  2  the command line is wrong
  3  inconclusive: nothing found, but not everything could be seen
  4  could not run";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what every device owns while it changes, or at any instant of a recording
    Live(Box<live::Live>),
    /// Tells what of this kernel can be traced, and what can't be and why
    Doctor(doctor::Doctor),
    /// Shows what each device owns right now
    Stacks(stacks::Stacks),
    /// Traces this kernel until a command ends, and judges what happened
    Trace(trace::Trace),
    /// Records this kernel to a trace file, for later
    Record(record::Record),
    /// Writes a recording in a format that other programs read
    Export(export::Export),
    /// Reads a pasted kernel log or trace, and judges what happened
    Import(import::Import),
    /// Judges a run for continuous integration, by a policy, and reports it in the forms that CI reads
    Check(Box<check::Check>),
    /// Writes and validates policies for `check`
    Policy(policy::PolicyCommand),
    /// Shows the life of each device in a recording or log, with what was found
    Report(report::Report),
    /// Shows what differs between two recordings or logs
    Diff(diff::Diff),
    /// Shows the tool at work on a recording of a stock kernel; needs no privilege
    Demo(demo::Demo),
    /// Lists the rules: what each finds, how bad that can be, and what it needs to see
    Rules(rules::Rules),
    /// Explains a rule: what its findings mean, a real case, what to do, and how it can be wrong
    Explain(explain::Explain),
}

impl Arguments {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<Exit> {
        usage::tell(self.run_command().await)
    }

    async fn run_command(self) -> anyhow::Result<Exit> {
        let Some(command) = self.command else {
            return live::without_command()?.run();
        };
        match command {
            Command::Live(live) => live.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Stacks(stacks) => stacks.run(),
            Command::Trace(trace) => trace.run().await,
            Command::Record(record) => record.run().await,
            Command::Export(export) => export.run(),
            Command::Import(import) => import.run(),
            Command::Check(check) => check.run().await,
            Command::Policy(policy) => policy.run(),
            Command::Report(report) => report.run(),
            Command::Diff(diff) => diff.run(),
            Command::Demo(demo) => demo.run(),
            Command::Rules(rules) => rules.run(),
            Command::Explain(explain) => explain.run(),
        }
    }
}
