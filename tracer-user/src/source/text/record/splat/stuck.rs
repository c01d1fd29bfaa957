//! Tasks and CPUs that do not get on: hung tasks, lockups, RCU stalls.

use super::forms::{Form, Header};
use crate::{
    event::{Comm, splat::SplatKind},
    source::text::{
        record::backtrace::frame,
        scan::{around, digits},
    },
};

pub(super) const FORMS: &[Form] = &[
    Form {
        words: "INFO: task ",
        read: |_, rest| {
            let (task, rest) = around(rest, b" blocked for")?;
            hung(&[b"task ", task].concat(), rest)
        },
        example: "INFO: task rmmod:1517 blocked for more than 120 seconds.",
        seen: "kernel/hung_task.c",
    },
    Form {
        words: " blocked for",
        read: hung,
        example: "task rmmod:1517 blocked for more than 120 seconds.",
        seen: "the same, without its beginning",
    },
    Form {
        words: " likely owned by task ",
        read: holds,
        example: "INFO: task cat:1516 is blocked on a mutex likely owned by task rmmod:1517.",
        seen: "kernel/hung_task.c from 6.16 on: the stack is that of the owner",
    },
    Form {
        words: " likely last held by task ",
        read: holds,
        example: "INFO: task cat:1516 is blocked on a semaphore likely last held by task rmmod:1517",
        seen: "the same",
    },
    Form {
        words: "soft lockup - CPU#",
        read: lockup,
        example: "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [rmmod:1517]",
        seen: "kernel/watchdog.c",
    },
    Form {
        words: "hard LOCKUP on cpu ",
        read: |_, _| Some(Header::of(SplatKind::Lockup)),
        example: "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
        seen: "kernel/watchdog.c",
    },
    Form {
        words: "ard LOCKUP",
        read: hard_lockup,
        example: "watchdog: CPU 3 self-detected hard LOCKUP @ demo_wait+0x48/0x60 [demo]",
        seen: "arch/powerpc/kernel/watchdog.c: by the CPU itself, or by it when another one asks",
    },
    Form {
        words: "detected stall",
        read: |_, _| Some(Header::of(SplatKind::Stall)),
        example: "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        seen: "kernel/rcu/tree_stall.h",
    },
    Form {
        words: "self-detected stall",
        read: |_, _| Some(Header::of(SplatKind::Stall)),
        example: "rcu: INFO: rcu_sched self-detected stall on CPU",
        seen: "kernel/rcu/tree_stall.h",
    },
    Form {
        words: "detected expedited stalls",
        read: |_, _| Some(Header::of(SplatKind::Stall)),
        example: "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { P1517 }",
        seen: "kernel/rcu/tree_exp.h",
    },
];

/// `INFO: task rmmod:1517` and `120 seconds.`
fn hung(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, task) = around(before, b"task ")?;
    let (seconds, rest) = digits(rest.trim_ascii_start().strip_prefix(b"more than ")?)?;
    let mut header = Header {
        number: Some(seconds),
        ..Header::of(SplatKind::Hung)
    };
    name(task, &mut header);
    rest.starts_with(b" second").then_some(header)
}

/// `INFO: task cat:1516 is blocked on a mutex` and `rmmod:1517.`
fn holds(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (_, what) = around(before, b" blocked on a")?;
    let what = what.strip_prefix(b"n").unwrap_or(what).trim_ascii();
    let mut header = Header::saying(
        SplatKind::Warning,
        &[b"a blocked task waits for the ", what, b" that it holds"].concat(),
    );
    name(rest, &mut header);
    Some(header)
}

/// `1 stuck for 22s! [rmmod:1517]`
fn lockup(_: &[u8], rest: &[u8]) -> Option<Header> {
    let (cpu, rest) = digits(rest)?;
    let mut header = Header {
        cpu: u16::try_from(cpu).ok(),
        number: around(rest, b"stuck for ").and_then(|(_, rest)| Some(digits(rest)?.0)),
        ..Header::of(SplatKind::Lockup)
    };
    if let Some((_, task)) = around(rest, b"[") {
        name(
            task.split(|byte| *byte == b']').next().unwrap_or_default(),
            &mut header,
        );
    }
    Some(header)
}

/// `CPU 3 self-detected h` and ` @ demo_wait+0x48/0x60`, `CPU 7 H`, `Watchdog CPU:7 H`. Whoever detects that of others has
/// nothing to do with it, and shows no stack.
fn hard_lockup(before: &[u8], rest: &[u8]) -> Option<Header> {
    let (before, _) = before.split_at_checked(before.len().checked_sub(1)?)?;
    let (_, cpu) = around(before, b"CPU")?;
    let (cpu, behind) = digits(cpu.get(1..)?)?;
    let at = rest.strip_prefix(b" @ ");
    let is_one = matches!(behind.trim_ascii(), b"" | b"self-detected");
    is_one.then(|| Header {
        cpu: u16::try_from(cpu).ok(),
        frame: at.and_then(frame),
        ..Header::of(SplatKind::Lockup)
    })
}

/// `rmmod:1517`; a kernel thread's name has colons of its own.
fn name(task: &[u8], header: &mut Header) {
    let task = task.trim_ascii();
    if let Some(colon) = task.iter().rposition(|byte| *byte == b':')
        && let Some((tid, _)) = task.get(colon + 1..).and_then(digits)
    {
        header.tid = u32::try_from(tid).ok();
        let name = task.get(..colon).unwrap_or_default();
        header.comm = Some(Comm::new(&String::from_utf8_lossy(name)));
    }
}
