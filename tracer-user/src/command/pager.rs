//! Long texts go through the pager where a person looks at them.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal as _, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use clap::Args;
use crossterm::terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether the pager is used.
#[derive(Debug, Args)]
pub(super) struct PagerOptions {
    /// Don't use a pager ($PAGER)
    #[arg(long)]
    no_pager: bool,
}

/// Standard output, or the pager in front of it.
pub(super) enum Output {
    Plain(io::StdoutLock<'static>),
    Paged(Paged),
}

/// A pager that runs.
pub(super) struct Paged {
    child: Child,
    input: Option<ChildStdin>,
    /// Ctrl-C is for the pager, as long as it runs.
    _interrupts: Option<Signal>,
}

impl PagerOptions {
    /// Where to write. A pager runs only if standard output is a terminal.
    pub(super) fn open(&self) -> Output {
        let terminal = io::stdout().is_terminal();
        if !self.no_pager
            && terminal
            && let Some(paged) = start()
        {
            return Output::Paged(paged);
        }
        Output::Plain(io::stdout().lock())
    }
}

/// Whether colours are wanted on standard output: as `--color` says; else on a terminal, unless `NO_COLOR` is set.
pub(super) fn colours() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// How wide lines may be on standard output: as wide as the terminal, or as in a file where it is none.
pub(super) fn width() -> usize {
    /// In a file.
    const USUAL: usize = 100;
    /// Narrower than this nothing can be read.
    const LEAST: usize = 40;
    if !io::stdout().is_terminal() {
        return USUAL;
    }
    let told = || env::var("COLUMNS").ok()?.trim().parse().ok();
    match terminal::size() {
        Ok((columns, _)) if columns > 0 => usize::from(columns).max(LEAST),
        _ => told().unwrap_or(80).max(LEAST),
    }
}

fn start() -> Option<Paged> {
    let pager = env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    if pager.is_empty() || pager == "cat" || !exists(&pager) {
        return None;
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    // What fits on the screen is left there, colours come through, and the screen is not cleared.
    if env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    let mut child = command.spawn().ok()?;
    let input = child.stdin.take();
    Some(Paged {
        child,
        input,
        _interrupts: signal(SignalKind::interrupt()).ok(),
    })
}

/// Whether the shell would find the program, so that nothing is written to one that isn't there. What is more
/// than a program and its options is left to the shell.
fn exists(pager: &str) -> bool {
    let program = pager.split_whitespace().next().unwrap_or_default();
    if program.contains(['=', '$', '\'', '"', '\\', '/']) {
        return true;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stdout) => stdout.write(bytes),
            Self::Paged(paged) => match &mut paged.input {
                Some(input) => input.write(bytes),
                None => Ok(bytes.len()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stdout) => stdout.flush(),
            Self::Paged(paged) => paged.input.as_mut().map_or(Ok(()), Write::flush),
        }
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        // At the end of its input the pager may end; until its user has seen enough, it is waited for.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What came of writing: a reader that has gone away is no error.
pub(super) fn unless_unread(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("the output can't be written"))
        }
        _ => Ok(()),
    }
}
