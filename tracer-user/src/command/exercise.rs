//! Unbinding and binding again while the running kernel is traced.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    capture::{Capture, CaptureOptions, Receiver},
    usage::UsageError,
};
use crate::check::{
    CycleClock,
    exercise::{Exercise, ExerciseError, Exercised, FailWay, Roots},
};

/// What is bound again before anything is judged by who added it.
#[derive(Debug, Default, clap::Args)]
pub(super) struct RebindOptions {
    /// Unbind and bind again a driver's devices (DRIVER or BUS/DRIVER) or one device, so that it is seen who adds what
    /// they hold. Without a command and --for, do so twice: the second unbind knows all that it releases
    #[arg(long, value_name = "DRIVER|DEVICE", help_heading = "Exercise")]
    pub(super) rebind: Option<String>,
}

impl RebindOptions {
    /// Finds what is to be bound again, before anything is attached.
    pub(super) fn exercise(&self, force: bool) -> Result<Option<Exercise>, ExerciseError> {
        let exercise = |name| Exercise::of_devices(Roots::default(), name, force);
        self.rebind.as_deref().map(exercise).transpose()
    }

    /// How many times it is bound again.
    pub(super) fn cycles(capture: &CaptureOptions) -> u64 {
        if capture.is_endless() { 2 } else { 1 }
    }
}

/// What else is done to a device that is exercised.
#[derive(Debug, Default, clap::Args)]
pub(super) struct BesidesOptions {
    /// Hold this file of the device open across each unbind, then use and close it: a device node or an attribute in sysfs;
    /// can be repeated
    #[arg(
        long,
        value_name = "PATH",
        requires = "exercise",
        conflicts_with_all = ["command", "duration"],
        help_heading = "Exercise"
    )]
    hold: Vec<PathBuf>,
    /// After one rebind, let the probe fail at one place after the other, and judge how it unwinds: by the kernel's fault
    /// injection, by eBPF, or by the module `devres_fail`; WAY names one, and can be repeated
    #[arg(
        long,
        value_name = "WAY",
        num_args = 0..=1,
        require_equals = true,
        requires = "exercise",
        conflicts_with_all = ["command", "duration", "hold", "cycles"],
        help_heading = "Exercise"
    )]
    fail_probe: Option<Vec<FailWay>>,
}

impl BesidesOptions {
    /// The exercise with that.
    pub(super) fn added_to(&self, exercise: Exercise) -> Exercise {
        match self.fail_probe.as_deref() {
            Some([]) => exercise.failing_probes(FailWay::ALL.to_vec()),
            Some(ways) => exercise.failing_probes(ways.to_vec()),
            None => exercise.holding(self.hold.clone()),
        }
    }

    /// How many cycles there are, if that is given by it: one as ever, to compare with, and the one in which probes fail.
    pub(super) fn cycles(&self) -> Option<u64> {
        self.fail_probe.as_ref().map(|_| 2)
    }
}

/// What is wrong with an exercise, for a command: a name that nothing has is a mistake of whoever typed it.
pub(super) fn refusal(error: ExerciseError) -> anyhow::Error {
    match error {
        ExerciseError::NoTarget(_) | ExerciseError::Ambiguous { .. } => {
            UsageError::new(error).into()
        }
        other => other.into(),
    }
}

/// Does the exercise on a thread of its own while what happens is taken in. Whoever asks this process to
/// end has it end after the cycle that is running.
pub(super) async fn run_cycles(
    capture: &mut Capture,
    receiver: &mut dyn Receiver,
    exercise: Exercise,
    cycles: u64,
    clock: CycleClock,
) -> anyhow::Result<Exercised> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let (done, work) = tokio::sync::oneshot::channel();
    let worker = std::thread::Builder::new()
        .spawn(move || {
            // Whoever waits for it has gone only where the capture has failed.
            let _ = done.send(exercise.run(cycles, &stop, &clock));
        })
        .map_err(|error| {
            let why = "a thread can't be started; raise the limits (ulimit -u for processes, -v for memory)";
            anyhow::Error::new(error).context(why)
        })?;
    let exercised = capture
        .during(work, || asked.store(true, Ordering::Relaxed), receiver)
        .await;
    // If the capture has failed, the exercise still runs, and this process waits for its end.
    asked.store(true, Ordering::Relaxed);
    // The channel carries the result, and shows as well that it has died.
    let _ = worker.join();
    exercised?.map_err(|error| anyhow::Error::new(error).context("the exercise failed"))
}
