//! What is meant by a driver's or a device's name.

use std::{fs, path::PathBuf};

use super::{
    ExerciseError, Roots,
    sysfs::{link_name, names},
};
use crate::check::selection::Place;

/// A device that is to be unbound from its driver and bound again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its bus, name and driver.
    pub place: Place,
    /// Its directory, with all links followed.
    pub path: PathBuf,
}

impl Target {
    /// The devices that `name` stands for: all of a driver (`driver` or `bus/driver`), or one (`device`,
    /// `bus/device` or a path).
    pub fn find(roots: &Roots, name: &str) -> Result<Vec<Self>, ExerciseError> {
        if name.starts_with('/') {
            return Self::by_path(roots, name).map(|target| vec![target]);
        }
        let (bus, rest) = match name.split_once('/') {
            Some((bus, rest)) => (Some(bus), rest),
            None => (None, name),
        };
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('/');
        if !is_name(rest) || !bus.is_none_or(is_name) {
            return Err(ExerciseError::NoTarget(format!(
                "{name:?} is not a driver or device, nor one with its bus such as i2c/lm75, nor a path"
            )));
        }
        let buses = match bus {
            Some(bus) => vec![bus.to_owned()],
            None => names(&roots.sys.join("bus"))?,
        };
        let mut candidates = Vec::new();
        for bus in &buses {
            if roots.driver(bus, rest).is_dir() {
                candidates.push((format!("driver {bus}/{rest}"), bus, true));
            }
            if roots.device(bus, rest).is_ok() {
                candidates.push((format!("device {bus}/{rest}"), bus, false));
            }
        }
        match candidates.as_slice() {
            [] => Err(ExerciseError::NoTarget(format!(
                "no bus has a driver or device {name:?}: is the module loaded?"
            ))),
            [(_, bus, true)] => Self::of_driver(roots, bus, rest),
            [(_, bus, false)] => Self::of_device(roots, bus, rest).map(|target| vec![target]),
            several => Err(ExerciseError::Ambiguous {
                name: name.to_owned(),
                candidates: several.iter().map(|(what, _, _)| what.clone()).collect(),
            }),
        }
    }

    fn by_path(roots: &Roots, name: &str) -> Result<Self, ExerciseError> {
        let path = fs::canonicalize(name).map_err(|source| ExerciseError::Unreadable {
            path: name.into(),
            source,
        })?;
        let bus = link_name(&path.join("subsystem"));
        let device = path.file_name().and_then(|name| name.to_str());
        match (bus, device) {
            (Some(bus), Some(device))
                if roots.device(&bus, device).is_ok_and(|own| own == path) =>
            {
                Self::of_device(roots, &bus, device)
            }
            _ => Err(ExerciseError::NoTarget(format!(
                "{name} is not a device on a bus"
            ))),
        }
    }

    /// All devices that a driver is bound to.
    pub(super) fn of_driver(
        roots: &Roots,
        bus: &str,
        driver: &str,
    ) -> Result<Vec<Self>, ExerciseError> {
        let directory = roots.driver(bus, driver);
        let mut targets = Vec::new();
        for name in names(&directory)? {
            let is_device = name != "module"
                && fs::symlink_metadata(directory.join(&name))
                    .is_ok_and(|metadata| metadata.is_symlink());
            if is_device {
                targets.push(Self::of_device(roots, bus, &name)?);
            }
        }
        if targets.is_empty() {
            return Err(ExerciseError::Impossible(format!(
                "the driver {bus}/{driver} is bound to no device"
            )));
        }
        Ok(targets)
    }

    pub(super) fn of_device(roots: &Roots, bus: &str, device: &str) -> Result<Self, ExerciseError> {
        let path = roots
            .device(bus, device)
            .map_err(|source| ExerciseError::Unreadable {
                path: roots.sys.join("bus").join(bus).join("devices").join(device),
                source,
            })?;
        let Some(driver) = link_name(&path.join("driver")) else {
            return Err(ExerciseError::Impossible(format!(
                "no driver is bound to {bus}/{device}"
            )));
        };
        let directory = roots.driver(bus, &driver);
        if !directory.join("unbind").exists() || !directory.join("bind").exists() {
            return Err(ExerciseError::Impossible(format!(
                "the driver {bus}/{driver} can't be unbound through sysfs (suppress_bind_attrs)"
            )));
        }
        Ok(Self {
            place: Place {
                bus: bus.to_owned(),
                device: device.to_owned(),
                driver,
            },
            path,
        })
    }
}
