//! `devres-tracer trace`.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior},
};

use super::{
    Exit, child,
    rules::RuleOptions,
    run::Run,
    source_options::{FilterOptions, ProbeOptions},
};
use crate::{
    finding::Severity,
    sink::{LostBy, Sink, SourceInformation, json::JsonSink, text::TextSink},
    source::live::{Kernel, Live},
};

/// Traces this kernel until a command ends, the time is over or Ctrl-C is pressed, and judges what happened
///
/// Everything is attached before the command starts, and everything that it caused is read before the
/// verdict. The command's own output stays its own; use --output to keep the two apart.
#[derive(Debug, Args)]
pub(super) struct Trace {
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    rules: RuleOptions,
    #[command(flatten)]
    probes: ProbeOptions,
    #[command(flatten)]
    output: OutputOptions,
    /// Stop after this time, such as 10s or 2m
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Run the command as this user
    #[arg(long, value_name = "NAME", requires = "command")]
    user: Option<String>,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What is written, and where.
#[derive(Debug, Args)]
pub(super) struct OutputOptions {
    /// Write JSON lines
    #[arg(long)]
    json: bool,
    /// Write no events, only findings and the summary
    #[arg(long, short)]
    quiet: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The lowest severity of findings that count: info, warn or error
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    pub(super) fail_on: Severity,
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| "the severities are info, warn and error".to_owned())
}

impl OutputOptions {
    /// Whether lines for people are written to standard output.
    pub(super) fn is_text(&self) -> bool {
        !self.json && self.output.is_none()
    }

    /// The sink.
    pub(super) fn sink(&self) -> anyhow::Result<Box<dyn Sink>> {
        let writer: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(
                File::create(path)
                    .with_context(|| format!("{} can't be written", path.display()))?,
            ),
            None => Box::new(io::stdout()),
        };
        let writer = BufWriter::with_capacity(1 << 16, writer);
        Ok(if self.json {
            Box::new(JsonSink::new(writer, !self.quiet))
        } else {
            Box::new(TextSink::new(writer, !self.quiet))
        })
    }
}

/// How often the ring buffer is looked into while it is not filling up.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Records that are taken at once before signals and the child are looked at again.
const AT_ONCE: usize = 16 * 1024;

/// Why the tracing ends.
enum End {
    CommandEnded,
    TimeOver,
    Interrupted,
    Unread,
}

impl Trace {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let filter = match self.filter.filter() {
            Ok(filter) => filter,
            Err(error) => {
                eprintln!("devres-tracer: {error}");
                return Ok(Exit::Usage);
            }
        };
        let rules = match self.rules.rules() {
            Ok(rules) => rules,
            Err(error) => {
                eprintln!("devres-tracer: {error}");
                return Ok(Exit::Usage);
            }
        };
        // Before anything takes time: Ctrl-C while starting must not leave the terminal to the command.
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut live = Live::start(&self.probes.options(&filter))?;
        let mut sink = self.output.sink()?;
        let kernel = Kernel::running();
        let information = SourceInformation {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: Some(kernel.release),
            machine: Some(kernel.machine),
            coverage: live.coverage().clone(),
        };
        let mut run = Run::begin(
            &information,
            filter,
            rules,
            self.output.fail_on,
            sink.as_mut(),
        );
        run.flush();
        let mut child = match self.command.as_slice() {
            [] => None,
            command => Some(child::start(command, self.user.as_deref())?),
        };

        let deadline = self.duration.map(|duration| Instant::now() + duration);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                biased;
                // The terminal sends Ctrl-C to the command as well: what it does about it is part of the run.
                Some(()) = interrupted.recv() => if child.is_none() { break End::Interrupted },
                Some(()) = terminated.recv() => break End::Interrupted,
                () = until(deadline) => break End::TimeOver,
                status = ended(&mut child) => { status?; break End::CommandEnded },
                result = live.filling_up() => result?,
                _ = look.tick() => {}
            }
            while live.drain(AT_ONCE, &mut |event| run.event(&event)) == AT_ONCE {
                tokio::task::yield_now().await;
            }
            run.flush();
            if run.is_unread() {
                break End::Unread;
            }
        };
        if let (End::TimeOver | End::Interrupted | End::Unread, Some(child)) = (end, &mut child) {
            stop(child).await;
        }
        live.drain_all(&mut |event| run.event(&event));
        let lost_by = live
            .lost_by_hook()
            .into_iter()
            .map(|(cpu, hook, count)| LostBy {
                cpu,
                hook: hook.symbol(),
                count,
            })
            .collect();
        run.end(lost_by)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn ended(child: &mut Option<Child>) -> io::Result<()> {
    match child {
        Some(child) => child.wait().await.map(drop),
        None => std::future::pending().await,
    }
}

/// Asks the command to end, and ends it if it doesn't.
async fn stop(child: &mut Child) {
    /// How long it has for it.
    const PATIENCE: Duration = Duration::from_secs(2);
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
