//! `devres-tracer man` and `devres-tracer completions`: what a package installs beside the program, made from the same
//! definitions as the help.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{
    Arguments, Exit, files::create_public, pager::unless_unread, say::shown, topics::TOPICS,
};

/// The program's name, in paths and as completions call it.
const PROGRAM: &str = "devres-tracer";

/// Writes the manual page to standard output, or all manual pages to a directory
///
/// Once installed: `man devres-tracer`, `man devres-tracer-check`. Without installing: `devres-tracer man | man -l -`.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Write a page for the program and one for each command to this directory
    #[arg(short, long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// Writes a shell completion script to standard output
///
/// For bash: `devres-tracer completions bash > /etc/bash_completion.d/devres-tracer`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Manual {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Some(directory) = self.output else {
            return written(&program_page()?);
        };
        fs::create_dir_all(&directory)
            .with_context(|| format!("{} can't be created", shown(&directory)))?;
        write_page(&directory, PROGRAM, &program_page()?)?;
        let mut program = Arguments::command();
        program.build();
        for command in program.get_subcommands() {
            write_pages_of(&directory, command)?;
        }
        Ok(Exit::Clean)
    }
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        written(script(self.shell).as_bytes())
    }
}

/// A shell's script. `clap_complete` writes the hyphen of the program's name in two ways, so that bash would never reach what
/// is for a subcommand.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    let one_way = PROGRAM.replace('-', "__");
    String::from_utf8_lossy(&script).replace(&PROGRAM.replace('-', "__subcmd__"), &one_way)
}

/// The program's own page, which holds the topics as well.
fn program_page() -> io::Result<Vec<u8>> {
    // The exit codes have a section of their own.
    let page = Man::new(Arguments::command().after_help(""));
    let mut bytes = Vec::new();
    page.render_title(&mut bytes)?;
    page.render_name_section(&mut bytes)?;
    page.render_synopsis_section(&mut bytes)?;
    page.render_description_section(&mut bytes)?;
    page.render_options_section(&mut bytes)?;
    page.render_subcommands_section(&mut bytes)?;
    let mut sections = Roff::new();
    for topic in &TOPICS {
        sections.control("SH", [topic.heading]);
        // The lines of a topic are aligned by hand.
        sections.control("nf", []);
        for line in topic.text.lines() {
            sections.text([roman(line)]);
        }
        sections.control("fi", []);
    }
    sections.to_writer(&mut bytes)?;
    Ok(bytes)
}

fn write_pages_of(directory: &Path, command: &clap::Command) -> anyhow::Result<()> {
    let name = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let mut bytes = Vec::new();
    Man::new(command.clone()).render(&mut bytes)?;
    write_page(directory, &name, &bytes)?;
    for inner in command.get_subcommands() {
        write_pages_of(directory, inner)?;
    }
    Ok(())
}

fn write_page(directory: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = directory.join(format!("{name}.1"));
    create_public(&path)?
        .write_all(bytes)
        .with_context(|| format!("{} can't be written", shown(&path)))
}

/// To standard output.
fn written(bytes: &[u8]) -> anyhow::Result<Exit> {
    unless_unread(io::stdout().lock().write_all(bytes))?;
    Ok(Exit::Clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_reaches_every_subcommand() {
        let script = script(Shell::Bash);
        let commands: Vec<&str> = script
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'))
            .filter(|command| !command.is_empty())
            .collect();
        assert!(commands.len() > 20, "{commands:?}");
        for command in commands {
            let case = format!("        {command})");
            assert!(script.lines().any(|line| line == case), "{command}");
        }
    }
}
