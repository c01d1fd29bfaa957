//! The running kernel, traced until something ends it: the same for every command that traces.

use std::{ffi::OsString, io, ops::ControlFlow, pin::pin, process::ExitStatus, time::Duration};

use clap::Args;
use nix::{
    sys::signal::{SIGTERM, kill},
    unistd::Pid,
};
use tokio::{
    process::Child,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior},
};

use super::{child, run::Run};
use crate::{
    event::Event,
    sink::{LostBy, SourceInformation},
    source::live::{Kernel, Live, Options},
};

/// What is run while tracing, and how long the tracing takes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CaptureOptions {
    /// Stop after this time, such as 10s or 2m
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Run the command as this user
    #[arg(long, value_name = "NAME", requires = "command")]
    pub(super) user: Option<String>,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Takes what a capture yields.
pub(super) trait Receiver {
    /// Takes one event.
    fn event(&mut self, event: &Event);
    /// Nothing more has happened for now: what was taken may be shown. Breaking ends the capture, because
    /// nobody wants more.
    fn pause(&mut self) -> ControlFlow<()>;
}

impl Receiver for Run<'_> {
    fn event(&mut self, event: &Event) {
        Run::event(self, event);
    }

    fn pause(&mut self) -> ControlFlow<()> {
        self.flush();
        if self.is_unread() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The running kernel while it is traced.
pub(super) struct Capture {
    live: Live,
    interrupted: Signal,
    terminated: Signal,
}

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The command ended by itself.
    CommandEnded,
    /// The time was over.
    TimeOver,
    /// This process was asked to end: by Ctrl-C, where there is no command, or by SIGTERM.
    Interrupted,
    /// The receiver wanted no more.
    Refused,
}

/// How this process is asked to end.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// How a capture ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Captured {
    /// Why.
    pub(super) ending: Ending,
    /// How the command ended; `None` where there was none, or it could not be ended.
    pub(super) status: Option<ExitStatus>,
}

/// How often the ring buffer is looked into while it is not filling up.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Records that are taken at once before signals and the child are looked at again.
const AT_ONCE: usize = 16 * 1024;

impl Capture {
    /// Attaches the probes and takes the snapshot. From here on nothing is missed.
    pub(super) fn start(options: &Options) -> anyhow::Result<Self> {
        // Before anything takes time: Ctrl-C while starting must not leave the terminal to the command.
        let interrupted = signal(SignalKind::interrupt())?;
        let terminated = signal(SignalKind::terminate())?;
        Ok(Self {
            live: Live::start(options)?,
            interrupted,
            terminated,
        })
    }

    /// What is said of this source at the beginning of a stream.
    pub(super) fn information(&self) -> SourceInformation {
        let kernel = Kernel::running();
        SourceInformation {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: Some(kernel.release),
            machine: Some(kernel.machine),
            coverage: self.live.coverage().clone(),
        }
    }

    /// Starts the command, if there is one, and hands on what happens until it ends, the time is over or
    /// somebody asks to end. A command that is still running then is ended. Can be called again, for
    /// another command; [`finish`](Self::finish) comes last.
    pub(super) async fn run(
        &mut self,
        options: &CaptureOptions,
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<Captured> {
        let mut child = match options.command.as_slice() {
            [] => None,
            command => Some(child::start(command, options.user.as_deref())?),
        };
        let has_command = child.is_some();
        // The terminal sends Ctrl-C to the command as well: what it does about it is part of the run.
        let mut heed = |asked| match asked {
            Asked::Interrupt if has_command => ControlFlow::Continue(()),
            Asked::Interrupt | Asked::Terminate => ControlFlow::Break(()),
        };
        let work = ended(&mut child);
        let (ending, mut status) = match self
            .hand_on(work, options.duration, &mut heed, receiver)
            .await?
        {
            Ok(status) => (Ending::CommandEnded, Some(status?)),
            Err(ending) => (ending, None),
        };
        if let (None, Some(child)) = (status, &mut child) {
            status = stop(child).await;
        }
        Ok(Captured { ending, status })
    }

    /// Hands on what happens while `work` goes on, to its end. Whoever asks this process to end is only
    /// told to `asked`, which is to see to it that the work ends.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut asked: impl FnMut(),
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<T> {
        let mut heed = |_| {
            asked();
            ControlFlow::Continue(())
        };
        let mut work = pin!(work);
        loop {
            let done = self.hand_on(&mut work, None, &mut heed, receiver).await?;
            // The work has begun and must come to its end, whoever wants no more.
            if let Ok(done) = done {
                return Ok(done);
            }
        }
    }

    /// Hands on what happens until the work is done, or something else ends it.
    async fn hand_on<T>(
        &mut self,
        work: impl Future<Output = T>,
        duration: Option<Duration>,
        heed: &mut dyn FnMut(Asked) -> ControlFlow<()>,
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<Result<T, Ending>> {
        let mut work = pin!(work);
        let deadline = duration.map(|duration| Instant::now() + duration);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(()) = self.interrupted.recv() => if heed(Asked::Interrupt).is_break() {
                    return Ok(Err(Ending::Interrupted));
                },
                Some(()) = self.terminated.recv() => if heed(Asked::Terminate).is_break() {
                    return Ok(Err(Ending::Interrupted));
                },
                () = until(deadline) => return Ok(Err(Ending::TimeOver)),
                done = &mut work => return Ok(Ok(done)),
                result = self.live.filling_up() => result?,
                _ = look.tick() => {}
            }
            while self
                .live
                .drain(AT_ONCE, &mut |event| receiver.event(&event))
                == AT_ONCE
            {
                tokio::task::yield_now().await;
            }
            if receiver.pause().is_break() {
                return Ok(Err(Ending::Refused));
            }
        }
    }

    /// Hands on what has happened until now and was not told yet. Yields what found no room in the ring
    /// buffer.
    pub(super) fn finish(mut self, receiver: &mut dyn Receiver) -> Vec<LostBy> {
        self.live.drain_all(&mut |event| receiver.event(&event));
        self.live
            .lost_by_hook()
            .into_iter()
            .map(|(cpu, hook, count)| LostBy {
                cpu,
                hook: hook.symbol(),
                count,
            })
            .collect()
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn ended(child: &mut Option<Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Asks the command to end, and ends it if it doesn't.
async fn stop(child: &mut Child) -> Option<ExitStatus> {
    /// How long it has for it.
    const PATIENCE: Duration = Duration::from_secs(2);
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), SIGTERM);
    }
    if let Ok(status) = tokio::time::timeout(PATIENCE, child.wait()).await {
        return status.ok();
    }
    let _ = child.kill().await;
    child.try_wait().ok().flatten()
}
