//! The command line.

mod after_boot;
mod boot;
mod by_itself;
mod capture;
mod check;
mod child;
mod crash;
mod debug_options;
mod demo;
mod diff;
mod doctor;
mod exercise;
mod exit;
mod explain;
mod export;
mod files;
mod import;
mod judged;
mod known;
mod lab;
mod live;
mod manner;
mod manual;
mod pager;
mod policy;
mod privileges;
mod progress;
mod reading;
mod record;
mod report;
mod rules;
mod runtime;
mod say;
mod schema;
mod source_options;
mod stacks;
mod start_cost;
mod time;
mod topics;
mod trace;
mod usage;

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

pub use exit::Exit;

use crate::escape;

/// Traces devm_* resource lifetimes per device in the Linux kernel, and reports release-order bugs with the call
/// stack. Without a command it opens the live view.
#[derive(Debug, Parser)]
#[command(version = env!("DEVRES_TRACER_VERSION"), max_term_width = 100, after_help = topics::EXIT_CODES, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    manner: manner::Manner,
}

// What the help says of each is what its own options say of themselves: a comment here would take the place of all of
// that.
#[derive(Debug, Subcommand)]
enum Command {
    Live(Box<live::Live>),
    Doctor(doctor::Doctor),
    Stacks(stacks::Stacks),
    Trace(trace::Trace),
    Record(record::Record),
    Export(export::Export),
    Import(import::Import),
    Boot(boot::Boot),
    Crash(crash::CrashCommand),
    Check(Box<check::Check>),
    Policy(policy::PolicyCommand),
    Report(report::Report),
    Diff(diff::Diff),
    Demo(demo::Demo),
    Rules(rules::Rules),
    Known(known::Known),
    Explain(explain::Explain),
    Man(manual::Manual),
    Completions(manual::Completions),
    Schema(schema::SchemaCommand),
    Help(topics::Help),
}

impl Arguments {
    /// The arguments that this process was given; what is wrong with them is reported. Where help is asked for, it is shown,
    /// and the process ends.
    pub fn given() -> Result<Self, Exit> {
        Self::parsed().map_err(|error| {
            let steers = |argument: OsString| argument.to_string_lossy().contains(escape::steers);
            if error.use_stderr() && std::env::args_os().any(steers) {
                // The library would show what it was given as it is.
                say::plainly(error.render().to_string().trim_end());
                return Exit::Usage;
            }
            error.exit()
        })
    }

    fn parsed() -> Result<Self, clap::Error> {
        let arguments = Self::try_parse()?;
        // The command that was meant may have been an empty variable of a script. Without it this might go on for ever.
        if std::env::args_os()
            .next_back()
            .is_some_and(|last| last == "--")
        {
            return Err(
                Self::command().error(ErrorKind::MissingRequiredArgument, "no command after `--`")
            );
        }
        Ok(arguments)
    }

    /// Runs the command, and says what went wrong.
    #[must_use]
    pub fn run(self) -> Exit {
        self.manner.adopt();
        usage::tell(runtime::start().and_then(|runtime| runtime.block_on(self.run_command())))
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
            Command::Boot(boot) => boot.run(),
            Command::Crash(crash) => crash.run(),
            Command::Check(check) => check.run().await,
            Command::Policy(policy) => policy.run(),
            Command::Report(report) => report.run(),
            Command::Diff(diff) => diff.run(),
            Command::Demo(demo) => demo.run(),
            Command::Rules(rules) => rules.run(),
            Command::Known(known) => known.run(),
            Command::Explain(explain) => explain.run(),
            Command::Man(manual) => manual.run(),
            Command::Completions(completions) => completions.run(),
            Command::Schema(schema) => schema.run(),
            Command::Help(help) => help.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_command_is_all_that_its_options_say() {
        let mut program = Arguments::command();
        program.clone().debug_assert();
        program.build();
        for (name, words) in [
            ("live", "Exit code 0 when you quit"),
            ("doctor", "3: with gaps"),
            ("stacks", "read from the kernel's memory without its locks"),
            ("trace", "all events it caused are read before the verdict"),
            ("record", "even if the recorder is killed"),
            ("export", "ui.perfetto.dev"),
            ("import", "perf.data"),
            ("check", "1  something failed"),
            ("report", "Devices that held nothing are only counted"),
            ("diff", "Addresses, times and tasks are ignored"),
            ("demo", "which detaches the device from its PM domain"),
            ("rules", "--live tests which of them can decide"),
        ] {
            let command = program.find_subcommand_mut(name).unwrap();
            let help = command.render_long_help().to_string();
            let help: Vec<&str> = help.split_whitespace().collect();
            let help = help.join(" ");
            let words: Vec<&str> = words.split_whitespace().collect();
            assert!(help.contains(&words.join(" ")), "{name}: {help}");
        }
    }
}
