//! One kernel's tests, run: guests that run the sessions' scripts, what these left judged, and what needs a guest of
//! its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::faults::suspend;
use super::{
    Extent, LOG_TEST, Programs, SOAK_TEST, Series, Session, Test, boot_and_crash, deaths, genpd,
    is_wanted, is_wanted_name, live, sessions, troubled_lines, unprivileged,
};
use crate::architecture::Architecture;
use crate::guest::{Guest, Hang};
use crate::kernel::Kernel;
use crate::test::Tally;
use crate::{guest_programs, kmod, soak, tracer, workspace};

/// Functions for the sessions' scripts.
const PRELUDE: &str = include_str!("prelude.sh");

/// What the guest runs. Each session has its directory on the share, and is ended if it hangs. That it begins is
/// printed, by which a kernel that hangs is known.
const ALL_SESSIONS: &str = r"
    cd /mnt/share
    for session in $(cat sessions); do
        cd /mnt/share/$session
        echo $session
        cut -d ' ' -f 1 /proc/uptime >begin
        timeout 300 sh script >script.stdout 2>script.stderr
        code=$?
        cut -d ' ' -f 1 /proc/uptime >end
        echo $code >script.exit
    done
";

/// The file with the kernel's log, in the kernel's directory.
const CONSOLE_LOG: &str = "console.log";

/// What a kernel dies of that finds a breakpoint of its own where it has patched its code: QEMU's emulator runs what was
/// there before, on another processor. Enabling an event is enough.
const STALE_BREAKPOINT: &str = "Oops: int3";

/// How long a guest may take to boot and to power off.
const BOOT_TIME: Duration = Duration::from_secs(120);

/// How long a session may take.
const SESSION_TIME: Duration = Duration::from_secs(310);

/// The tests of one kernel.
pub(super) struct KernelRun<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) programs: &'a Programs,
    pub(super) extent: Extent,
    pub(super) filter: Option<&'a str>,
    pub(super) mirror: Option<&'a str>,
    pub(super) series: Series,
    pub(super) directory: PathBuf,
}

impl KernelRun<'_> {
    /// Runs all that is wanted, and prints how each test has ended.
    pub(super) fn all_sessions(&self) -> Result<Tally> {
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
        let mut hung: Vec<&str> = Vec::new();
        while !remaining.is_empty() {
            let end = self.boot(&remaining);
            let log = self.log();
            let emulated_badly = log.contains(STALE_BREAKPOINT);
            if !emulated_badly {
                trouble.extend(troubled_lines(&log));
            }
            let (finished, unfinished): (Vec<_>, Vec<_>) = remaining
                .into_iter()
                .partition(|session| self.directory(session).join("script.exit").exists());
            for session in finished {
                tally += self.judge(session);
            }
            remaining = unfinished;
            let may_be_the_emulator = |error: &anyhow::Error| error.is::<Hang>() || emulated_badly;
            let Some(session) = remaining.first() else {
                // All is done, and yet the guest has not ended well: there is nothing to be run once more.
                if let Err(error) = end {
                    println!("{}, after its last session: {error:#}", self.kernel.release);
                    if !may_be_the_emulator(&error) {
                        trouble.push(format!("{error:#}"));
                    }
                }
                break;
            };
            let error = end
                .err()
                .unwrap_or_else(|| anyhow::anyhow!("the guest ended before the script did"));
            // An emulated machine can hang by itself, though rarely; a tracer that makes it hang does so again.
            if may_be_the_emulator(&error) && !hung.contains(&session.name) {
                hung.push(session.name);
                println!("{}, once more: {error:#}", session.name);
                workspace::remove_if_present(&self.directory(session))?;
                continue;
            }
            let session = remaining.remove(0);
            tally += self.fail(session, &error);
        }
        if is_wanted_name(LOG_TEST, self.filter) {
            tally += self.judge_log(&trouble);
        }
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

    /// Suspend and resume, in a guest of its own.
    fn suspend(&self) -> Tally {
        if !is_wanted_name(suspend::NAME, self.filter) {
            return Tally::default();
        }
        let directory = self.directory.join("suspend");
        let result = suspend::check(
            self.kernel,
            self.programs,
            &directory,
            self.series,
            self.mirror,
        );
        Self::tell(suspend::NAME, &self.kernel.release, result)
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

    /// What the kernel of the last guest has logged.
    fn log(&self) -> String {
        let log = fs::read(self.directory.join(CONSOLE_LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Boots a guest that runs the sessions' scripts.
    fn boot(&self, sessions: &[&Session]) -> Result<()> {
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
        if let Some(module) = &self.programs.fail_module {
            let path = format!("/{}", kmod::FAIL_MODULE);
            guest.files.push((module.clone(), path));
        }
        if self.kernel.architecture() == Architecture::Arm64 {
            guest.overlay = Some(workspace::root().join(genpd::OVERLAY));
        }
        let wants_programs = [live::SESSION.name, unprivileged::SESSION.name];
        if sessions
            .iter()
            .any(|session| wants_programs.contains(&session.name))
        {
            guest.files.extend(guest_programs::files(
                self.kernel.architecture(),
                self.mirror,
            )?);
        }
        // Addresses that ftrace prints are to be compared; and a kernel that hangs is to say where when it is asked.
        "no_hash_pointers unknown_nmi_panic panic_print=1".clone_into(&mut guest.append);
        guest.share = Some(self.directory.clone());
        guest.console_log = Some(self.directory.join(CONSOLE_LOG));
        guest.mirror = self.mirror.map(str::to_owned);
        guest.timeout =
            BOOT_TIME + SESSION_TIME * u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        // What a session prints goes to its directory.
        guest.silence = None;
        guest.step = Some(BOOT_TIME + SESSION_TIME);
        let run = guest.run(ALL_SESSIONS)?;
        ensure!(
            run.exit_code == 0,
            "the guest's script failed:\n{}{}",
            run.stdout,
            run.stderr
        );
        Ok(())
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
