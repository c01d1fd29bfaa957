//! The running kernel, by whichever way it is observed.

use std::{io, path::Path, time::Duration};

use tokio::time::{Interval, MissedTickBehavior};

use super::{
    live::{Live, LiveError, Options, Via},
    tracefs::{TRACING, Trace, TracefsError},
};
use crate::{
    boot::SetupOptions,
    event::{Event, Hook, Time},
    evidence::{Coverage, LostBy, SourceInformation},
    kernel::{Kernel, now},
};

/// The running kernel while it is observed.
pub struct Running {
    way: Way,
    /// When it is looked into again while nothing fills up.
    look: Option<Interval>,
    /// See [`drained_until`](Self::drained_until).
    drained_until: Time,
}

/// How it is observed.
enum Way {
    /// By eBPF probes.
    Probes(Box<Live>),
    /// By its own tracing.
    Tracefs(Box<Tracefs>),
}

/// The kernel's own tracing, with what went wrong while it was read.
struct Tracefs {
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

/// How often the buffers are looked into while they are not filling up.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The smallest buffer for a CPU, in bytes.
const LEAST_BUFFER: u64 = 64 << 10;

impl Running {
    /// Begins to observe. From here on nothing is missed.
    pub fn start(options: &Options) -> Result<Self, RunningError> {
        if options.via == Via::Probes {
            return Ok(Self {
                way: Way::Probes(Box::new(Live::start(options)?)),
                look: None,
                drained_until: Time::default(),
            });
        }
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let setup = SetupOptions {
            buffer: (u64::from(options.ring_bytes) / cpus).max(LEAST_BUFFER),
            stacks: options.stacks,
            persistent: None,
            dump: false,
            free_irq: options.optional.contains(&Hook::FreeIrq),
        };
        let trace = Trace::start(Path::new(TRACING), setup)?;
        Ok(Self {
            way: Way::Tracefs(Box::new(Tracefs {
                trace,
                failed: None,
            })),
            look: None,
            drained_until: Time::default(),
        })
    }

    /// What can be seen.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        match &self.way {
            Way::Probes(live) => live.coverage(),
            Way::Tracefs(tracefs) => tracefs.trace.coverage(),
        }
    }

    /// What is said of this source at the beginning of a stream.
    #[must_use]
    pub fn information(&self) -> SourceInformation {
        let kernel = Kernel::running();
        SourceInformation {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: Some(kernel.release),
            machine: Some(kernel.machine),
            coverage: self.coverage().clone(),
            filters: Vec::new(),
        }
    }

    /// Waits until there may be something to be drained: at once where much is, else a few milliseconds. Fails where
    /// nothing can be read any more.
    pub async fn ready(&mut self) -> io::Result<()> {
        let mut look = self.look.take().unwrap_or_else(|| {
            let mut look = tokio::time::interval(LOOK_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        let ready = tokio::select! {
            result = self.filling_up() => result,
            _ = look.tick() => Ok(()),
        };
        self.look = Some(look);
        ready
    }

    /// Waits until there is much to be drained; the kernel's own tracing doesn't say.
    async fn filling_up(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Probes(live) => live.filling_up().await,
            Way::Tracefs(tracefs) => match tracefs.failed.take() {
                Some(error) => Err(io::Error::other(error)),
                None => std::future::pending().await,
            },
        }
    }

    /// Hands on what has happened, in order, about so many records at most. Returns as many where there may be more.
    pub fn drain(&mut self, most: usize, sink: &mut impl FnMut(Event)) -> usize {
        let began = now();
        let drained = match &mut self.way {
            Way::Probes(live) => live.drain(most, sink),
            Way::Tracefs(tracefs) => match tracefs.trace.drain(sink) {
                Ok(true) => most,
                Ok(false) => 0,
                Err(error) => {
                    tracefs.failed = Some(error);
                    0
                }
            },
        };
        if drained < most {
            self.drained_until = began;
        }
        drained
    }

    /// When everything was drained last that had happened: what is quiet was quiet until then. Who asks for the time later may have
    /// been stopped meanwhile, and takes that for quiet.
    #[must_use]
    pub fn drained_until(&self) -> Time {
        self.drained_until
    }

    /// Hands on all that has happened until now. With the kernel's own tracing, nothing is recorded behind that.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event)) -> io::Result<()> {
        match &mut self.way {
            Way::Probes(live) => {
                live.drain_all(sink);
                Ok(())
            }
            Way::Tracefs(tracefs) => tracefs.trace.finish(sink).map_err(io::Error::other),
        }
    }

    /// Hands on what was counted elsewhere until now; it goes on being observed.
    pub fn catch_up(&mut self, sink: &mut impl FnMut(Event)) {
        if let Way::Probes(live) = &mut self.way {
            live.drain_all(sink);
        }
    }

    /// Why functions have no names, if they have none. The kernel's own tracing names them itself.
    pub fn nameless(&mut self) -> Option<String> {
        match &mut self.way {
            Way::Probes(live) => live.nameless(),
            Way::Tracefs(_) => None,
        }
    }

    /// What found no room.
    #[must_use]
    pub fn lost(&self) -> Vec<LostBy> {
        match &self.way {
            Way::Probes(live) => live
                .lost_by_hook()
                .into_iter()
                .map(|(cpu, hook, count)| LostBy {
                    cpu,
                    hook: hook.symbol(),
                    count,
                })
                .collect(),
            Way::Tracefs(tracefs) => tracefs
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
