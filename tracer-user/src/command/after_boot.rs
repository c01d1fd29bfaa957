//! What the kernel has recorded since its boot, as the beginning of a trace.

use std::{fs, ops::ControlFlow, path::Path, time::Duration};

use super::{capture::Receiver, say::plainly, usage::UsageError};
use crate::{
    event::{DeviceAddress, Time},
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

impl AfterBoot {
    /// Checks that there is such a record. Is to be called before the probes are attached.
    pub(super) fn begin() -> Result<Self, UsageError> {
        let read =
            |file: &str| fs::read_to_string(Path::new(TRACING).join(file)).unwrap_or_default();
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

    /// Hands on what was recorded before the probes were attached, and says how long that took: what happened
    /// meanwhile only the snapshot tells.
    pub(super) fn hand_on(&self, receiver: &mut dyn Receiver) -> anyhow::Result<()> {
        let attached = now();
        let mut recording = Recording::open(&Path::new(TRACING).join("trace"))?;
        let (mut before, mut meanwhile) = (0_u64, 0_u64);
        recording.for_each(|event| {
            let is_placed = event.device == DeviceAddress::NONE || event.device.0 >= NO_ADDRESS;
            if event.time <= self.began && is_placed {
                before += 1;
                receiver.event(event);
            } else if event.time > self.began && event.time <= attached {
                meanwhile += 1;
            }
            ControlFlow::Continue(())
        })?;
        plainly(format_args!(
            "the kernel has recorded {before} events since its boot; {meanwhile} more came in the {} ms in which the \
             probes were attached, of which the snapshot tells what was left",
            Duration::from_nanos(attached.since(self.began)).as_millis()
        ));
        Ok(())
    }
}
