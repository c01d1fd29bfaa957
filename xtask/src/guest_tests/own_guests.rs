//! What needs a guest of its own: boots that are recorded, machines that die, suspend, and the soak.

use std::path::Path;

use anyhow::Result;

use super::faults::suspend;
use super::kernel_run::{KernelRun, STALE_BREAKPOINT};
use super::{Extent, SOAK_TEST, boot_and_crash, deaths, is_wanted_name};
use crate::architecture::Architecture;
use crate::guest::Hang;
use crate::test::Tally;
use crate::{soak, workspace};

impl KernelRun<'_> {
    /// Runs all of it that is wanted, and prints how each test has ended.
    pub(super) fn own_guests(&self) -> Tally {
        let mut tally = Tally::default();
        let has_devices = self.kernel.architecture() == Architecture::Amd64;
        if has_devices {
            tally += self.boot_and_crash();
            if self.extent == Extent::Full {
                tally += self.deaths();
                tally += self.suspend();
            }
        }
        if !has_devices && is_wanted_name(boot_and_crash::BOARD, self.filter) {
            let directory = self.directory.join("boot");
            let result = in_its_guest(boot_and_crash::BOARD, &directory, || {
                boot_and_crash::board_is_recorded(
                    self.kernel,
                    self.programs,
                    &directory,
                    self.mirror,
                )
            });
            tally += Self::tell(boot_and_crash::BOARD, &self.kernel.release, result);
        }
        if has_devices && is_wanted_name(SOAK_TEST, self.filter) {
            tally += self.soak();
        }
        tally
    }

    /// What the kernel records by itself, in guests of their own.
    fn boot_and_crash(&self) -> Tally {
        let mut tally = Tally::default();
        let release = &self.kernel.release;
        let mut names = Vec::new();
        for name in boot_and_crash::NAMES {
            if !is_wanted_name(name, self.filter) {
                continue;
            }
            match boot_and_crash::Evidence::skipped(name, self.series) {
                Some(reason) => {
                    println!("skipped {name} ({release}): {reason}");
                    tally.skipped += 1;
                }
                None => names.push(name),
            }
        }
        if names.is_empty() {
            return tally;
        }
        let directory = self.directory.join("boot-and-crash");
        let evidence = in_its_guest("boot and crash", &directory, || {
            boot_and_crash::run(
                self.kernel,
                self.programs,
                &directory,
                self.series,
                self.mirror,
            )
        });
        for name in names {
            let result = match &evidence {
                Ok(evidence) => evidence.check(name),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            tally += Self::tell(name, release, result);
        }
        tally
    }

    /// Further crashes, each in a guest of its own.
    fn deaths(&self) -> Tally {
        let mut tally = Tally::default();
        let release = &self.kernel.release;
        for death in &deaths::DEATHS {
            let name = death.name;
            if !is_wanted_name(name, self.filter) {
                continue;
            }
            if let Some(reason) = death.skipped(self.series) {
                println!("skipped {name} ({release}): {reason}");
                tally.skipped += 1;
                continue;
            }
            let directory = self.directory.join("deaths");
            let result = in_its_guest(name, &directory.join(name), || {
                death.check(
                    self.kernel,
                    self.programs,
                    &directory,
                    self.series,
                    self.mirror,
                )
            });
            tally += Self::tell(name, release, result);
        }
        tally
    }

    /// Suspend and resume, in a guest of its own.
    fn suspend(&self) -> Tally {
        if !is_wanted_name(suspend::NAME, self.filter) {
            return Tally::default();
        }
        let directory = self.directory.join("suspend");
        let result = in_its_guest(suspend::NAME, &directory, || {
            suspend::check(
                self.kernel,
                self.programs,
                &directory,
                self.series,
                self.mirror,
            )
        });
        Self::tell(suspend::NAME, &self.kernel.release, result)
    }

    /// Prints how a test in a guest of its own has ended.
    fn tell(name: &str, release: &str, result: Result<()>) -> Tally {
        Tally::of(&format_args!("{name} ({release})"), result)
    }

    /// Runs every driver that QEMU has a device for, in a guest of its own.
    fn soak(&self) -> Tally {
        let release = &self.kernel.release;
        let soaked = in_its_guest(SOAK_TEST, &soak::directory(self.kernel), || {
            soak::soak(self.kernel, &self.programs.tracer, 0, self.mirror)
        });
        Self::tell(
            SOAK_TEST,
            release,
            soaked.and_then(|soak| soak.judge(release)),
        )
    }
}

/// Does work in a guest of its own, once more where that hung or was emulated badly. What it leaves is in `directory`.
fn in_its_guest<T>(name: &str, directory: &Path, work: impl Fn() -> Result<T>) -> Result<T> {
    work().or_else(|error| {
        let told = format!("{error:#}");
        if !error.is::<Hang>() && !told.contains(STALE_BREAKPOINT) {
            return Err(error);
        }
        println!("{name}, once more: {told}");
        workspace::remove_if_present(directory)?;
        work()
    })
}
