//! The cycle in which a device's probe fails at each of its managed acquisitions in turn.

use std::sync::atomic::Ordering;

use super::{
    Exercise, Exercised,
    fail_probe::{Attempt, FailedProbes, Injector},
    machine::Machine,
    rebind::Running,
};
use crate::{check::selection::Place, kernel::now};

impl Exercise {
    /// Gets ready to let probes fail, or notes why that is not possible. Whether the module was loaded for it.
    pub(super) fn get_injector(&self, machine: &dyn Machine, exercised: &mut Exercised) -> bool {
        let module = Injector::module();
        let mut failed = FailedProbes::default();
        let loads = !module.is_loaded(&self.roots);
        if loads && let Err(error) = machine.load(&module) {
            let name = module.name;
            failed.unable = Some(format!(
                "no acquisition can be made to fail: the module {name} is not loaded, and can't be: {error}"
            ));
        }
        let loaded = loads && failed.unable.is_none();
        exercised.failed_probes = Some(failed);
        loaded
    }

    /// Lets a device's probe fail at its first managed acquisition, then at its second, until it has no more.
    pub(super) fn fail_probes(
        &self,
        running: &Running<'_>,
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
            machine.fail_nth(place, number)?;
            running.clock.begin_attempt(now());
            let ordered = machine.bind(place);
            let outcome = match (machine.outcome(), &ordered) {
                (Ok(outcome), _) => outcome,
                (Err(_), Err(error)) => return Err(error.clone()),
                (Err(error), Ok(())) => return Err(error),
            };
            let is_last = outcome.failed.is_empty();
            if is_last {
                self.wait_for(place, ordered).map_err(|error| {
                    format!("nothing was made to fail, and still it did: {error}")
                })?;
            }
            let attempt = Attempt {
                device: place.device.clone(),
                number,
                outcome,
                bound: self.is_bound(place),
            };
            let failed = exercised.failed_probes.get_or_insert_default();
            failed.probes.push(attempt);
            if is_last {
                break;
            }
        }
        Ok(())
    }
}
