//! What is exercised, and when each cycle began.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{check::selection::Place, event::Time};

/// When each cycle started, by the clock of the events, and each probe that something was to fail in. Whoever makes
/// them reports it; what looks at the events, which come later, asks it.
#[derive(Debug, Clone, Default)]
pub struct CycleClock {
    cycles: Starts,
    attempts: Starts,
}

#[derive(Debug, Clone, Default)]
struct Starts(Arc<Mutex<Vec<Time>>>);

impl CycleClock {
    /// The next cycle begins now.
    pub fn begin(&self, now: Time) {
        self.cycles.begin(now);
    }

    /// The next probe in which something is to fail begins now.
    pub fn begin_attempt(&self, now: Time) {
        self.attempts.begin(now);
    }

    /// The cycle, from 1 on, to which this time belongs; zero for what came before the first.
    #[must_use]
    pub fn cycle_at(&self, time: Time) -> usize {
        self.cycles.at(time)
    }

    /// The same of the probes in which something was to fail.
    #[must_use]
    pub fn attempt_at(&self, time: Time) -> usize {
        self.attempts.at(time)
    }
}

impl Starts {
    fn begin(&self, now: Time) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(now);
    }

    fn at(&self, time: Time) -> usize {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.partition_point(|start| *start <= time)
    }
}

/// Whose bindings the cycles are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Devices, each with its bus and the driver that it is unbound from.
    Devices(Vec<Place>),
    /// All devices that a module brings.
    Module {
        /// Its drivers, each with its bus: all their devices are wanted.
        drivers: Vec<(String, String)>,
        /// Devices of other drivers that come and go with it.
        along: Vec<Place>,
    },
}

impl Wanted {
    pub(in crate::check) fn wants(&self, place: &Place) -> bool {
        match self {
            Self::Devices(places) => places.contains(place),
            Self::Module { drivers, along } => {
                drivers
                    .iter()
                    .any(|(bus, driver)| *bus == place.bus && *driver == place.driver)
                    || along.iter().any(|one| one.is_like(place))
            }
        }
    }

    pub(in crate::check) fn describe(&self) -> String {
        let device = |place: &Place| format!("{}/{}", place.bus, place.device);
        let words: Vec<String> = match self {
            Self::Devices(places) => places.iter().map(device).collect(),
            Self::Module { drivers, along } => drivers
                .iter()
                .map(|(bus, driver)| format!("the devices of {bus}/{driver}"))
                .chain(along.iter().map(device))
                .collect(),
        };
        words.join(", ")
    }
}
