//! What the kernel has recorded since its boot, as the beginning of a trace.

use std::{fmt, fs, ops::ControlFlow, path::Path, time::Duration};

use super::usage::UsageError;
use crate::{
    event::{DeviceAddress, Event, Time},
    kernel::now,
    source::{recording::Recording, tracefs::TRACING},
};

/// A device whose address was not recorded has a small number in its place: it can't be told which one of those in the
/// snapshot it is.
const NO_ADDRESS: u64 = 1 << 20;

/// The kernel's own record, of which is read what came before the probes were attached.
pub(super) struct AfterBoot {
    began: Time,
}

/// What was handed on of the kernel's own record.
pub(super) struct HandedOn {
    before: u64,
    meanwhile: u64,
    attaching: Duration,
}

impl fmt::Display for HandedOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the kernel has recorded {} events since boot; {} more, in the {} ms in which the probes were attached, are \
             known only from the snapshot",
            self.before,
            self.meanwhile,
            self.attaching.as_millis()
        )
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(TRACING).join(file)).unwrap_or_default()
}

impl AfterBoot {
    /// The record, if the kernel makes one at this moment that can be read. One that has stopped does not say what was
    /// added since.
    pub(super) fn find() -> Option<Self> {
        let goes_on = read("tracing_on").trim() == "1";
        Self::begin().ok().filter(|_| goes_on)
    }

    /// Checks that there is such a record. Is to be called before the probes are attached.
    pub(super) fn begin() -> Result<Self, UsageError> {
        if !read("set_event").contains("dev:devres_log") {
            return Err(UsageError::new(
                "the kernel has recorded no devres events since its boot: `devres-tracer boot` prints the parameters that \
                 make it",
            ));
        }
        if !read("trace_clock").contains("[mono]") {
            return Err(UsageError::new(
                "the kernel's own record has another clock than the probes: boot with trace_clock=mono, as \
                 `devres-tracer boot` prints it",
            ));
        }
        Ok(Self { began: now() })
    }

    /// Hands on what was recorded before the probes were attached: what happened meanwhile only the snapshot says.
    pub(super) fn hand_on(&self, take: &mut dyn FnMut(&Event)) -> anyhow::Result<HandedOn> {
        let attached = now();
        let mut recording = Recording::open(&Path::new(TRACING).join("trace"))?;
        let (mut before, mut meanwhile) = (0_u64, 0_u64);
        recording.for_each(|event| {
            let is_placed = event.device == DeviceAddress::NONE || event.device.0 >= NO_ADDRESS;
            if event.time <= self.began && is_placed {
                before += 1;
                take(event);
            } else if event.time > self.began && event.time <= attached {
                meanwhile += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok(HandedOn {
            before,
            meanwhile,
            attaching: Duration::from_nanos(attached.since(self.began)),
        })
    }
}
