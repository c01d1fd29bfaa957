//! The running kernel, traced until something ends it: the same for every command that traces.

use std::{
    ffi::OsString,
    fs,
    io::{self, IsTerminal as _},
    ops::ControlFlow,
    pin::pin,
    process::ExitStatus,
    time::Duration,
};

use clap::Args;
use nix::{
    sys::signal::{SIGTERM, kill},
    unistd::Pid,
};
use tokio::{
    process::Child,
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use super::{
    child, privileges,
    say::{detail, remark, say},
    usage::UsageError,
};
use crate::{
    duration,
    engine::Observer,
    event::{DeviceAddress, Event, EventKind, Loss, LossCause, Task, Time},
    evidence::{HookState, LostBy, SourceInformation},
    run::Run,
    source::{live::Options, running::Running},
};

/// What is run while tracing, and how long the tracing takes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CaptureOptions {
    /// Stop after this time, such as 10s or 2m; without a unit, seconds
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse_with_seconds, allow_hyphen_values = true)]
    pub(super) duration: Option<Duration>,
    /// Run the command as this user
    #[arg(long, value_name = "NAME", requires = "command")]
    pub(super) user: Option<String>,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

impl CaptureOptions {
    /// What is wrong with the command, as far as can be known before it is run and anything is written.
    pub(super) fn verify(&self) -> Result<(), UsageError> {
        match self.command.first() {
            Some(program) => child::verify(program, self.user.as_deref()),
            None => Ok(()),
        }
    }

    /// Whether nothing but a signal will end this.
    pub(super) fn is_endless(&self) -> bool {
        self.command.is_empty() && self.duration.is_none()
    }

    /// Says how this ends, where somebody is looking on who has to end it.
    pub(super) fn tell_how_to_end(&self) {
        if self.is_endless() && io::stderr().is_terminal() {
            remark("tracing; press Ctrl-C to stop");
        }
    }
}

/// Takes what a capture yields.
pub(super) trait Receiver {
    /// Takes one event.
    fn event(&mut self, event: &Event);
    /// What was there before has been taken; what comes now happens.
    fn snapshot_taken(&mut self) -> anyhow::Result<()>;
    /// Nothing more has happened until this time: what was taken may be shown. Breaking ends the capture, because
    /// nobody wants more.
    fn pause(&mut self, until: Time) -> ControlFlow<()>;
}

impl<O: Observer> Receiver for Run<'_, O> {
    fn event(&mut self, event: &Event) {
        Run::event(self, event);
    }

    fn snapshot_taken(&mut self) -> anyhow::Result<()> {
        say_if_missing(self.wanted().missing());
        Ok(())
    }

    fn pause(&mut self, until: Time) -> ControlFlow<()> {
        self.pass(until);
        self.flush();
        if self.is_unread() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Says at the start that no device matches: it may be a slip of the pen, or the device may come.
pub(super) fn say_if_missing(missing: Option<String>) {
    if let Some(missing) = missing {
        remark(format_args!(
            "{missing} now; tracing continues, one may appear"
        ));
    }
}

/// The running kernel while it is traced.
pub(super) struct Capture {
    kernel: Running,
    /// What was there before was handed on.
    begun: bool,
    /// No other command is started.
    is_last: bool,
    interrupted: Signal,
    terminated: Signal,
    /// `None` where this process was started to live on when its terminal is gone.
    hung_up: Option<Signal>,
}

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The command ended by itself.
    CommandEnded,
    /// The time was over.
    TimeOver,
    /// This process was asked to end: by Ctrl-C, where there is no command, by SIGTERM, or because its
    /// terminal is gone.
    Interrupted,
    /// The receiver wanted no more.
    Refused,
}

/// How this process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

/// How a capture ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Captured {
    /// Why.
    pub(super) reason: StopReason,
    /// How the command ended; `None` where there was none, or it could not be ended.
    pub(super) status: Option<ExitStatus>,
    /// How this process was asked to end while it ran, if it was, whatever came of that.
    pub(super) asked: Option<Asked>,
}

impl Captured {
    /// How the command ended, if it did so by itself.
    pub(super) fn status_of_its_own(&self) -> Option<ExitStatus> {
        self.status
            .filter(|_| self.reason == StopReason::CommandEnded)
    }
}

/// Records that are taken at once before signals and the child are looked at again.
const AT_ONCE: usize = 16 * 1024;

impl Capture {
    /// Attaches the probes and takes the snapshot. From here on nothing is missed.
    pub(super) fn start(options: &Options) -> anyhow::Result<Self> {
        // Before anything takes time: Ctrl-C while starting must not leave the terminal to the command.
        let interrupted = signal(SignalKind::interrupt())?;
        let terminated = signal(SignalKind::terminate())?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hung_up = if ignores_hang_up(&status) {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        let began = std::time::Instant::now();
        let kernel = Running::start(options)?;
        let attached = kernel.coverage().hooks.iter();
        let attached = attached.filter(|entry| matches!(entry.state, HookState::Attached(_)));
        detail(format_args!(
            "{} hooks attached in {} ms",
            attached.count(),
            began.elapsed().as_millis()
        ));
        Ok(Self {
            kernel,
            begun: false,
            is_last: false,
            interrupted,
            terminated,
            hung_up,
        })
    }

    /// What is said of this source at the beginning of a stream.
    pub(super) fn information(&self) -> SourceInformation {
        self.kernel.information()
    }

    /// Like [`run`](Self::run), of which this is the last: once the command has been started, this process drops the
    /// privileges that the rest doesn't need.
    pub(super) async fn run_last(
        &mut self,
        options: &CaptureOptions,
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<Captured> {
        self.is_last = true;
        self.run(options, receiver).await
    }

    /// Starts the command, if there is one, and hands on what happens until it ends, the time is over or
    /// somebody asks to end. A command that is still running then is ended. Can be called again, for
    /// another command; [`finish`](Self::finish) comes last.
    pub(super) async fn run(
        &mut self,
        options: &CaptureOptions,
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<Captured> {
        self.hand_on_snapshot(receiver)?;
        options.tell_how_to_end();
        let mut child = match options.command.as_slice() {
            [] => None,
            command => Some(child::start(command, options.user.as_deref())?),
        };
        if self.is_last {
            privileges::keep_for_tracing();
        }
        let has_command = child.is_some();
        // The terminal sends Ctrl-C to the command as well: what it does about it is part of the run.
        let mut asked = None;
        let mut on_request = |how| {
            asked = Some(how);
            match how {
                Asked::Interrupt if has_command => ControlFlow::Continue(()),
                Asked::Interrupt | Asked::Terminate | Asked::HangUp => ControlFlow::Break(()),
            }
        };
        let work = ended(&mut child);
        let (reason, mut status) = match self
            .hand_on(work, options.duration, &mut on_request, receiver)
            .await?
        {
            Ok(status) => (StopReason::CommandEnded, Some(status?)),
            Err(reason) => (reason, None),
        };
        if let (None, Some(child)) = (status, &mut child) {
            status = stop(child).await;
        }
        Ok(Captured {
            reason,
            status,
            asked,
        })
    }

    /// Hands on what happens while `work` goes on, to its end. Whoever asks this process to end is only
    /// told to `asked`, which is to see to it that the work ends.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut asked: impl FnMut(),
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<T> {
        self.hand_on_snapshot(receiver)?;
        let mut on_request = |_| {
            asked();
            ControlFlow::Continue(())
        };
        let mut work = pin!(work);
        loop {
            let done = self
                .hand_on(&mut work, None, &mut on_request, receiver)
                .await?;
            // The work has begun and must come to its end, whoever wants no more.
            if let Ok(done) = done {
                return Ok(done);
            }
        }
    }

    /// Hands on what was there before, once.
    fn hand_on_snapshot(&mut self, receiver: &mut dyn Receiver) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        self.kernel.drain(0, &mut |event| receiver.event(&event));
        receiver.snapshot_taken()
    }

    /// Hands on what happens until the work is done, or something else ends it.
    async fn hand_on<T>(
        &mut self,
        work: impl Future<Output = T>,
        duration: Option<Duration>,
        on_request: &mut dyn FnMut(Asked) -> ControlFlow<()>,
        receiver: &mut dyn Receiver,
    ) -> anyhow::Result<Result<T, StopReason>> {
        let mut work = pin!(work);
        // What is too far away to be a time never comes.
        let deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
        loop {
            tokio::select! {
                biased;
                Some(()) = self.interrupted.recv() => if on_request(Asked::Interrupt).is_break() {
                    return Ok(Err(StopReason::Interrupted));
                },
                Some(()) = self.terminated.recv() => if on_request(Asked::Terminate).is_break() {
                    return Ok(Err(StopReason::Interrupted));
                },
                () = received(&mut self.hung_up) => if on_request(Asked::HangUp).is_break() {
                    return Ok(Err(StopReason::Interrupted));
                },
                () = until(deadline) => return Ok(Err(StopReason::TimeOver)),
                done = &mut work => return Ok(Ok(done)),
                result = self.kernel.ready() => result?,
            }
            self.catch_up(receiver).await;
            if receiver.pause(self.kernel.drained_until()).is_break() {
                return Ok(Err(StopReason::Refused));
            }
        }
    }

    /// Hands on what has happened until now.
    pub(super) async fn catch_up(&mut self, receiver: &mut dyn Receiver) {
        while self
            .kernel
            .drain(AT_ONCE, &mut |event| receiver.event(&event))
            == AT_ONCE
        {
            tokio::task::yield_now().await;
        }
    }

    /// Hands on what has happened until now and was not handed on yet. Yields what found no room in the ring
    /// buffer.
    pub(super) fn finish(mut self, receiver: &mut dyn Receiver) -> Vec<LostBy> {
        if let Err(error) = self.kernel.finish(&mut |event| receiver.event(&event)) {
            // What was read still counts; that something may be missing must be known behind it.
            say(format_args!("the rest of the trace is lost: {error}"));
            receiver.event(&rest_lost());
        }
        if let Some(reason) = self.kernel.nameless() {
            say(format_args!("functions have no names: {reason}"));
        }
        self.kernel.lost()
    }
}

/// That what was recorded last could not be read.
fn rest_lost() -> Event {
    Event {
        time: Time::default(),
        task: Task::default(),
        cpu: 0,
        device: DeviceAddress::NONE,
        stack: None,
        kind: EventKind::Loss(Loss {
            count: 1,
            cause: LossCause::Input,
        }),
    }
}

/// Whether SIGHUP is ignored, as `nohup` has it, by what `/proc/self/status` says.
fn ignores_hang_up(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 != 0)
}

async fn received(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_to_outlive_the_terminal_does() {
        let status = |mask| format!("Name:\ttrace\nSigBlk:\t0001\nSigIgn:\t{mask}\n");
        assert!(ignores_hang_up(&status("0000000000001001")));
        assert!(!ignores_hang_up(&status("0000000000001000")));
        assert!(!ignores_hang_up(""));
    }
}
