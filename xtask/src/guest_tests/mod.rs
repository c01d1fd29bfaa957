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
mod files;
mod genpd;
mod hanging;
mod i2c;
mod live;
mod loss;
mod modules;
mod names;
mod pvpanic;
mod recording;
pub(crate) mod scenarios;
mod silent;
mod snapshot;
mod truth;
mod via_tracefs;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::guest::Guest;
use crate::kernel::{self, Kernel};
use crate::test::Tally;
use crate::{kmod, soak, tmux, tracer, workspace};
use evidence::Evidence;

/// The sessions, in the order in which they run. The one that takes every device away and back comes last.
const SESSIONS: [&Session; 19] = [
    &command_line::SESSION,
    &pvpanic::SESSION,
    &fallback::SESSION,
    &silent::SESSION,
    &files::SESSION,
    &i2c::SESSION,
    &live::SESSION,
    &snapshot::SESSION,
    &scenarios::SESSION,
    &hanging::SESSION,
    &loss::SESSION,
    &names::SESSION,
    &modules::SESSION,
    &check::SESSION,
    &check::EXERCISE,
    &check::FAUX,
    &check::EXAMPLE,
    &via_tracefs::SESSION,
    &devices::SESSION,
];

/// Sessions that take long: they run only where [`Extent::Full`] is wanted.
const LONG_SESSIONS: [&Session; 1] = [&via_tracefs::ALL];

/// The sessions of kernels for 64-bit ARM and RISC-V, whose machines have other devices.
const ARM64_SESSIONS: [&Session; 2] = [&boards::ARM64, &genpd::SESSION];
const RISCV64_SESSIONS: [&Session; 1] = [&boards::RISCV64];

/// Functions for the sessions' scripts.
const PRELUDE: &str = include_str!("prelude.sh");

/// What the guest runs. Each session has its directory on the share, and is ended if it hangs.
const ALL_SESSIONS: &str = r"
    cd /mnt/share
    for session in $(cat sessions); do
        cd /mnt/share/$session
        cut -d ' ' -f 1 /proc/uptime >begin
        timeout 300 sh script >script.stdout 2>script.stderr
        code=$?
        cut -d ' ' -f 1 /proc/uptime >end
        echo $code >script.exit
    done
";

/// The name of the test of the kernel's log.
const LOG_TEST: &str = "kernel_stays_well";

/// The name of the test with every driver.
const SOAK_TEST: &str = "soak_finds_only_what_is_known";

/// The file with the kernel's log, in the kernel's directory.
const CONSOLE_LOG: &str = "console.log";

/// What the kernel's log says when something is broken.
const TROUBLE: [&str; 5] = [
    "BUG:",
    "Oops",
    "general protection",
    "refcount_t",
    "blocked for more than",
];

/// How long a guest may take to boot and to power off.
const BOOT_TIME: Duration = Duration::from_secs(120);

/// How long a session may take.
const SESSION_TIME: Duration = Duration::from_secs(310);

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
    };
    let long = if extent == Extent::Full { long } else { &[] };
    long.iter().chain(always).copied()
}

/// Whether kernels for this architecture have tests whose name contains `filter`.
pub(crate) fn any_named(architecture: Architecture, extent: Extent, filter: Option<&str>) -> bool {
    let of_sessions = sessions(architecture, extent)
        .any(|session| session.tests.iter().any(|test| is_wanted(test, filter)));
    of_sessions
        || [LOG_TEST, SOAK_TEST, boot_and_crash::BOARD]
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

/// The lines of a kernel's log that tell of something broken.
pub(crate) fn troubled_lines(log: &str) -> impl Iterator<Item = String> {
    log.lines()
        .filter(|line| TROUBLE.iter().any(|trouble| line.contains(trouble)))
        .map(str::to_owned)
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
        directory: workspace::root()
            .join("target/guest-tests")
            .join(&kernel.release),
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

/// The tests of one kernel.
struct KernelRun<'a> {
    kernel: &'a Kernel,
    programs: &'a Programs,
    extent: Extent,
    filter: Option<&'a str>,
    mirror: Option<&'a str>,
    series: Series,
    directory: PathBuf,
}

impl KernelRun<'_> {
    fn all_sessions(&self) -> Result<Tally> {
        workspace::remove_if_present(&self.directory)?;
        let mut tally = Tally::default();
        let mut trouble = Vec::new();
        let mut remaining: Vec<&Session> = Vec::new();
        for session in sessions(self.kernel.architecture(), self.extent) {
            for test in self.wanted(session) {
                if let Some(reason) = (test.skipped)(self.series) {
                    println!("skipped {} ({}): {reason}", test.name, self.kernel.release);
                    tally.skipped += 1;
                }
            }
            if self.applicable(session).next().is_some() {
                remaining.push(session);
            }
        }
        while !remaining.is_empty() {
            let end = self.boot(&remaining);
            if let Ok(log) = &end {
                trouble.extend(troubled_lines(log));
            }
            let (finished, unfinished): (Vec<_>, Vec<_>) = remaining
                .into_iter()
                .partition(|session| self.directory(session).join("script.exit").exists());
            for session in finished {
                tally += self.judge(session);
            }
            remaining = unfinished;
            if !remaining.is_empty() {
                let session = remaining.remove(0);
                let error = end
                    .err()
                    .unwrap_or_else(|| anyhow::anyhow!("the guest ended before the script did"));
                tally += self.fail(session, &error);
            }
        }
        if is_wanted_name(LOG_TEST, self.filter) {
            tally += self.judge_log(&trouble);
        }
        let has_devices = self.kernel.architecture() == Architecture::Amd64;
        if has_devices {
            tally += self.boot_and_crash();
            if self.extent == Extent::Full {
                tally += self.deaths();
            }
        }
        if !has_devices && is_wanted_name(boot_and_crash::BOARD, self.filter) {
            let directory = self.directory.join("boot");
            let result = boot_and_crash::board_is_recorded(
                self.kernel,
                self.programs,
                &directory,
                self.mirror,
            );
            tally += Self::tell(boot_and_crash::BOARD, &self.kernel.release, result);
        }
        if has_devices && is_wanted_name(SOAK_TEST, self.filter) {
            tally += self.soak();
        }
        Ok(tally)
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
        let evidence = boot_and_crash::run(
            self.kernel,
            self.programs,
            &directory,
            self.series,
            self.mirror,
        );
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
            let result = death.check(
                self.kernel,
                self.programs,
                &directory,
                self.series,
                self.mirror,
            );
            tally += Self::tell(name, release, result);
        }
        tally
    }

    /// Prints how a test in a guest of its own has ended.
    fn tell(name: &str, release: &str, result: Result<()>) -> Tally {
        let mut tally = Tally::default();
        match result {
            Ok(()) => {
                println!("ok {name} ({release})");
                tally.passed = 1;
            }
            Err(error) => {
                println!("FAILED {name} ({release}): {error:#}");
                tally.failed = 1;
            }
        }
        tally
    }

    /// Runs every driver that QEMU has a device for, in a guest of its own.
    fn soak(&self) -> Tally {
        let release = &self.kernel.release;
        let soaked = soak::soak(self.kernel, &self.programs.tracer, 0, self.mirror);
        Self::tell(
            SOAK_TEST,
            release,
            soaked.and_then(|soak| soak.judge(release)),
        )
    }

    fn judge_log(&self, trouble: &[String]) -> Tally {
        let mut tally = Tally::default();
        if trouble.is_empty() {
            println!("ok {LOG_TEST} ({})", self.kernel.release);
            tally.passed = 1;
        } else {
            println!(
                "FAILED {LOG_TEST} ({}):\n{}\n--- more in {}",
                self.kernel.release,
                trouble.join("\n"),
                self.directory.join(CONSOLE_LOG).display()
            );
            tally.failed = 1;
        }
        tally
    }

    fn wanted(&self, session: &Session) -> impl Iterator<Item = &'static Test> + use<'_> {
        session
            .tests
            .iter()
            .filter(|test| is_wanted(test, self.filter))
    }

    fn applicable(&self, session: &Session) -> impl Iterator<Item = &'static Test> + use<'_> {
        self.wanted(session)
            .filter(|test| (test.skipped)(self.series).is_none())
    }

    fn directory(&self, session: &Session) -> PathBuf {
        self.directory.join(session.name)
    }

    /// Boots a guest that runs the sessions' scripts. Returns the kernel's log.
    fn boot(&self, sessions: &[&Session]) -> Result<String> {
        let write = |path: &Path, text: &str| {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        for session in sessions {
            let directory = self.directory(session);
            fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            let script = format!("{PRELUDE}\n{}", session.script);
            write(&directory.join("script"), &script)?;
        }
        let names: Vec<&str> = sessions.iter().map(|session| session.name).collect();
        write(&self.directory.join("sessions"), &names.join("\n"))?;

        let mut guest = Guest::new(self.kernel.clone());
        guest.files = vec![(
            self.programs.tracer.clone(),
            tracer::PATH_IN_GUEST.to_owned(),
        )];
        if let Some(module) = &self.programs.module {
            let callback = module.with_file_name(kmod::CALLBACK_MODULE);
            guest.files.extend([
                (module.clone(), format!("/{}", kmod::MODULE)),
                (callback, format!("/{}", kmod::CALLBACK_MODULE)),
            ]);
        }
        if self.kernel.architecture() == Architecture::Arm64 {
            guest.overlay = Some(workspace::root().join(genpd::OVERLAY));
        }
        if sessions
            .iter()
            .any(|session| session.name == live::SESSION.name)
        {
            guest
                .files
                .extend(tmux::files(self.kernel.architecture(), self.mirror)?);
        }
        // Addresses that ftrace prints are to be compared.
        "no_hash_pointers".clone_into(&mut guest.append);
        guest.share = Some(self.directory.clone());
        guest.console_log = Some(self.directory.join(CONSOLE_LOG));
        guest.mirror = self.mirror.map(str::to_owned);
        guest.timeout =
            BOOT_TIME + SESSION_TIME * u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        // What a session prints goes to its directory.
        guest.silence = None;
        let run = guest.run(ALL_SESSIONS)?;
        ensure!(
            run.exit_code == 0,
            "the guest's script failed:\n{}{}",
            run.stdout,
            run.stderr
        );
        Ok(run.console)
    }

    /// Checks what a session left.
    fn judge(&self, session: &Session) -> Tally {
        let evidence = Evidence::new(self.directory(session), self.series);
        let mut tally = Tally::default();
        for test in self.applicable(session) {
            let result = evidence
                .succeeded("script")
                .context("the session's script failed")
                .and_then(|()| (test.check)(&evidence));
            let place = format!(
                "{} ({}, {})",
                test.name,
                self.kernel.release,
                evidence.duration()
            );
            match result {
                Ok(()) => {
                    println!("ok {place}");
                    tally.passed += 1;
                }
                Err(error) => {
                    println!("FAILED {place}: {error:#}");
                    tally.failed += 1;
                }
            }
        }
        if tally.failed > 0 {
            println!("{}", evidence.report());
        }
        tally
    }

    /// Fails all tests of a session that did not come to its end.
    fn fail(&self, session: &Session, error: &anyhow::Error) -> Tally {
        let evidence = Evidence::new(self.directory(session), self.series);
        let mut tally = Tally::default();
        for test in self.applicable(session) {
            println!(
                "FAILED {} ({}, not finished)",
                test.name, self.kernel.release
            );
            tally.failed += 1;
        }
        println!("{error:#}\n{}", evidence.report());
        tally
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let sessions = || {
            SESSIONS
                .iter()
                .chain(&LONG_SESSIONS)
                .chain(&ARM64_SESSIONS)
                .chain(&RISCV64_SESSIONS)
        };
        let tests: Vec<&str> = sessions()
            .flat_map(|session| session.tests)
            .map(|test| test.name)
            .collect();
        assert_eq!(tests.iter().collect::<BTreeSet<_>>().len(), tests.len());
        let names: BTreeSet<&str> = sessions().map(|session| session.name).collect();
        assert_eq!(names.len(), sessions().count());
    }

    #[test]
    fn the_series_is_read_from_the_release() -> Result<()> {
        assert_eq!(parse_series("6.12.117+deb13-amd64")?, (6, 12));
        assert_eq!(parse_series("7.3-amd64")?, (7, 3));
        assert!(parse_series("7").is_err());
        Ok(())
    }
}
