//! The running kernel, by whichever way it is observed.

use std::{io, path::Path};

use super::{
    live::{Live, LiveError, Options, Via},
    tracefs::{TRACING, Trace, TracefsError},
};
use crate::{
    boot::Wishes,
    event::Event,
    evidence::{Coverage, LostBy},
};

/// The running kernel while it is observed.
pub enum Running {
    /// By eBPF probes.
    Probes(Box<Live>),
    /// By its own tracing.
    Tracefs(Box<Tracefs>),
}

/// The kernel's own tracing, with what went wrong while it was read.
pub struct Tracefs {
    trace: Trace,
    failed: Option<TracefsError>,
}

/// Why the running kernel can't be observed.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// Not by probes.
    #[error(transparent)]
    Probes(#[from] LiveError),
    /// Not by its own tracing.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
}

/// The smallest buffer for a CPU, in bytes.
const LEAST_BUFFER: u64 = 64 << 10;

impl Running {
    /// Begins to observe. From here on nothing is missed.
    pub fn start(options: &Options) -> Result<Self, RunningError> {
        if options.via == Via::Probes {
            return Ok(Self::Probes(Box::new(Live::start(options)?)));
        }
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let wishes = Wishes {
            buffer: (u64::from(options.ring_bytes) / cpus).max(LEAST_BUFFER),
            stacks: options.stacks,
            persistent: None,
            dump: false,
        };
        let trace = Trace::start(Path::new(TRACING), wishes)?;
        Ok(Self::Tracefs(Box::new(Tracefs {
            trace,
            failed: None,
        })))
    }

    /// What can be seen.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        match self {
            Self::Probes(live) => live.coverage(),
            Self::Tracefs(tracefs) => tracefs.trace.coverage(),
        }
    }

    /// Waits until there is much to be drained; the kernel's own tracing doesn't tell. Fails where nothing can be read
    /// any more.
    pub async fn filling_up(&mut self) -> io::Result<()> {
        match self {
            Self::Probes(live) => live.filling_up().await,
            Self::Tracefs(tracefs) => match tracefs.failed.take() {
                Some(error) => Err(io::Error::other(error)),
                None => std::future::pending().await,
            },
        }
    }

    /// Hands on what has happened, in order, about so many records at most. Returns as many where there may be more.
    pub fn drain(&mut self, most: usize, sink: &mut impl FnMut(Event)) -> usize {
        match self {
            Self::Probes(live) => live.drain(most, sink),
            Self::Tracefs(tracefs) => match tracefs.trace.drain(sink) {
                Ok(true) => most,
                Ok(false) => 0,
                Err(error) => {
                    tracefs.failed = Some(error);
                    0
                }
            },
        }
    }

    /// Hands on all that has happened until now. With the kernel's own tracing, nothing is recorded behind that.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event)) -> io::Result<()> {
        match self {
            Self::Probes(live) => {
                live.drain_all(sink);
                Ok(())
            }
            Self::Tracefs(tracefs) => tracefs.trace.finish(sink).map_err(io::Error::other),
        }
    }

    /// Hands on what was counted elsewhere until now; it goes on being observed.
    pub fn catch_up(&mut self, sink: &mut impl FnMut(Event)) {
        if let Self::Probes(live) = self {
            live.drain_all(sink);
        }
    }

    /// What found no room.
    #[must_use]
    pub fn lost(&self) -> Vec<LostBy> {
        match self {
            Self::Probes(live) => live
                .lost_by_hook()
                .into_iter()
                .map(|(cpu, hook, count)| LostBy {
                    cpu,
                    hook: hook.symbol(),
                    count,
                })
                .collect(),
            Self::Tracefs(tracefs) => tracefs
                .trace
                .lost()
                .into_iter()
                .map(|(cpu, count)| LostBy {
                    cpu,
                    hook: "any event",
                    count,
                })
                .collect(),
        }
    }
}
