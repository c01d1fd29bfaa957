//! How a machine died, as far as its log says.

use memchr::memmem;

use crate::{
    event::{Death, DeathKind, Text},
    source::text::scan::{around, decimal, digits, word},
};

/// The beginning of every boot.
const BOOT: &[u8] = b"Linux version ";
/// The end of a machine.
const PANIC: &[u8] = b"Kernel panic - not syncing";
/// Behind it the reason; before 6.13 some architectures print none.
const REASON: &[u8] = b": ";

/// What names the causes, and which ones.
const CAUSES: [(&str, DeathKind); 19] = [
    (
        "Internal error: synchronous external abort",
        DeathKind::Abort,
    ),
    ("Internal error: SError", DeathKind::Abort),
    ("SError Interrupt on CPU", DeathKind::Abort),
    (
        "Unhandled fault: synchronous external abort",
        DeathKind::Abort,
    ),
    (
        "Unhandled fault: imprecise external abort",
        DeathKind::Abort,
    ),
    ("Unhandled fault: external abort", DeathKind::Abort),
    ("BUG: soft lockup - CPU#", DeathKind::Hang),
    ("Watchdog detected hard LOCKUP on cpu", DeathKind::Hang),
    ("self-detected stall on CPU", DeathKind::Hang),
    ("detected stalls on CPUs/tasks", DeathKind::Hang),
    (" blocked for more than ", DeathKind::Hang),
    ("BUG: unable to handle ", DeathKind::Oops),
    ("Unable to handle kernel ", DeathKind::Oops),
    ("kernel BUG at ", DeathKind::Oops),
    ("BUG: kernel NULL pointer dereference", DeathKind::Oops),
    ("general protection fault", DeathKind::Oops),
    ("Internal error: ", DeathKind::Oops),
    ("Oops: ", DeathKind::Oops),
    ("Oops [#", DeathKind::Oops),
];

/// What shows more of them, and that they are over.
const DETAILS: [&str; 6] = [
    " PID: ",
    "RIP: ",
    "pc : ",
    "PC is at ",
    "epc : ",
    "Linux version ",
];

/// What the lines of interest contain.
pub(in crate::source::text) fn words() -> impl Iterator<Item = &'static str> {
    CAUSES
        .into_iter()
        .map(|(words, _)| words)
        .chain(DETAILS)
        .chain(["Kernel panic - not syncing"])
}

/// What reasons of a panic contain that only repeat what was said before it, and what that was.
const REPEATED: [(&str, DeathKind); 7] = [
    ("softlockup: hung tasks", DeathKind::Hang),
    ("Hard LOCKUP", DeathKind::Hang),
    ("hung_task: blocked tasks", DeathKind::Hang),
    ("RCU Stall", DeathKind::Hang),
    ("SError Interrupt", DeathKind::Abort),
    ("external abort", DeathKind::Abort),
    ("Fatal exception", DeathKind::Oops),
];

/// Longest reason that is kept.
const LONGEST: usize = 160;

/// Listens to a log for how its machine dies.
#[derive(Debug, Default)]
pub(in crate::source::text) struct Listener {
    death: Option<Death>,
    /// Boots that began behind it.
    boots_since: u32,
}

impl Listener {
    /// Looks at a line.
    pub(in crate::source::text) fn line(&mut self, line: &[u8]) {
        if memmem::find(line, BOOT).is_some() && self.death.is_some() {
            self.boots_since += 1;
            return;
        }
        if self.boots_since > 0 && is_cause(line) {
            // Another one, of a later boot.
            *self = Self::default();
        }
        if let Some((_, reason)) = around(line, PANIC) {
            self.panic(reason.strip_prefix(REASON).unwrap_or(reason).trim_ascii());
            return;
        }
        let cause = CAUSES
            .iter()
            .find_map(|(words, kind)| Some((around(line, words.as_bytes())?, words, *kind)));
        if let Some(((_, behind), words, kind)) = cause {
            let mut said = words.trim_ascii_start().as_bytes().to_vec();
            said.extend_from_slice(behind);
            self.cause(kind, &said, line);
            return;
        }
        if let Some(death) = &mut self.death {
            detail(death, line);
        }
    }

    /// What was heard: nothing where a later boot follows in the same log, whose events can't be told from these.
    pub(in crate::source::text) fn finish(self) -> Option<Death> {
        self.death.filter(|_| self.boots_since == 0)
    }

    fn cause(&mut self, kind: DeathKind, words: &[u8], line: &[u8]) {
        // An oops reports itself in several lines: the first says the most.
        if self
            .death
            .as_ref()
            .is_some_and(|death| death.fatal || death.kind == kind && death.at.is_none())
        {
            return;
        }
        // What an abort says of itself in the words of an oops is none.
        if self.death.as_ref().is_some_and(|death| {
            death.kind == DeathKind::Abort && kind == DeathKind::Oops && death.at.is_none()
        }) {
            return;
        }
        let mut death = Death {
            kind,
            said: text(words),
            fatal: false,
            comm: None,
            tid: None,
            cpu: None,
            at: None,
        };
        if kind == DeathKind::Hang {
            hung_task(&mut death, line);
        }
        self.death = Some(death);
    }

    fn panic(&mut self, reason: &[u8]) {
        let repeated = REPEATED
            .into_iter()
            .find(|(words, _)| memmem::find(reason, words.as_bytes()).is_some());
        match &mut self.death {
            Some(death) if death.fatal => {}
            Some(death) if repeated.is_some() => death.fatal = true,
            _ => {
                self.death = Some(Death {
                    kind: repeated.map_or(DeathKind::Panic, |(_, kind)| kind),
                    said: text(reason),
                    fatal: true,
                    comm: None,
                    tid: None,
                    cpu: None,
                    at: None,
                });
            }
        }
    }
}

/// Whether a line says that a machine dies, and of what.
fn is_cause(line: &[u8]) -> bool {
    memmem::find(line, PANIC).is_some()
        || CAUSES
            .iter()
            .any(|(words, _)| memmem::find(line, words.as_bytes()).is_some())
}

/// What a line behind it says about a death.
fn detail(death: &mut Death, line: &[u8]) {
    if death.tid.is_none()
        && let Some((before, behind)) = around(line, b" PID: ")
        && let Some((tid, rest)) = digits(behind)
    {
        death.tid = u32::try_from(tid).ok();
        death.cpu = around(before, b"CPU: ")
            .and_then(|(_, cpu)| digits(cpu))
            .and_then(|(cpu, _)| u16::try_from(cpu).ok());
        death.comm = rest
            .strip_prefix(b" Comm: ")
            .map(comm)
            .filter(|comm| !comm.is_empty())
            .map(text);
    }
    if death.at.is_none() {
        for (words, skipped) in [
            ("RIP: ", true),
            ("pc : ", false),
            ("PC is at ", false),
            ("epc : ", false),
        ] {
            let Some((_, behind)) = around(line, words.as_bytes()) else {
                continue;
            };
            let mut place = behind;
            if skipped {
                // The segment, and a colon.
                place = around(behind, b":").map_or(behind, |(_, place)| place);
            }
            let Some((function, rest)) = word(place) else {
                continue;
            };
            // A bare address says nothing.
            if memmem::find(function, b"+0x").is_none() {
                continue;
            }
            let mut said = function.to_vec();
            if let Some((module, _)) = word(rest).filter(|(module, _)| module.starts_with(b"[")) {
                said.push(b' ');
                said.extend_from_slice(module);
            }
            death.at = Some(text(&said));
            break;
        }
    }
}

/// The task's name, which may have blanks, in front of what is said of the kernel.
fn comm(text: &[u8]) -> &[u8] {
    [&b" Tainted:"[..], b" Not tainted", b" Kdump:"]
        .into_iter()
        .filter_map(|end| memmem::find(text, end))
        .min()
        .and_then(|end| text.get(..end))
        .unwrap_or(text)
        .trim_ascii()
}

/// The task of `stuck for 22s! [sh:157]` and of `task sh:157 blocked for more than`.
fn hung_task(death: &mut Death, line: &[u8]) {
    let told = around(line, b"! [")
        .and_then(|(_, inner)| inner.split(|byte| *byte == b']').next())
        .or_else(|| {
            let (before, _) = around(line, b" blocked for more than ")?;
            Some(around(before, b"task ")?.1)
        });
    let Some(told) = told else { return };
    let Some(colon) = told.iter().rposition(|byte| *byte == b':') else {
        return;
    };
    let (comm, tid) = told.split_at(colon);
    death.tid = tid
        .get(1..)
        .and_then(decimal)
        .and_then(|tid| u32::try_from(tid).ok());
    death.comm = death.tid.map(|_| text(comm));
}

fn text(bytes: &[u8]) -> Text {
    let kept = bytes.get(..LONGEST).unwrap_or(bytes).trim_ascii();
    Text::from(String::from_utf8_lossy(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(log: &str) -> Option<Death> {
        let mut listener = Listener::default();
        for line in log.lines() {
            listener.line(line.as_bytes());
        }
        listener.finish()
    }

    #[test]
    fn a_panic_says_its_reason_and_where() {
        let death = heard(
            "[    9.1] Kernel panic - not syncing: acme: no way out\n\
             [    9.1] CPU: 1 UID: 0 PID: 71 Comm: my tool Tainted: G           O       6.12.1 #1\n\
             [    9.2] RIP: 0033:0x7f21\n",
        )
        .unwrap();
        assert_eq!((death.kind, death.fatal), (DeathKind::Panic, true));
        assert_eq!(&*death.said, "acme: no way out");
        assert_eq!(death.comm.as_deref(), Some("my tool"));
        assert_eq!((death.tid, death.cpu, death.at), (Some(71), Some(1), None));
    }

    #[test]
    fn an_oops_that_becomes_a_panic_stays_an_oops() {
        let death = heard(
            "[    9.1] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
             [    9.1] Oops: 0000 [#1] PREEMPT SMP NOPTI\n\
             [    9.1] CPU: 0 PID: 7 Comm: sh Not tainted 6.1.0 #1\n\
             [    9.1] RIP: 0010:acme_stop+0x1c/0x40 [acme]\n\
             [    9.3] Kernel panic - not syncing: Fatal exception\n",
        )
        .unwrap();
        assert_eq!((death.kind, death.fatal), (DeathKind::Oops, true));
        assert!(death.said.contains("NULL pointer"), "{death:?}");
        assert_eq!(death.at.as_deref(), Some("acme_stop+0x1c/0x40 [acme]"));
    }

    #[test]
    fn aborts_and_hangs_are_told_apart() {
        let abort = heard(
            "[    9.1] Internal error: synchronous external abort: 0000000096000010 [#1] SMP\n\
             [    9.1] CPU: 3 PID: 9 Comm: rmmod Not tainted 6.6.0 #1\n\
             [    9.1] pc : acme_disable+0x20/0x60 [acme]\n\
             [    9.1] Kernel panic - not syncing: synchronous external abort: Fatal exception\n",
        )
        .unwrap();
        assert_eq!((abort.kind, abort.fatal), (DeathKind::Abort, true));
        assert_eq!(abort.at.as_deref(), Some("acme_disable+0x20/0x60 [acme]"));

        let hang = heard(
            "[   30.1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [sh:157]\n\
             [   30.1] CPU: 1 PID: 157 Comm: sh Tainted: G  O 6.12 #1\n\
             [   30.1] Kernel panic - not syncing: softlockup: hung tasks\n",
        )
        .unwrap();
        assert_eq!((hang.kind, hang.fatal), (DeathKind::Hang, true));
        assert_eq!(hang.tid, Some(157));
        let blocked =
            heard("INFO: task kworker/0:1:12 blocked for more than 120 seconds.").unwrap();
        assert_eq!(blocked.comm.as_deref(), Some("kworker/0:1"));
        assert_eq!((blocked.tid, blocked.fatal), (Some(12), false));
    }

    #[test]
    fn a_death_before_another_boot_is_not_that_boots() {
        let log = "Kernel panic - not syncing: one\n[    0.0] Linux version 6.1.0\n";
        assert_eq!(heard(log), None);
        let both = format!("{log}Kernel panic - not syncing: two\n");
        assert_eq!(
            heard(&both).map(|death| death.said),
            Some(Text::from("two"))
        );
        assert_eq!(heard("all is well"), None);
    }
}
