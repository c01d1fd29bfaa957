//! One kernel's tests, run: guests that run the sessions' scripts, and what these left judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::{
    Extent, LOG_TEST, Programs, Series, Session, Test, genpd, is_wanted, is_wanted_name, live,
    sessions, troubled_lines, unprivileged,
};
use crate::architecture::Architecture;
use crate::guest::{Guest, Hang};
use crate::kernel::Kernel;
use crate::test::Tally;
use crate::{guest_programs, kmod, tracer, workspace};

/// Functions for the sessions' scripts.
const PRELUDE: &str = include_str!("prelude.sh");

/// What the guest runs, after `limit=` and the seconds that a session may take. Each session has its directory on the
/// share, and is ended if it hangs. That it begins is printed, by which a kernel that hangs is known.
const ALL_SESSIONS: &str = r"
    cd /mnt/share
    for session in $(cat sessions); do
        cd /mnt/share/$session
        echo $session
        cut -d ' ' -f 1 /proc/uptime >begin
        timeout $limit sh script >script.stdout 2>script.stderr
        code=$?
        cut -d ' ' -f 1 /proc/uptime >end
        echo $code >script.exit
    done
";

/// The file with the kernel's log, in the kernel's directory.
const CONSOLE_LOG: &str = "console.log";

/// What a kernel dies of that finds a breakpoint of its own where it has patched its code: QEMU's emulator runs what was
/// there before, on another processor. Enabling an event is enough.
pub(super) const STALE_BREAKPOINT: &str = "Oops: int3";

/// What a kernel says of tasks and processors that wait for one that does not go on. That they hang is told anyway.
const WAITING: [&str; 2] = ["blocked for more than", "BUG: soft lockup"];

/// How long a guest may take to boot and to power off.
const BOOT_TIME: Duration = Duration::from_secs(120);

/// How long a session may take: several times what the longest takes on a machine that has nothing else to do. There are
/// slower ones, and two guests run at once.
const SESSION_TIME: Duration = Duration::from_secs(900);

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
            let hangs = end.as_ref().is_err_and(anyhow::Error::is::<Hang>);
            if !emulated_badly {
                trouble.extend(troubled_lines(&log).filter(|line| {
                    !hangs || !WAITING.iter().any(|waiting| line.contains(waiting))
                }));
            }
            let (finished, unfinished): (Vec<_>, Vec<_>) = remaining
                .into_iter()
                .partition(|session| self.directory(session).join("script.exit").exists());
            for session in finished {
                tally += self.judge(session);
            }
            remaining = unfinished;
            let may_be_the_emulator = hangs || emulated_badly;
            let Some(session) = remaining.first() else {
                // All is done, and yet the guest has not ended well: there is nothing to be run once more.
                if let Err(error) = end {
                    println!("{}, after its last session: {error:#}", self.kernel.release);
                    if !may_be_the_emulator {
                        trouble.push(format!("{error:#}"));
                    }
                }
                break;
            };
            let error = end
                .err()
                .unwrap_or_else(|| anyhow::anyhow!("the guest ended before the script did"));
            // An emulated machine can hang by itself, though rarely; a tracer that makes it hang does so again.
            if may_be_the_emulator && !hung.contains(&session.name) {
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
        tally += self.own_guests();
        Ok(tally)
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

        let guest = self.guest(sessions)?;
        let run = guest.run(&format!("limit={}\n{ALL_SESSIONS}", SESSION_TIME.as_secs()))?;
        ensure!(
            run.exit_code == 0,
            "the guest's script failed:\n{}{}",
            run.stdout,
            run.stderr
        );
        Ok(())
    }

    /// A guest with all that the sessions' scripts need.
    fn guest(&self, sessions: &[&Session]) -> Result<Guest> {
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
        Ok(guest)
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
            let (release, duration) = (&self.kernel.release, evidence.duration());
            tally += Tally::of(
                &format_args!("{} ({release}, {duration})", test.name),
                result,
            );
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
