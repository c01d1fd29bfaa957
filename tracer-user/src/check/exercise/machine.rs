//! What an exercise does to the machine.

use std::{ffi::OsString, fs::OpenOptions, io::Write as _, process::Command};

use super::{
    Roots,
    fail_probe::{Injector, Outcome},
    modules::Module,
};
use crate::check::selection::Place;

/// What an exercise does to the machine: a trait, so that it can be tried without one.
pub(super) trait Machine {
    /// Unbinds a device from its driver.
    fn unbind(&self, place: &Place) -> Result<(), String>;
    /// Binds a device to a driver. That the probe is deferred is no error.
    fn bind(&self, place: &Place) -> Result<(), String>;
    /// Unloads a module.
    fn unload(&self, module: &Module) -> Result<(), String>;
    /// Loads a module.
    fn load(&self, module: &Module) -> Result<(), String>;
    /// Lets the acquisition with this number fail in the next probe of a device.
    fn fail_nth(&self, place: &Place, number: u32) -> Result<(), String>;
    /// What came of that probe.
    fn outcome(&self) -> Result<Outcome, String>;
    /// Lets nothing fail any more.
    fn fail_nothing(&self) -> Result<(), String>;
}

/// This machine, through sysfs and kmod's programs.
#[derive(Debug, Clone)]
pub(super) struct ThisMachine {
    pub(super) roots: Roots,
}

impl ThisMachine {
    fn write(&self, place: &Place, attribute: &str) -> std::io::Result<()> {
        let path = self.roots.driver(&place.bus, &place.driver).join(attribute);
        // In one write: each is an order of its own.
        OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(place.device.as_bytes())
    }
}

impl Machine for ThisMachine {
    fn unbind(&self, place: &Place) -> Result<(), String> {
        self.write(place, "unbind")
            .map_err(|error| format!("unbinding {} failed: {error}", place.name()))
    }

    fn bind(&self, place: &Place) -> Result<(), String> {
        match self.write(place, "bind") {
            // The probe is deferred: the driver core tries again by itself.
            Err(error) if error.raw_os_error() == Some(nix::libc::EAGAIN) => Ok(()),
            other => other.map_err(|error| {
                format!(
                    "rebinding {} to {} failed: {error}",
                    place.name(),
                    place.driver
                )
            }),
        }
    }

    fn unload(&self, module: &Module) -> Result<(), String> {
        run("rmmod", &[OsString::from(&module.name)])
    }

    fn load(&self, module: &Module) -> Result<(), String> {
        match &module.file {
            Some(file) => run("insmod", &[file.as_os_str().to_owned()]),
            None => run("modprobe", &[OsString::from(&module.name)]),
        }
    }

    fn fail_nth(&self, place: &Place, number: u32) -> Result<(), String> {
        Injector(&self.roots).arm(place, number)
    }

    fn outcome(&self) -> Result<Outcome, String> {
        Injector(&self.roots).outcome()
    }

    fn fail_nothing(&self) -> Result<(), String> {
        Injector(&self.roots).disarm()
    }
}

/// Runs a program of kmod's, found also where only root's path leads.
fn run(program: &str, arguments: &[OsString]) -> Result<(), String> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.trim()))
}
