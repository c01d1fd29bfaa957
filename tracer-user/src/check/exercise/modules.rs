//! A module that is unloaded and loaded again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{ExerciseError, Roots, Target, sysfs::names};

/// A module that is unloaded and loaded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// Its name, as the kernel has it.
    pub(super) name: String,
    /// The file it is loaded from, if one was given.
    pub(super) file: Option<PathBuf>,
}

impl Module {
    /// A module by name, or by the path of its file.
    pub(super) fn named(text: &str) -> Result<Self, ExerciseError> {
        let path = Path::new(text);
        let is_file = text.contains('/') || path.extension().is_some_and(|kind| kind == "ko");
        let file = is_file.then(|| path.to_owned());
        if is_file && !path.is_file() {
            return Err(ExerciseError::NoTarget(format!("no such file: {text}")));
        }
        let stem = if is_file {
            path.file_stem().and_then(|stem| stem.to_str())
        } else {
            Some(text)
        };
        match stem {
            Some(stem) if !stem.is_empty() => Ok(Self {
                name: stem.replace('-', "_"),
                file,
            }),
            _ => Err(ExerciseError::NoTarget(format!("{text:?} is not a module"))),
        }
    }

    /// Whether it is loaded.
    pub(super) fn is_loaded(&self, roots: &Roots) -> bool {
        self.directory(roots).join("initstate").exists()
    }

    /// Whether it is installed for the running kernel, or that is unknown.
    pub(super) fn is_known(&self, roots: &Roots) -> bool {
        let Ok(release) = fs::read_to_string(roots.proc.join("sys/kernel/osrelease")) else {
            return true;
        };
        let directory = roots.modules.join(release.trim());
        let Ok(list) = fs::read_to_string(directory.join("modules.dep")) else {
            return directory.exists();
        };
        list.lines().any(|line| {
            let path = line.split(':').next().unwrap_or_default();
            let file = path.rsplit('/').next().unwrap_or_default();
            let stem = file.split(".ko").next().unwrap_or_default();
            stem.replace('-', "_") == self.name
        })
    }

    /// Its drivers, each with its bus.
    pub(super) fn drivers(&self, roots: &Roots) -> Result<Vec<(String, String)>, ExerciseError> {
        let links = names(&self.directory(roots).join("drivers"))?;
        Ok(links
            .iter()
            .filter_map(|link| link.split_once(':'))
            .map(|(bus, driver)| (bus.to_owned(), driver.to_owned()))
            .collect())
    }

    /// The devices that its drivers are bound to.
    pub(super) fn devices(&self, roots: &Roots) -> Result<Vec<Target>, ExerciseError> {
        let mut devices = Vec::new();
        for (bus, driver) in self.drivers(roots)? {
            // A driver without a device, or one that can't be unbound by itself, is no matter here.
            devices.extend(Target::of_driver(roots, &bus, &driver).unwrap_or_default());
        }
        Ok(devices)
    }

    fn directory(&self, roots: &Roots) -> PathBuf {
        roots.sys.join("module").join(&self.name)
    }
}
