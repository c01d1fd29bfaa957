//! The cycle in which a device's probe is made to fail at one place after the other.

use std::sync::atomic::Ordering;

use super::{
    Exercise, Exercised,
    fail_probe::{Attempt, FailedProbes},
    injector::Injector,
    machine::Machine,
    rebind::Running,
};
use crate::{check::selection::Place, kernel::now};

impl Exercise {
    /// Gets ready to let probes fail, or notes why that is not possible.
    pub(super) fn get_injector(
        &self,
        machine: &dyn Machine,
        exercised: &mut Exercised,
    ) -> Option<Injector> {
        if self.fail_ways.is_empty() {
            return None;
        }
        let ready = Injector::get_ready(&self.fail_ways, &self.roots, machine);
        let (injector, way) = match ready {
            Ok(injector) => {
                let way = injector.way();
                (Some(injector), Ok(way))
            }
            Err(reason) => (None, Err(reason)),
        };
        exercised.failed_probes = Some(FailedProbes {
            way,
            probes: Vec::new(),
        });
        injector
    }

    /// Lets a device's probe fail at its first allocation or managed acquisition, then at its second, until it has no
    /// more.
    pub(super) fn fail_probes(
        &self,
        running: &Running<'_>,
        injector: &Injector,
        place: &Place,
        exercised: &mut Exercised,
    ) -> Result<(), String> {
        let machine = running.machine;
        for number in 1.. {
            if running.stop.load(Ordering::Relaxed) {
                exercised.stopped = Some("interrupted".to_owned());
                return Ok(());
            }
            if self.is_bound(place) {
                machine.unbind(place)?;
            }
            machine.fail_nth(injector.way(), place, number)?;
            running.clock.begin_attempt(now());
            let ordered = machine.bind(place);
            let outcome = match (machine.outcome(injector.way()), &ordered) {
                (Ok(outcome), _) => outcome,
                (Err(_), Err(error)) => return Err(error.clone()),
                (Err(error), Ok(())) => return Err(error),
            };
            let is_last = outcome.failed.is_none();
            if is_last {
                // A bind that was refused shows nothing of what a probe still has.
                let bound = ordered.and_then(|()| self.wait_for(place, Ok(())));
                bound.map_err(|error| {
                    format!("nothing was made to fail, and still it did: {error}")
                })?;
            }
            let attempt = Attempt {
                device: place.device.clone(),
                number,
                outcome,
                bound: self.is_bound(place),
            };
            if let Some(failed) = &mut exercised.failed_probes {
                failed.probes.push(attempt);
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
