//! What goes along when a device is unbound: what is below it, and what depends on it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Roots,
    sysfs::{link_name, names},
};
use crate::check::selection::Place;

/// The directories of the devices that lose their driver or go when these are unbound: each stands for all
/// that is below it. The kernel unbinds the consumers of a device before the device itself.
pub(super) fn affected(devices: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = devices.to_vec();
    while let Some(device) = waiting.pop() {
        if found.insert(device.clone()) {
            consumers(&device, &mut waiting);
        }
    }
    found
}

/// The consumers of a device and of all that is below it.
fn consumers(directory: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = names(directory) else {
        return;
    };
    for name in entries {
        let path = directory.join(&name);
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if name.starts_with("consumer:") {
            // A device link: it lies under the virtual devices, and leads to both its ends.
            if let Ok(consumer) = path.join("consumer").canonicalize() {
                into.push(consumer);
            }
        } else if metadata.is_dir() {
            consumers(&path, into);
        }
    }
}

/// The devices in these directories and below that have a driver now.
pub(super) fn bound_below(roots: &Roots, directories: &BTreeSet<PathBuf>) -> Vec<Place> {
    let mut bound = BTreeSet::new();
    for directory in directories {
        collect(roots, directory, &mut bound);
    }
    bound.into_iter().collect()
}

fn collect(roots: &Roots, directory: &Path, into: &mut BTreeSet<Place>) {
    if let (Some(driver), Some(bus), Some(device)) = (
        link_name(&directory.join("driver")),
        link_name(&directory.join("subsystem")),
        directory.file_name().and_then(|name| name.to_str()),
    ) && roots.driver(&bus, &driver).is_dir()
    {
        into.insert(Place {
            bus,
            device: device.to_owned(),
            driver,
        });
    }
    for name in names(directory).unwrap_or_default() {
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            collect(roots, &path, into);
        }
    }
}
