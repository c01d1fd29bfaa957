//! sysfs and procfs, under roots of one's choice.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::ExerciseError;

/// Where sysfs and procfs are mounted.
#[derive(Debug, Clone)]
pub struct Roots {
    /// sysfs.
    pub sys: PathBuf,
    /// procfs.
    pub proc: PathBuf,
    /// Where the modules of each kernel are installed.
    pub modules: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            modules: "/lib/modules".into(),
        }
    }
}

impl Roots {
    /// The directory of a driver.
    #[must_use]
    pub fn driver(&self, bus: &str, driver: &str) -> PathBuf {
        self.sys.join("bus").join(bus).join("drivers").join(driver)
    }

    /// The directory of a device on a bus, with all links followed.
    pub fn device(&self, bus: &str, device: &str) -> io::Result<PathBuf> {
        self.sys
            .join("bus")
            .join(bus)
            .join("devices")
            .join(device)
            .canonicalize()
    }
}

/// The names in a directory, in order; none if it is not there.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, ExerciseError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(ExerciseError::Unreadable {
                path: directory.to_owned(),
                source,
            });
        }
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The last part of where a link leads.
pub(super) fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}
