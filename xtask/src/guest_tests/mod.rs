//! Tests of the tracer in a stock kernel.
//!
//! A [`Session`] is a shell script that runs in the guest, with the tests of what it leaves. All sessions of a kernel
//! run one after the other in one guest; the tests look at their files afterwards, on the host. The files stay in
//! `target/guest-tests/RELEASE/SESSION` until the next run.

mod boards;
mod boot_and_crash;
mod check;
mod command_line;
mod deaths;
mod devices;
mod evidence;
mod fallback;
mod faults;
mod files;
mod genpd;
mod hanging;
mod i2c;
pub(crate) mod initramfs_boot;
mod kernel_run;
mod live;
mod loss;
mod modules;
mod names;
mod own_guests;
mod pointers;
mod pvpanic;
mod recording;
pub(crate) mod scenarios;
mod silent;
mod snapshot;
mod source_lines;
mod truth;
mod unprivileged;
mod via_tracefs;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::kernel::{self, Kernel};
use crate::test::Tally;
use crate::workspace;
use evidence::Evidence;
use kernel_run::KernelRun;

/// The sessions, in the order in which they run. The one that takes every device away and back comes last.
const SESSIONS: [&Session; 25] = [
    &command_line::SESSION,
    &unprivileged::SESSION,
    &pvpanic::SESSION,
    &pointers::SESSION,
    &fallback::SESSION,
    &silent::SESSION,
    &files::SESSION,
    &i2c::SESSION,
    &live::SESSION,
    &snapshot::SESSION,
    &source_lines::SESSION,
    &scenarios::SESSION,
    &hanging::SESSION,
    &loss::SESSION,
    &names::SESSION,
    &modules::SESSION,
    &check::SESSION,
    &check::EXERCISE,
    &check::FAUX,
    &check::fail_probe::SESSION,
    &check::EXAMPLE,
    &via_tracefs::SESSION,
    &faults::stopped::SESSION,
    &faults::removal::SESSION,
    &devices::SESSION,
];

/// Sessions that take long: they run only where [`Extent::Full`] is wanted.
const LONG_SESSIONS: [&Session; 5] = [
    &via_tracefs::ALL,
    &faults::two::SESSION,
    &faults::memory::SESSION,
    &faults::machine::SESSION,
    &faults::removal::MANY,
];
const LONG_ARMHF_SESSIONS: [&Session; 1] = [&via_tracefs::ALL];

/// The sessions of kernels for ARM and RISC-V, whose machines have other devices. Those for 32-bit ARM have no probes.
const ARM64_SESSIONS: [&Session; 2] = [&boards::ARM64, &genpd::SESSION];
const RISCV64_SESSIONS: [&Session; 1] = [&boards::RISCV64];
const ARMHF_SESSIONS: [&Session; 2] = [&boards::ARMHF, &via_tracefs::SESSION];

/// The name of the test of the kernel's log.
const LOG_TEST: &str = "kernel_stays_well";

/// The name of the test with every driver.
const SOAK_TEST: &str = "soak_finds_only_what_is_known";

/// What the kernel's log says when something is broken.
const TROUBLE: [&str; 5] = [
    "BUG:",
    "Oops",
    "general protection",
    "refcount_t",
    "blocked for more than",
];

/// A kernel's major and minor version.
pub(crate) type Series = (u32, u32);

/// A script with the tests of what it leaves.
struct Session {
    /// Its name, which is also its directory's.
    name: &'static str,
    /// Runs in the session's directory, after the functions of `prelude.sh`. It must succeed.
    script: &'static str,
    /// The tests.
    tests: &'static [Test],
}

/// A test of what a session's script left.
struct Test {
    /// Its name.
    name: &'static str,
    /// Why it can't be run on a kernel, if so.
    skipped: fn(Series) -> Option<&'static str>,
    /// Fails with what is wrong.
    check: fn(&Evidence) -> Result<()>,
}

/// For tests of all kernels.
const fn never(_: Series) -> Option<&'static str> {
    None
}

/// For tests of what needs the tracepoint `devres_log`.
fn without_log(series: Series) -> Option<&'static str> {
    (series < (5, 15)).then_some("this kernel has no tracepoint devres_log")
}

/// What comes from outside into the guest.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The tracer, statically linked.
    pub(crate) tracer: PathBuf,
    /// The test module, built for the kernel; not on RISC-V.
    pub(crate) module: Option<PathBuf>,
    /// The module that lets acquisitions fail, built for the kernel; only for amd64.
    pub(crate) fail_module: Option<PathBuf>,
}

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every run of the tests has time for.
    Essential,
    /// Everything.
    Full,
}

/// The sessions of kernels for an architecture.
fn sessions(
    architecture: Architecture,
    extent: Extent,
) -> impl Iterator<Item = &'static Session> + Clone {
    let (always, long): (&[&Session], &[&Session]) = match architecture {
        Architecture::Amd64 => (&SESSIONS, &LONG_SESSIONS),
        Architecture::Arm64 => (&ARM64_SESSIONS, &[]),
        Architecture::Riscv64 => (&RISCV64_SESSIONS, &[]),
        Architecture::Armhf => (&ARMHF_SESSIONS, &LONG_ARMHF_SESSIONS),
    };
    let long = if extent == Extent::Full { long } else { &[] };
    long.iter().chain(always).copied()
}

/// Whether kernels for this architecture have tests whose name contains `filter`.
pub(crate) fn any_named(architecture: Architecture, extent: Extent, filter: Option<&str>) -> bool {
    let of_sessions = sessions(architecture, extent)
        .any(|session| session.tests.iter().any(|test| is_wanted(test, filter)));
    of_sessions
        || [
            LOG_TEST,
            SOAK_TEST,
            boot_and_crash::BOARD,
            faults::suspend::NAME,
        ]
        .iter()
        .chain(&boot_and_crash::NAMES)
        .copied()
        .chain(deaths::DEATHS.iter().map(|death| death.name))
        .any(|name| is_wanted_name(name, filter))
}

/// Says of all tests of an architecture's kernel that they can't be run, and why.
pub(crate) fn skip(
    architecture: Architecture,
    extent: Extent,
    kernel: &str,
    filter: Option<&str>,
    reason: &anyhow::Error,
) -> Tally {
    let mut tally = Tally::default();
    let tests = sessions(architecture, extent).flat_map(|session| session.tests);
    for test in tests.filter(|test| is_wanted(test, filter)) {
        println!("skipped {} ({kernel}): {reason:#}", test.name);
        tally.skipped += 1;
    }
    tally
}

fn is_wanted(test: &Test, filter: Option<&str>) -> bool {
    is_wanted_name(test.name, filter)
}

fn is_wanted_name(name: &str, filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| name.contains(filter))
}

/// The lines of a kernel's log that report something broken.
pub(crate) fn troubled_lines(log: &str) -> impl Iterator<Item = String> {
    log.lines()
        .filter(|line| TROUBLE.iter().any(|trouble| line.contains(trouble)))
        .map(str::to_owned)
}

/// Where the guests' files are.
fn directory() -> PathBuf {
    workspace::root().join("target/guest-tests")
}

/// Whether a guest has left recordings of the scenarios.
pub(crate) fn have_recorded() -> Result<bool> {
    let directory = directory();
    if !directory.exists() {
        return Ok(false);
    }
    let guests =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for guest in guests {
        let scenarios = guest?.path().join(scenarios::SESSION.name);
        if scenarios.join("round.0.dvrt").exists() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs the tests whose name contains `filter` on a kernel, and prints a line about each. `mirror` as in
/// [`crate::apt::AptRoot::open`].
///
/// A guest that does not come to its end fails the session it was in; the others run in a new one.
pub(crate) fn run(
    kernel: &Kernel,
    programs: &Programs,
    extent: Extent,
    filter: Option<&str>,
    mirror: Option<&str>,
) -> Result<Tally> {
    let run = KernelRun {
        kernel,
        programs,
        extent,
        filter,
        mirror,
        series: parse_series(&kernel.release)?,
        directory: directory().join(&kernel.release),
    };
    run.all_sessions()
}

pub(crate) fn parse_series(release: &str) -> Result<Series> {
    let numbers: Vec<u32> = kernel::series(release)
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{release} does not begin with two numbers"))?;
    match numbers[..] {
        [major, minor] => Ok((major, minor)),
        _ => anyhow::bail!("{release} does not begin with two numbers"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        for architecture in Architecture::ALL {
            let sessions = || sessions(architecture, Extent::Full);
            let tests: Vec<&str> = sessions()
                .flat_map(|session| session.tests)
                .map(|test| test.name)
                .collect();
            assert_eq!(tests.iter().collect::<BTreeSet<_>>().len(), tests.len());
            let names: BTreeSet<&str> = sessions().map(|session| session.name).collect();
            assert_eq!(names.len(), sessions().count());
        }
    }

    #[test]
    fn the_series_is_read_from_the_release() -> Result<()> {
        assert_eq!(parse_series("6.12.117+deb13-amd64")?, (6, 12));
        assert_eq!(parse_series("7.3-amd64")?, (7, 3));
        assert!(parse_series("7").is_err());
        Ok(())
    }
}
