//! Every device that has a driver: which can be unbound safely, and why the others are left out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    ExerciseError, Roots, Target,
    protect::refuse,
    sysfs::{link_name, names},
};
use crate::check::selection::Place;

/// A device that has a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its bus, name and driver.
    pub place: Place,
    /// Where it lies, to take what is below a device before that.
    path: PathBuf,
}

impl Candidate {
    /// Every bound device of the machine: first those that lie deepest in the device tree, so that a device is exercised
    /// before what it hangs on is.
    pub fn every(roots: &Roots) -> Result<Vec<Self>, ExerciseError> {
        let mut candidates = Vec::new();
        let buses = roots.sys.join("bus");
        for bus in names(&buses)? {
            for device in names(&buses.join(&bus).join("devices"))? {
                let Ok(path) = roots.device(&bus, &device) else {
                    continue;
                };
                if let Some(driver) = link_name(&path.join("driver")) {
                    let place = Place {
                        bus: bus.clone(),
                        device,
                        driver,
                    };
                    candidates.push(Self { place, path });
                }
            }
        }
        candidates.sort_by_cached_key(|one| {
            let depth = one.path.components().count();
            (std::cmp::Reverse(depth), one.path.clone())
        });
        Ok(candidates)
    }

    /// The device as it is to be exercised, or why it is left out.
    pub fn target(&self, roots: &Roots) -> Result<Target, ExerciseError> {
        let Place {
            bus,
            device,
            driver,
        } = &self.place;
        let target = Target::of_device(roots, bus, device)?;
        if target.place.driver != *driver {
            let now = &target.place.driver;
            return Err(ExerciseError::Impossible(format!(
                "it was bound to {driver} when the run began, and is bound to {now} now"
            )));
        }
        if let Some(risk) = risk(&target.path) {
            return Err(ExerciseError::Refused {
                target: self.place.name(),
                reason: risk,
            });
        }
        refuse(roots, std::slice::from_ref(&target))?;
        Ok(target)
    }
}

/// What may go wrong with the machine where nobody looks on, though nothing needs the device.
fn risk(device: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(device.join(name)).unwrap_or_default();
    let usb_hub = "09";
    if read("bDeviceClass").trim() == usb_hub || read("bInterfaceClass").trim() == usb_hub {
        return Some("what hangs on this USB hub, whose unbind may wait for ever".to_owned());
    }
    let watchdogs = device.join("watchdog");
    let running = names(&watchdogs)
        .unwrap_or_default()
        .into_iter()
        .find(|name| {
            let state = fs::read_to_string(watchdogs.join(name).join("state"));
            state.is_ok_and(|state| state.trim() == "active")
        })?;
    Some(format!("{running}, which runs and would reset the machine"))
}
